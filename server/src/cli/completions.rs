//! `bmap completions SHELL`.

use super::{Cli, CliError};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::io::Write;

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(command: &Completions) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(command.shell, &mut Cli::command(), "bmap", &mut script);
    // Written by hand: `generate` panics where its reader went away.
    std::io::stdout().write_all(&script).map_err(CliError::failed)
}
