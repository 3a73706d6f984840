//! `bmap completions SHELL`.

use super::error::CliError;
use clap::{Args, Command};
use clap_complete::Shell;
use std::io::Write;

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// `bmap` is the whole command line.
pub(super) fn run(command: &Completions, mut bmap: Command) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(command.shell, &mut bmap, "bmap", &mut script);
    // Written by hand: `generate` panics where its reader went away.
    std::io::stdout().write_all(&script).map_err(CliError::failed)
}
