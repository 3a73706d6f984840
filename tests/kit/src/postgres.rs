//! A PostgreSQL of one's own, from Debian's package: on a free port, run as an ordinary user, gone when the tests are.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// For tests that need no power cut survived: nothing is waited for until it is on the disk.
pub const HASTY: &str = "fsync=off\nfull_page_writes=off\nmax_connections=800\nshared_buffers=64MB\n";

/// A server with its data.
#[derive(Debug)]
pub struct Cluster {
    programs: PathBuf,
    /// The beginning of every command of the server's own: by whom it runs, and where.
    by: Vec<String>,
    /// Its options at each start.
    pub options: String,
    /// Its log.
    pub log: String,
    /// The folder of its data.
    pub data: String,
    /// Where it listens.
    pub port: u16,
    watchdog: Child,
}

/// Debian's folder of PostgreSQL's programs.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    versions.filter_map(|version| Some(version.ok()?.path().join("bin"))).find(|bin| bin.join("initdb").exists())
}

/// Whether it is installed.
///
/// # Panics
/// In CI, where it is not: there it has to be.
pub fn is_installed() -> bool {
    let installed = programs().is_some();
    assert!(installed || std::env::var_os("CI").is_none(), "CI runs both databases, and PostgreSQL is not installed");
    installed
}

impl Cluster {
    /// A new one, started, with these lines of configuration.
    ///
    /// # Panics
    /// Where it can't be made or started.
    pub fn new(settings: &str) -> Self {
        let cluster = Self::unmade();
        let data = cluster.data.clone();
        assert!(cluster.run("initdb", &["-D", &data, "-U", "bmap", "-A", "trust", "-E", "UTF8", "--no-sync"]));
        let mut configuration = format!("listen_addresses='127.0.0.1'\nunix_socket_directories='{data}'\n");
        configuration.push_str(settings);
        let file = std::path::Path::new(&data).join("postgresql.auto.conf");
        std::fs::write(file, configuration).expect("a server of the test's own");
        cluster.on_a_free_port()
    }

    /// One whose data is still to be made.
    ///
    /// # Panics
    /// Where it is not installed.
    pub fn unmade() -> Self {
        let folder = folder();
        let data = folder.join("data").display().to_string();
        Self::at(folder, data, ordinary_user())
    }

    /// With its data there, run by a user of the machine who may write both: `by` is the beginning of each command.
    ///
    /// # Panics
    /// Where it is not installed.
    pub fn at(folder: PathBuf, data: String, by: Vec<String>) -> Self {
        let programs = programs().expect("PostgreSQL is installed");
        // Ends the server and removes its data when this process is gone, in whatever way: then its standard input ends.
        let end = "cat; \"$@\"; rm -rf \"$0\"";
        let stop = command(&by, programs.join("pg_ctl"));
        let mut watchdog = Command::new("sh");
        watchdog.args(["-c", end]).arg(&folder).arg(stop.get_program()).args(stop.get_args());
        watchdog.args(["-D", &data, "-m", "immediate", "stop"]);
        // Not in our process group: Ctrl-C at a terminal is for us.
        let watchdog = watchdog.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Where nothing of its own is that has to be empty, or is on a disk that may be full.
        let log = folder.join("log").display().to_string();
        Self {
            programs,
            by,
            options: String::new(),
            log,
            data,
            port: 0,
            watchdog: watchdog.spawn().expect("a server of the test's own"),
        }
    }

