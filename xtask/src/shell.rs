//! Starting other programs: shown before they run, with the environment that a person at a shell would give them.

use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// A program to run in the workspace's folder.
pub(crate) struct Program {
    command: Command,
    shown: String,
}

impl Program {
    /// A program with its arguments, split at spaces, for what has none inside.
    pub(crate) fn new(line: &str) -> Self {
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).current_dir(root());
        for (name, _) in std::env::vars_os() {
            if is_set_by_outer_cargo(&name) {
                command.env_remove(name);
            }
        }
        Self { command, shown: line.to_owned() }
    }

    /// Cargo with lints in the build: clippy's driver compiles the crates of the workspace, and warnings are errors. What it
    /// builds is what `rustc` builds; the dependencies are compiled without it, and so once for every step.
    pub(crate) fn cargo(arguments: &str) -> Self {
        Self::new("cargo")
            .args(arguments)
            .env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver")
            .env("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__")
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        let arg = arg.as_ref();
        self.shown.push(' ');
        self.shown.push_str(&arg.to_string_lossy());
        self.command.arg(arg);
        self
    }

    /// More arguments, split at spaces.
    pub(crate) fn args(self, line: &str) -> Self {
        line.split_whitespace().fold(self, Self::arg)
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs in another folder of the workspace.
    pub(crate) fn within(mut self, folder: &str) -> Self {
        self.command.current_dir(root().join(folder));
        self.shown = format!("({folder}) {}", self.shown);
        self
    }

    /// Runs to the end with our own output.
    ///
    /// # Errors
    /// A program that is not there, or that fails.
    pub(crate) fn run(mut self) -> Result<(), Box<dyn Error>> {
        eprintln!("+ {}", self.shown);
        let status = self.command.status().map_err(|fault| format!("{}: {fault}", self.shown))?;
        if status.success() { Ok(()) } else { Err(format!("{} → {status}", self.shown).into()) }
    }

    /// Runs to the end and gives its output.
    ///
    /// # Errors
    /// As [`Program::run`], and output that is not text.
    pub(crate) fn read(mut self) -> Result<String, Box<dyn Error>> {
        let output =
            self.command.stderr(Stdio::inherit()).output().map_err(|fault| format!("{}: {fault}", self.shown))?;
        if !output.status.success() {
            return Err(format!("{} → {}", self.shown, output.status).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs to the end with a text on its standard input, and gives its output.
    ///
    /// # Errors
    /// As [`Program::read`].
    pub(crate) fn read_with(mut self, input: &str) -> Result<String, Box<dyn Error>> {
        use std::io::Write as _;
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = self.command.spawn().map_err(|fault| format!("{}: {fault}", self.shown))?;
        let stdin = child.stdin.take().ok_or("no standard input")?;
        // Written beside the reading: both pipes are bounded.
        let output = std::thread::scope(|scope| {
            scope.spawn(move || { &stdin }.write_all(input.as_bytes()));
            child.wait_with_output()
        })?;
        if !output.status.success() {
            return Err(format!("{} → {}", self.shown, output.status).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Whether it starts and succeeds; its output is not shown.
    pub(crate) fn succeeds(mut self) -> bool {
        self.command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    /// Becomes this program, so that Ctrl-C reaches it alone and it can end its own children before the shell is back.
    ///
    /// # Errors
    /// A program that is not there; where a process can't be replaced, as [`Program::run`].
    #[cfg(unix)]
    pub(crate) fn become_it(mut self) -> Result<(), Box<dyn Error>> {
        use std::os::unix::process::CommandExt as _;
        eprintln!("+ {}", self.shown);
        Err(format!("{}: {}", self.shown, self.command.exec()).into())
    }

    #[cfg(not(unix))]
    pub(crate) fn become_it(self) -> Result<(), Box<dyn Error>> {
        self.run()
    }
}

// An inner cargo that sees these believes itself inside the outer one: it would take the outer toolchain and print other paths.
// CARGO_HOME, CARGO_TARGET_DIR and the like are the person's own and stay.
fn is_set_by_outer_cargo(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    const EXACT: [&str; 8] = [
        "CARGO",
        "CARGO_CRATE_NAME",
        "CARGO_PRIMARY_PACKAGE",
        "RUSTUP_TOOLCHAIN",
        "RUSTC",
        "RUSTDOC",
        "RUST_RECURSION_COUNT",
        "LD_LIBRARY_PATH",
    ];
    EXACT.contains(&&*name)
        || ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_outer_cargo_sets_is_dropped_and_the_rest_stays() {
        for name in ["CARGO", "CARGO_PKG_NAME", "CARGO_MANIFEST_DIR", "RUSTUP_TOOLCHAIN"] {
            assert!(is_set_by_outer_cargo(OsStr::new(name)), "{name}");
        }
        for name in ["CARGO_HOME", "CARGO_TARGET_DIR", "PATH", "RUSTFLAGS", "BMAP_VECTORS"] {
            assert!(!is_set_by_outer_cargo(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn a_failing_program_is_named() {
        let refusal = Program::new("false").run().unwrap_err().to_string();
        assert!(refusal.starts_with("false → "), "{refusal}");
        let refusal = Program::new("bmap-no-such-program").run().unwrap_err().to_string();
        assert!(refusal.starts_with("bmap-no-such-program: "), "{refusal}");
    }

    #[test]
    fn output_is_read() {
        assert_eq!(Program::new("echo two").arg("words and more").read().unwrap(), "two words and more\n");
        let long = "a line\n".repeat(100_000);
        assert_eq!(Program::new("cat").read_with(&long).unwrap(), long);
        assert!(Program::new("false").read_with("").is_err());
    }
}
