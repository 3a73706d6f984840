//! An operator, with a data folder and real processes.

use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

pub(crate) const BMAP: &str = env!("CARGO_BIN_EXE_bmap");

/// An operator with a data folder, and no environment.
pub(crate) struct Operator {
    pub(crate) folder: TempDir,
}

/// A server process; killed when the test ends.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: String,
    pub(crate) greeting: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Operator {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BMAP);
        command.args(arguments).env_clear().env("BMAP_DATA_DIR", self.path("data")).current_dir(self.folder.path());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What a command prints; it must succeed.
    #[track_caller]
    pub(crate) fn out(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.out(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// Exit code and standard error of a command that must fail.
    #[track_caller]
    pub(crate) fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        assert!(!error.contains("panicked"), "{error}");
        (output.status.code().unwrap(), error)
    }

    /// Writes into the database behind everybody's back.
    pub(crate) async fn edit(&self, sql: &'static str) {
        sqlx::any::install_default_drivers();
        let pool = sqlx::AnyPool::connect(&format!("sqlite://{}", self.path("data/bmap.sqlite"))).await.unwrap();
        assert!(sqlx::raw_sql(sql).execute(&pool).await.unwrap().rows_affected() > 0, "{sql}");
        pool.close().await;
    }

    pub(crate) fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    /// A server with some environment; its log is the file `log` of the operator's folder.
    pub(crate) fn serve_with(&self, environment: &[(&str, &str)]) -> Server {
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.envs(environment.iter().copied());
        let log = File::create(self.path("log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let output = child.stdout.take().unwrap();
        // Made first, so that whatever fails below, the process is ended.
        let mut server = Server { child, address: String::new(), greeting: String::new() };
        for line in BufReader::new(output).lines() {
            let line = line.unwrap();
            server.greeting.push_str(&line);
            server.greeting.push('\n');
            if let Some((_, rest)) = line.split_once(" listens on ") {
                server.address = rest.split(',').next().unwrap().to_owned();
                return server;
            }
        }
        panic!("the server ended: {}", server.greeting);
    }
}
