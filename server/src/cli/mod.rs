//! The command line: `bmap serve`, and commands that work on the same data folder, also while the server runs.

mod arguments;
mod audit;
mod completions;
mod config;
mod context;
mod doctor;
mod error;
mod explain;
mod follow_roots;
mod healthcheck;
mod installation;
mod key;
mod migrate;
mod openapi;
mod output;
mod raw_request;
mod root;
mod serve;
mod session;
mod sign;
mod target_url;
mod tool;
mod user;
mod wait;

use crate::config::{Environment, Flags};
use clap::{Args, CommandFactory, Parser, Subcommand};
use context::Context;
use error::CliError;
use std::path::PathBuf;
use std::process::ExitCode;

/// Exit codes, as `--help` names them.
const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 no such user, key, tool or session.\n\
Configuration: flag > BMAP_* environment > file (--config, BMAP_CONFIG) > default; see docs/configuration.md.";

#[derive(Debug, Parser)]
#[command(name = "bmap", version, about = "The issuer of bmap tokens, and its commands", after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten, next_help_heading = "Options of every command")]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// Configuration file, TOML [env: BMAP_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of the root secret and the database [env: BMAP_DATA_DIR] [default: ./bmap-data]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// The issuer's exact public URL [env: BMAP_ISSUER] [default: http:// and the listen address]
    #[arg(long, global = true, value_name = "URL")]
    issuer: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server; works without any configuration
    Serve(serve::Serve),
    /// Users
    #[command(subcommand)]
    User(user::UserCommand),
    /// API keys
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Sessions
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// Tools
    #[command(subcommand)]
    Tool(tool::ToolCommand),
    /// Root secrets: the change from one to the next
    #[command(subcommand)]
    Root(root::RootCommand),
    /// The audit log: who did what
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Print the headers that sign a request, also as a curl command
    Sign(Box<sign::Sign>),
    /// Explain why a signature does not hold: both signature bases and the first difference
    Explain(explain::Explain),
    /// Bring the database's schema up to this program's, as `serve` does at its start; with --to, move to another database
    Migrate(migrate::Migrate),
    /// The configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print the OpenAPI document of the HTTP interface
    Openapi,
    /// Find faults in this set-up; changes nothing
    Doctor(doctor::Doctor),
    /// Print the completions of a shell
    Completions(completions::Completions),
    /// Ask a running server whether it is ready
    Healthcheck(healthcheck::Healthcheck),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut values = Vec::new();
    values.extend(cli.global.data_dir.map(|value| ("data_dir", value)));
    values.extend(cli.global.issuer.map(|value| ("issuer", value)));
    if let Command::Serve(serve) = &cli.command {
        values.extend(serve.listen.clone().map(|value| ("listen", value)));
    }
    let context =
        Context { flags: Flags { config: cli.global.config, values }, environment: Environment::of_process() };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("bmap: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli.command, &context)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ CliError::ReaderGone) => error.exit_code(),
        Err(error) => {
            eprintln!("bmap: {error}");
            error.exit_code()
        }
    }
}

async fn run(command: Command, context: &Context) -> Result<(), CliError> {
    match command {
        Command::Serve(_) => serve::run(context).await,
        Command::User(command) => user::run(command, context).await,
        Command::Key(command) => key::run(command, context).await,
        Command::Session(command) => session::run(command, context).await,
        Command::Tool(command) => tool::run(command, context).await,
        Command::Root(command) => root::run(command, context).await,
        Command::Audit(command) => audit::run(command, context).await,
        Command::Sign(command) => sign::run(&command, context).await,
        Command::Explain(command) => explain::run(&command, context).await,
        Command::Migrate(command) => migrate::run(&command, context).await,
        Command::Config(command) => config::run(&command, context),
        Command::Openapi => openapi::run(),
        Command::Doctor(command) => doctor::run(&command, context).await,
        Command::Completions(command) => completions::run(&command, Cli::command()),
        Command::Healthcheck(command) => healthcheck::run(&command, context).await,
    }
}
