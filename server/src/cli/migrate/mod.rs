//! `bmap migrate`: the schema brought up; with `--to`, the installation moved to another database.

mod between;
mod progress;
mod reopen;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::installation::{IfCurrent, before_migrating, database, must_be_of_folder, must_be_of_kind};
use crate::cli::output;
use crate::config::RootPlace;
use bmap_model::roots::Roots;
use bmap_store::address::{Address, Engine};
use bmap_store::data_dir;
use bmap_store::installation_file::InstallationFile;
use bmap_store::schema::{Schema, Step};
use clap::Args;
use serde_json::json;

#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// Change nothing; exit with 1 when something is pending
    #[arg(long)]
    check: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    between: between::Between,
    /// Let the configured database be served again, which was moved away: what the other one did since is lost
    #[arg(long, conflicts_with_all = ["check", "from", "from_file", "to", "to_file"])]
    reopen: bool,
}

pub(super) async fn run(command: &Migrate, context: &Context) -> Result<(), CliError> {
    let config = context.config()?;
    if command.between.is_asked() {
        return between::run(&command.between, command.json, &config, context).await;
    }
    if command.reopen {
        return reopen::run(command.json, &config, context).await;
    }
    let address = database(&config);
    if let Some(known) = InstallationFile::read(&config.data_dir).map_err(CliError::failed)? {
        must_be_of_kind(&known, &address, &config).await?;
        known.must_be_there(&address, &config.data_dir).map_err(CliError::usage)?;
        must_be_of_folder(&known, &address.as_it_is(), &config).await?;
    }
    if command.check {
        let steps = look(&address).await?;
        print(&address, &steps, &[], command.json)?;
        return match steps.iter().filter(|step| !step.is_applied).count() {
            0 => Ok(()),
            pending => Err(CliError::Failed(format!("{pending} migrations are pending: run `bmap migrate`"))),
        };
    }
    data_dir::prepare(&config.data_dir).map_err(CliError::failed)?;
    // It needs no root secret; one that is at hand has to be the one of this database (O14).
    let place = RootPlace::find(&config, &context.environment).map_err(CliError::failed)?;
    if let Some(roots) = place.read().ok().and_then(|read| Roots::new(read).ok())
        && !address.is_missing_file()
    {
        before_migrating(&address, &roots, &place, IfCurrent::Look).await?;
    }
    if let Some(file) = address.missing_file() {
        eprintln!("bmap: making a new database, {}", file.display());
    }
    let mut schema = Schema::open(&address).await.map_err(CliError::failed)?;
    schema.must_be_here().await.map_err(CliError::failed)?;
    let mut new = Vec::new();
    let done = schema.bring_up(|step| {
        // On standard error, so that the result alone is on standard output.
        eprintln!("{:04} {} applied", step.version, step.name);
        new.push(step.version);
    });
    done.await.map_err(CliError::failed)?;
    let steps = schema.steps().await.map_err(CliError::failed)?;
    schema.close().await;
    print(&address, &steps, &new, command.json)
}

/// The migrations of the database. One that does not exist has none, and is not made by this.
async fn look(address: &Address) -> Result<Vec<Step>, CliError> {
    if address.is_missing_file() {
        return Ok(Schema::none());
    }
    let mut schema = Schema::open(&address.as_it_is()).await.map_err(CliError::failed)?;
    let steps = schema.steps().await.map_err(CliError::failed)?;
    schema.close().await;
    Ok(steps)
}

fn print(address: &Address, steps: &[Step], new: &[i64], as_json: bool) -> Result<(), CliError> {
    let state = |step: &Step| match step.is_applied {
        true if new.contains(&step.version) => "new",
        true => "applied",
        false => "pending",
    };
    if as_json {
        let engine = match address.engine {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgresql",
        };
        let migrations: Vec<_> = steps
            .iter()
            .map(|step| json!({ "version": step.version, "name": step.name, "state": state(step) }))
            .collect();
        let pending = steps.iter().filter(|step| !step.is_applied).count();
        return output::json(&json!({ "database": engine, "migrations": migrations, "pending": pending }));
    }
    let heading = ["migration", "name", "state"].map(str::to_owned).to_vec();
    let row = |step: &Step| vec![format!("{:04}", step.version), step.name.to_owned(), state(step).to_owned()];
    output::table(&std::iter::once(heading).chain(steps.iter().map(row)).collect::<Vec<_>>())
}
