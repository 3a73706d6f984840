//! An operator, with a data folder and real processes.

use crate::database::{TestDatabase, is_postgres};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

pub(crate) const BMAP: &str = env!("CARGO_BIN_EXE_bmap");

/// An operator with a data folder and, where this run is about PostgreSQL, a database there.
pub(crate) struct Operator {
    pub(crate) folder: TempDir,
    pub(crate) database: Option<TestDatabase>,
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
        Self { folder: tempfile::tempdir().unwrap(), database: is_postgres().then(TestDatabase::empty) }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BMAP);
        command.args(arguments).env_clear().envs(self.environment()).current_dir(self.folder.path());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Where the data folder and the database are.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let database = self.database.iter().map(|database| ("BMAP_DATABASE_URL", database.url()));
        std::iter::once(("BMAP_DATA_DIR", self.path("data"))).chain(database).collect()
    }

    /// The database, as the commands use it.
    pub(crate) fn database_url(&self) -> String {
        let file = || format!("sqlite://{}", self.path("data/bmap.sqlite"));
        self.database.as_ref().map_or_else(file, TestDatabase::url)
    }

    /// The output of a command, which must succeed.
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

    /// Writes into the database by hand, past the issuer.
    pub(crate) async fn edit(&self, sql: &str) {
        sqlx::any::install_default_drivers();
        let pool = sqlx::AnyPool::connect(&self.database_url()).await.unwrap();
        assert!(sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap().rows_affected() > 0, "{sql}");
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
