//! `bmap doctor`: what is wrong with a set-up, and what to do about it. It changes nothing and makes nothing.

mod findings;
mod grants;
mod installed;
mod machine;
mod mail;
mod settings;

pub(super) use installed::behind_by;
pub(super) use settings::is_encrypted_or_local;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::installation::{INSTALLATION_SETTING, database};
use crate::cli::output;
use crate::config::{Config, RootPlace};
use bmap_model::clock::{MachineClock, WallClock};
use bmap_model::roots::Roots;
use bmap_store::installation_file::InstallationFile;
use bmap_store::schema::{Pending, Schema};
use bmap_store::{Database, StoreError};
use clap::Args;
use findings::Findings;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: &Doctor, context: &Context) -> Result<(), CliError> {
    let mut found = Findings::default();
    examine(context, &mut found).await;
    if command.json {
        output::json(&found.describe())?;
    } else {
        found.print()?;
    }
    match found.faults() {
        0 => Ok(()),
        1 => Err(CliError::Failed("1 fault".to_owned())),
        faults => Err(CliError::Failed(format!("{faults} faults"))),
    }
}

/// Looks at everything that can be looked at: faults behind another fault are not guessed.
async fn examine(context: &Context, found: &mut Findings) {
    let config = match context.config() {
        Ok(config) => config,
        Err(error) => return found.fault("configuration", error, "mend the key; docs/configuration.md has them all"),
    };
    found.good("configuration", "every key can be read");
    settings::examine(&config, found);
    folder(&config.data_dir, found);
    machine::disk(&config.data_dir, found);
    let server = machine::port(config.listen, found).await;
    mail::server(&config, found).await;
    let keys = installation(&config, context, found).await;
    if let Some(server) = server {
        machine::owner(config.listen, &server, keys.as_deref(), found);
    }
}

/// Examines the root secret and the database; the ids of the issuer's own keys, where it could be looked at.
async fn installation(config: &Config, context: &Context, found: &mut Findings) -> Option<Vec<String>> {
    let place = RootPlace::find(config, &context.environment);
    let roots = match place.and_then(|place| Ok(Roots::new(place.read()?)?)) {
        Ok(roots) => {
            let epochs: Vec<String> = roots.all().iter().map(|keys| keys.epoch().to_string()).collect();
            found.good("root secret", format!("at hand for epoch {}", epochs.join(", ")));
            Some(roots)
        }
        Err(error) => {
            found.fault("root secret", error, "put the file back from its backup, readable by its owner alone");
            None
        }
    };

    let address = database(config);
    let known = match InstallationFile::read(&config.data_dir) {
        Ok(None) => None,
        Ok(Some(known)) => {
            if let Err(error) = known.must_be(address.engine, &config.data_dir) {
                found.fault("data folder", error, "name the database that belongs to it");
                if address.is_missing_file() {
                    return None;
                }
                None
            } else if let Err(error) = known.must_be_there(&address, &config.data_dir) {
                found.fault("database", error, "nothing else brings the installation back");
                return None;
            } else {
                Some(known)
            }
        }
        Err(error) => {
            found.fault("data folder", error, "see that it can be read");
            return None;
        }
    };
    if address.is_missing_file() {
        let advice = "start the server once (bmap serve), or name the data folder (--data-dir)";
        found.fault("database", "there is none at this place", advice);
        return None;
    }
    let unreached = "see that it runs and that database_url is right";
    let mut schema = match Schema::open(&address.as_it_is()).await {
        Ok(schema) => schema,
        Err(error) => {
            found.fault("database", error, unreached);
            return None;
        }
    };
    let here = schema.must_be_here().await;
    let current = schema.must_be_current().await;
    schema.close().await;
    if let Err(error) = here {
        found.fault("database", error, "docs/operations.md, Moving to PostgreSQL");
        return None;
    }
    if let Err(error) = current {
        found.fault("database", error, "bmap migrate, or the newer program");
        return None;
    }
    let store = match Database::open(&address.as_it_is(), Pending::Refuse).await {
        Ok(store) => store,
        Err(error) => {
            found.fault("database", error, unreached);
            return None;
        }
    };
    found.good("database", "it answers, with the schema of this program");
    let now = MachineClock.now();
    let examined = async {
        if let Some(known) = known {
            let id = store.setting(INSTALLATION_SETTING).await?;
            if let Err(error) = known.must_be_of(id.as_deref(), &config.data_dir) {
                found.fault("data folder", error, "put the database back that belongs to it, from its backup");
            }
        }
        installed::examine(&store, roots.as_ref(), config, now, found).await?;
        mail::outbox(&store, config, now, found).await?;
        Ok::<_, StoreError>(store.issuer_keys().await?.into_iter().map(|key| key.kid).collect())
    };
    let keys = examined.await;
    store.close().await;
    keys.map_err(|error| found.fault("database", error, "a statement failed: see the database's own log")).ok()
}

/// Examines the data folder: no other user of the machine may read it.
fn folder(path: &Path, found: &mut Findings) {
    match std::fs::metadata(path) {
        Ok(folder) if !folder.is_dir() => {
            found.fault("data folder", format!("{} is no folder", path.display()), "name another one");
        }
        Ok(folder) => {
            let mode = folder.permissions().mode() & 0o7777;
            let says = format!("{} has mode {mode:04o}", path.display());
            if mode & 0o077 == 0 {
                found.good("data folder", says);
            } else {
                found.fault("data folder", says, "chmod 700: others may read what is in it");
            }
        }
        Err(error) => {
            let advice = "start the server once (bmap serve), or name the data folder (--data-dir)";
            found.fault("data folder", format!("{}: {error}", path.display()), advice);
        }
    }
}
