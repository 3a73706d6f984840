//! Acts on a PostgreSQL server that only these tests need.

use crate::postgres::Cluster;
use std::path::PathBuf;
use std::process::Command;

impl Cluster {
    /// Stops it like a power cut: no shutdown, recovery at the next start.
    pub(crate) fn stop_immediately(&self) {
        assert!(self.run("pg_ctl", &["-D", &self.data, "-m", "immediate", "stop"]));
    }

    /// A new one with its data somewhere else than in its folder.
    pub(crate) fn elsewhere(folder: PathBuf, data: String, by: Vec<String>, initdb: &[&str], options: &str) -> Self {
        let mut cluster = Self::at(folder, data.clone(), by);
        cluster.options = options.to_owned();
        let made = ["-D", &data, "-U", "bmap", "-A", "trust", "-E", "UTF8", "--no-sync"];
        assert!(cluster.run("initdb", &[&made, initdb].concat()));
        cluster.on_a_free_port()
    }

    /// Another server with the data of this one, which is not running.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::unmade();
        assert!(copy.run_by(Command::new("cp"), &["-a", &self.data, &copy.data]));
        let file = std::path::Path::new(&copy.data).join("postgresql.auto.conf");
        let configuration = std::fs::read_to_string(&file).unwrap().replace(&self.data, &copy.data);
        std::fs::write(file, configuration).unwrap();
        copy.on_a_free_port()
    }
}
