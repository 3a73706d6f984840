//! What happens to a PostgreSQL server here and nowhere else.

use crate::postgres::Cluster;
use std::process::Command;

impl Cluster {
    /// Stops it like a power cut: no shutdown, recovery at the next start.
    pub(crate) fn stop_immediately(&self) {
        assert!(self.run("pg_ctl", &["-D", &self.data, "-m", "immediate", "stop"]));
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
