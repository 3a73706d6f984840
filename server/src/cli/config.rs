//! `bmap config check|show`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::output;
use crate::config;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Say whether the configuration can be used
    Check,
    /// Print every key with its value and where it came from; secrets are not shown
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(command: &ConfigCommand, context: &Context) -> Result<(), CliError> {
    let config = context.config()?;
    match command {
        ConfigCommand::Check => {
            if let Some(mail) = &config.mail {
                let issuer = config.issuer_for(config.listen);
                mail.smtp(&issuer).map_err(|error| CliError::Usage(error.to_string()))?;
            }
            println!("ok");
        }
        ConfigCommand::Show { json: true } => output::json(&config::show(&config))?,
        ConfigCommand::Show { json: false } => {
            let lines: Vec<String> = config::show(&config).iter().map(ToString::to_string).collect();
            output::text(&lines.join("\n"))?;
        }
    }
    Ok(())
}
