//! `bmap migrate --from … --to …`: the installation moved to another database.

use super::progress::Progress;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::installation::{INSTALLATION_SETTING, database, foreign_root};
use crate::cli::output;
use crate::config::{Config, RootPlace};
use bmap_issuer::root_check;
use bmap_model::rng::{self, SystemRandom};
use bmap_model::roots::Roots;
use bmap_store::address::Address;
use bmap_store::copy::{self, Copy, IfBroken, Outcome, Source, Target};
use bmap_store::installation_file::InstallationFile;
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Between {
    /// Move the installation out of this database [default: the configured one]
    #[arg(long, value_name = "URL", requires = "target", conflicts_with = "check")]
    from: Option<String>,
    /// A file with that URL
    #[arg(long, value_name = "FILE", requires = "target", conflicts_with_all = ["check", "from"])]
    from_file: Option<PathBuf>,
    /// Move the installation into this empty database, or go on with that
    #[arg(long, value_name = "URL", group = "target", conflicts_with = "check")]
    to: Option<String>,
    /// A file with that URL: a password on the command line is seen by every user of the machine
    #[arg(long, value_name = "FILE", group = "target", conflicts_with = "check")]
    to_file: Option<PathBuf>,
    /// Copy rows whose seal does not hold as they are; they open nothing in the other database either
    #[arg(long, requires = "target")]
    copy_broken_seals: bool,
}

impl Between {
    pub(super) const fn is_asked(&self) -> bool {
        self.to.is_some() || self.to_file.is_some()
    }
}

pub(super) async fn run(command: &Between, as_json: bool, config: &Config, context: &Context) -> Result<(), CliError> {
    let from = address("--from", command.from.as_deref(), command.from_file.as_deref())?;
    let from = from.unwrap_or_else(|| database(config));
    let to = address("--to", command.to.as_deref(), command.to_file.as_deref())?;
    let to = to.ok_or_else(|| CliError::Usage("--to: no database is named".to_owned()))?;
    if from.shown() == to.shown() {
        return Err(CliError::Usage(format!("--from and --to are one database, {}", from.shown())));
    }
    if let Some(file) = from.missing_file() {
        return Err(CliError::Usage(format!("--from: there is no database {}", file.display())));
    }
    for address in [&from, &to] {
        if address.is_in_the_clear() {
            let shown = address.shown();
            eprintln!("bmap: warning: {shown}: sslmode=disable: an attacker on the way reads and changes everything");
        }
    }
    let place = RootPlace::find(config, &context.environment).map_err(CliError::failed)?;
    let roots = Roots::new(place.read().map_err(CliError::failed)?).map_err(CliError::failed)?;
    let known = InstallationFile::read(&config.data_dir).map_err(CliError::failed)?;
    let mut source = Source::open(&from).await.map_err(|error| CliError::Failed(format!("the source: {error}")))?;
    let installation = source.setting(INSTALLATION_SETTING).await.map_err(CliError::failed)?;
    if let Some(known) = &known {
        known.must_be_of(installation.as_deref(), &config.data_dir).map_err(CliError::usage)?;
    }
    let keys = source.issuer_keys().await.map_err(CliError::failed)?;
    let by_keys = root_check::by_issuer_keys(&keys, &roots);
    by_keys.unwrap_or(Ok(())).map_err(|foreign| foreign_root(foreign, &place))?;

    let mut target = Target::open(&to).await.map_err(|error| CliError::Failed(format!("the target: {error}")))?;
    let id = rng::bytes::<16>(&SystemRandom).map_err(CliError::failed)?;
    let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let if_broken = if command.copy_broken_seals { IfBroken::Copy } else { IfBroken::Refuse };
    let mut progress = Progress::new();
    let copied = copy::copy(&mut source, &mut target, &roots, if_broken, installation, &id, |step| progress.show(step));
    let copied = copied.await;
    progress.end();
    target.close().await;
    source.close().await;
    let outcome = copied.map_err(CliError::failed)?;
    // The folder belongs to the other database now; without this, the next start would say that it does not.
    if let Some(known) = known {
        let moved = InstallationFile { database: to.engine.into(), ..known };
        moved.write(&config.data_dir).map_err(CliError::failed)?;
    }
    print(&outcome, &from, &to, as_json)
}

/// A database's address, from the command line or a file; its text is in no error.
pub(super) fn address(option: &str, url: Option<&str>, file: Option<&Path>) -> Result<Option<Address>, CliError> {
    let text = match (url, file) {
        (Some(url), _) => url.to_owned(),
        (None, Some(file)) => {
            let read = std::fs::read_to_string(file);
            let read = read.map_err(|error| CliError::Usage(format!("{option}-file {}: {error}", file.display())))?;
            read.trim_end_matches(['\r', '\n']).to_owned()
        }
        (None, None) => return Ok(None),
    };
    Address::parse(&text).map(Some).map_err(|error| CliError::Usage(format!("{option}: {error}")))
}

fn print(outcome: &Outcome, from: &Address, to: &Address, as_json: bool) -> Result<(), CliError> {
    let (from, to) = (from.shown(), to.shown());
    let Outcome::Done { tables, went_on } = outcome else {
        if as_json {
            return output::json(&json!({ "from": from, "to": to, "was_done": true }));
        }
        return output::text(&format!("{from} was moved to {to} before: nothing was left to do"));
    };
    if as_json {
        let tables: Vec<_> = tables
            .iter()
            .map(|copy| {
                let seals = json!({
                    "hold": copy.hold, "none": copy.without, "not_asked": copy.unasked, "broken": copy.broken,
                });
                json!({ "table": copy.table, "rows": copy.rows, "seals": seals })
            })
            .collect();
        return output::json(
            &json!({ "from": from, "to": to, "was_done": false, "went_on": went_on, "tables": tables }),
        );
    }
    let heading = ["table", "rows", "seals hold", "no seal", "not asked", "broken"].map(str::to_owned).to_vec();
    let mut sum = Copy { table: "all", ..Copy::default() };
    for copy in tables {
        sum.rows = sum.rows.saturating_add(copy.rows);
        sum.hold = sum.hold.saturating_add(copy.hold);
        sum.without = sum.without.saturating_add(copy.without);
        sum.unasked = sum.unasked.saturating_add(copy.unasked);
        sum.broken = sum.broken.saturating_add(copy.broken);
    }
    let row = |copy: &Copy| {
        let numbers = [copy.rows, copy.hold, copy.without, copy.unasked, copy.broken];
        std::iter::once(copy.table.to_owned()).chain(numbers.map(|number| number.to_string())).collect::<Vec<_>>()
    };
    output::table(&std::iter::once(heading).chain(tables.iter().chain([&sum]).map(row)).collect::<Vec<_>>())?;
    output::text(&format!(
        "All rows are in {to}, equal value by value. {from} is kept and is not served any more: set database_url \
         (BMAP_DATABASE_URL) and start the server."
    ))
}
