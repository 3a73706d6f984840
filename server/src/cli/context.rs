//! What a command was started with.

use super::error::CliError;
use crate::config::{Config, Environment, Flags};

/// The flags and the environment that a command was started with.
pub(super) struct Context {
    pub(super) flags: Flags,
    pub(super) environment: Environment,
}

impl Context {
    pub(super) fn config(&self) -> Result<Config, CliError> {
        Ok(Config::load(&self.flags, &self.environment)?)
    }

    /// Whether a flag or a variable names the data folder.
    pub(super) fn names_data_dir(&self) -> bool {
        let by_flag = self.flags.values.iter().any(|(key, _)| *key == "data_dir");
        by_flag || self.environment.get("BMAP_DATA_DIR").is_some()
    }
}
