//! `bmap serve` as a process that may be killed, with the data that stays.

use crate::call::{Call, Line};
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A data folder, and where the database is if not in it.
pub(crate) struct Installation {
    folder: TempDir,
    database_url: Option<String>,
    environment: Vec<(&'static str, String)>,
}

/// A running issuer. Killed with this value.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    /// From the start of the process until it listened.
    pub(crate) started_in: Duration,
    /// Its output before that.
    pub(crate) greeting: String,
}

#[expect(clippy::disallowed_methods, reason = "a test measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

impl Installation {
    pub(crate) fn new(database_url: Option<String>) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), database_url, environment: Vec::new() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    /// The same data folder with another database.
    pub(crate) fn on(self, database_url: &str) -> Self {
        Self { database_url: Some(database_url.to_owned()), ..self }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub(crate) fn database_url(&self) -> String {
        self.database_url.clone().unwrap_or_else(|| format!("sqlite://{}", self.path("data/bmap.sqlite")))
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bmap"));
        command.args(arguments).env_clear().env("BMAP_DATA_DIR", self.path("data")).current_dir(&self.folder);
        command.envs(self.database_url.iter().map(|url| ("BMAP_DATABASE_URL", url)));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command that must succeed; what it printed.
    #[track_caller]
    pub(crate) fn out(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Its data folder with a root secret, for commands that go no further than the database.
    pub(crate) fn prepare(&self) {
        let data = self.path("data");
        std::fs::create_dir(&data).unwrap();
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::write(format!("{data}/root.secret"), [7; 32]).unwrap();
        let secret = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(format!("{data}/root.secret"), secret).unwrap();
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Starts the process, and does not wait.
    pub(crate) fn spawn(&self, mut command: Command) -> Child {
        let log = OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap()
    }

    pub(crate) fn serve_command(&self) -> Command {
        // One URL over all starts: tokens name it.
        self.command(&["serve", "--listen", "127.0.0.1:0", "--issuer", "http://issuer.example"])
    }

    /// Starts it, and waits until it listens.
    pub(crate) fn serve(&self) -> Server {
        self.serve_by(self.serve_command())
    }

    /// The same by some command, which becomes the server.
    pub(crate) fn serve_by(&self, command: Command) -> Server {
        self.try_serve_by(command).unwrap_or_else(|| panic!("the server ended: {}", self.log()))
    }

    /// `None` if it ends with an error instead.
    pub(crate) fn try_serve_by(&self, command: Command) -> Option<Server> {
        let began = now();
        let mut child = self.spawn(command);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut greeting = String::new();
        let address = lines.find_map(|line| {
            let line = line.unwrap();
            greeting.push_str(&line);
            line.split_once(" listens on ").map(|(_, rest)| rest.split(',').next().unwrap().to_owned())
        });
        let started_in = began.elapsed();
        let Some(address) = address else {
            assert!(!child.wait().unwrap().success());
            return None;
        };
        Some(Server { child, address: address.parse().unwrap(), started_in, greeting })
    }
}

impl Server {
    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends over a connection of its own; it has to be answered.
    pub(crate) async fn ask(&self, call: &Call) -> crate::call::Answer {
        Line::to(self.address).send(call).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
