//! Why a command failed.

use crate::config::ConfigError;
use std::process::ExitCode;

/// Why a command failed; its exit code follows from it.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Failed(String),
    /// The reader of the output closed the pipe.
    #[error("the output was closed")]
    ReaderGone,
}

impl CliError {
    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            CliError::ReaderGone => 0,
            CliError::Failed(_) => 1,
            CliError::Config(_) | CliError::Usage(_) => 2,
            CliError::NotFound(_) => 3,
        })
    }

    /// Wrong usage or configuration, which ends in exit code 2.
    pub(super) fn usage(error: impl std::fmt::Display) -> Self {
        CliError::Usage(error.to_string())
    }

    /// Any other error, which ends in exit code 1.
    pub(super) fn failed(error: impl std::fmt::Display) -> Self {
        CliError::Failed(error.to_string())
    }
}