    /// Starts it where a port is free.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn on_a_free_port(mut self) -> Self {
        // A port that is free now may be another process's in a moment.
        let started = (0..5).any(|_| {
            self.port = std::net::TcpListener::bind("127.0.0.1:0")
                .expect("a server of the test's own")
                .local_addr()
                .expect("a server of the test's own")
                .port();
            self.start()
        });
        assert!(started, "PostgreSQL does not start; its log is {}", self.log);
        self
    }

    /// Starts it, and waits until it answers; whether it does.
    pub fn start(&self) -> bool {
        let options = format!("-p {} {}", self.port, self.options);
        self.run("pg_ctl", &["-D", &self.data, "-o", &options, "-l", &self.log, "-w", "start"])
    }

    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://bmap@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs a program of PostgreSQL's against a database; what it printed.
    ///
    /// # Panics
    /// Where it fails.
    #[track_caller]
    pub fn ask(&self, program: &str, database: &str, arguments: &[&str]) -> Vec<u8> {
        let mut command = Command::new(self.programs.join(program));
        let output =
            command.arg("-d").arg(self.url(database)).args(arguments).output().expect("a server of the test's own");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Executes SQL; the rows, without headings.
    ///
    /// # Panics
    /// Where it is refused.
    #[track_caller]
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let arguments = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql];
        String::from_utf8(self.ask("psql", database, &arguments)).expect("a server of the test's own")
    }

    /// Runs a program of PostgreSQL's; whether it succeeded.
    ///
    /// # Panics
    /// Where it can't be started.
    pub fn run(&self, program: &str, arguments: &[&str]) -> bool {
        self.run_by(command(&self.by, self.programs.join(program)), arguments)
    }

    /// Runs a command; whether it succeeded.
    ///
    /// # Panics
    /// Where it can't be started.
    pub fn run_by(&self, mut command: Command, arguments: &[&str]) -> bool {
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().expect("a server of the test's own").success()
    }

    /// Stops it like a power cut: no shutdown, recovery at the next start.
    ///
    /// # Panics
    /// Where it does not stop.
    pub fn stop_immediately(&self) {
        assert!(self.run("pg_ctl", &["-D", &self.data, "-m", "immediate", "stop"]));
    }

    /// A new one with its data somewhere else than in its folder.
    ///
    /// # Panics
    /// Where it can't be made or started.
    pub fn elsewhere(folder: PathBuf, data: String, by: Vec<String>, initdb: &[&str], options: &str) -> Self {
        let mut cluster = Self::at(folder, data.clone(), by);
        cluster.options = options.to_owned();
        let made = ["-D", &data, "-U", "bmap", "-A", "trust", "-E", "UTF8", "--no-sync"];
        assert!(cluster.run("initdb", &[&made, initdb].concat()));
        cluster.on_a_free_port()
    }

    /// Another server with the data of this one, which is not running.
    ///
    /// # Panics
    /// Where it can't be copied or started.
    #[must_use]
    pub fn copy(&self) -> Self {
        let copy = Self::unmade();
        assert!(copy.run_by(Command::new("cp"), &["-a", &self.data, &copy.data]));
        let file = std::path::Path::new(&copy.data).join("postgresql.auto.conf");
        let configuration =
            std::fs::read_to_string(&file).expect("a server of the test's own").replace(&self.data, &copy.data);
        std::fs::write(file, configuration).expect("a server of the test's own");
        copy.on_a_free_port()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// A folder that the user who runs it may write. Kept: the watchdog removes it.
///
/// # Panics
/// Where there is no room for it.
pub fn folder() -> PathBuf {
    let folder = TempDir::new().expect("a server of the test's own").keep();
    if is_root() {
        // It refuses to run as root.
        assert!(
            Command::new("chown").arg("nobody").arg(&folder).status().expect("a server of the test's own").success()
        );
    }
    folder
}

fn ordinary_user() -> Vec<String> {
    let by: &[&str] = if is_root() { &["runuser", "-u", "nobody", "--"] } else { &[] };
    by.iter().map(|word| (*word).to_owned()).collect()
}

/// A program, run by a prefix such as `runuser`; not in this process's folder, which that user may not enter.
fn command(by: &[String], program: PathBuf) -> Command {
    let Some((first, rest)) = by.split_first() else { return Command::new(program) };
    let mut command = Command::new(first);
    command.args(rest).arg(program).current_dir("/");
    command
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("a server of the test's own");
    id.stdout.trim_ascii() == b"0"
}
