//! Programs: built once, started with an environment of their own, ended with the value that holds them.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The workspace's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

/// The folder that this build goes to.
pub fn target() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    // <target>/<profile>/deps/<test>
    test.ancestors().nth(3).expect("a test lies in the target folder").to_owned()
}

/// The path of one of our binaries, built as it is now.
///
/// Cargo builds a package's own binaries for its tests, and these are of other packages. `cargo xtask test` has built them
/// before, together with everything else and so with one set of features, and says so in `XTASK_BINARIES_ARE_BUILT`.
///
/// # Panics
/// If they can't be built.
pub fn binary(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        if std::env::var_os("XTASK_BINARIES_ARE_BUILT").is_some() {
            return;
        }
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args(["build", "--locked", "--quiet", "-p", "bmap-server", "-p", "places-tool", "--target-dir"])
            .arg(target());
        // What the outer cargo set for this test would look like a changed environment to the inner one.
        for (variable, _) in std::env::vars_os() {
            let text = variable.to_string_lossy();
            if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "NEXTEST"]
                .iter()
                .any(|set| text.starts_with(set))
            {
                cargo.env_remove(&variable);
            }
        }
        finish(cargo.current_dir(root()));
    });
    target().join("debug").join(name)
}

/// Runs a program to its end; what it printed.
///
/// # Panics
/// If it can't be started or fails, with all that it said.
pub fn finish(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|fault| panic!("{command:?}: {fault}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Starts from an empty environment: a stray variable would be configuration.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// A running program. It ends with this value.
pub struct Running {
    child: Child,
    said: Arc<Mutex<Vec<u8>>>,
}

impl Running {
    /// Starts it, and keeps what it says on both outputs.
    ///
    /// # Panics
    /// If it can't be started.
    pub fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|fault| panic!("{command:?}: {fault}"));
        let said = Arc::new(Mutex::new(Vec::new()));
        let outputs: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|output| Box::new(output) as _),
            child.stderr.take().map(|output| Box::new(output) as _),
        ];
        for mut output in outputs.into_iter().flatten() {
            let said = Arc::clone(&said);
            std::thread::spawn(move || {
                let mut chunk = [0; 4096];
                while let Ok(length @ 1..) = output.read(&mut chunk) {
                    said.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&chunk[..length]);
                }
            });
        }
        Self { child, said }
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that it has said so far.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// The word after `before` in what it says; `Err` with all of it if it ends without having said that.
    pub fn word_after(&mut self, before: &str) -> Result<String, String> {
        crate::clock::wait_for(before, || {
            let gone = !self.is_running();
            let said = self.said();
            let word = said.split_once(before).and_then(|(_, rest)| rest.split_once(char::is_whitespace));
            match word {
                Some((word, _)) => Some(Ok(word.to_owned())),
                None => gone.then_some(Err(said)),
            }
        })
    }

    /// Asks it to stop, as a service manager does (SIGTERM).
    ///
    /// # Panics
    /// If it is gone.
    pub fn ask_to_stop(&self) {
        finish(Command::new("kill").args(["-TERM", &self.child.id().to_string()]));
    }

    /// Ends it at once (SIGKILL), and waits until it is gone.
    ///
    /// # Panics
    /// If the system does not let it.
    pub fn kill(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("a process of our own can be killed");
    }

    /// Waits until it ended by itself; whether it says that all was well.
    pub fn ended_well(&mut self) -> bool {
        let child = &mut self.child;
        crate::clock::wait_for("a program to end", || child.try_wait().ok().flatten()).success()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // By its own id, and waited for, so that nothing of a test outlives it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
