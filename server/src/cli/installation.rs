//! The data folder, the root secret and the database, opened for a command or for the server.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::config::{Config, RootPlace, load_root};
use bmap_issuer::grant_upgrade;
use bmap_issuer::root_check::{self, ForeignRoot};
use bmap_model::audit::chain::ChainKeys;
use bmap_model::clock::{MachineClock, WallClock};
use bmap_model::issuer_key::SealedIssuerKey;
use bmap_model::rng::{self, SystemRandom};
use bmap_model::roots::{Roots, TOKEN_EPOCH_SETTING};
use bmap_protocol::ids::Issuer as IssuerUrl;
use bmap_store::address::Address;
use bmap_store::installation_file::InstallationFile;
use bmap_store::schema::{Pending, Schema};
use bmap_store::{Database, StoreError, data_dir};
use std::path::PathBuf;

/// The name of the setting that holds the issuer's URL.
pub(super) const ISSUER_SETTING: &str = "issuer";
/// The name of the setting that holds the installation's id, which the data folder knows too.
pub(super) const INSTALLATION_SETTING: &str = "installation";

/// Where the database is: as configured, else in the data folder.
pub(super) fn database(config: &Config) -> Address {
    config.database_url.clone().unwrap_or_else(|| Address::file(&config.data_dir.join("bmap.sqlite")))
}

/// The behaviour of a command where there is no installation yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfNone {
    /// It makes one, and says so.
    Make,
    /// It makes one, and says so in its log, which is not open yet.
    MakeAndLog,
    /// It makes nothing: an operator who looks for something in a new installation named the wrong folder.
    Refuse,
}

/// The purpose of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// It may write, if only an entry of the audit log.
    Change,
    /// It reads and shows.
    Look,
}

/// Everything that a command works on.
pub(super) struct Installation {
    pub(super) config: Config,
    pub(super) roots: Roots,
    pub(super) place: RootPlace,
    pub(super) store: Database,
    /// The data folder, if it was made a new installation just now.
    pub(super) made: Option<PathBuf>,
    /// The changes that the upgrade of its rows made just now, a line each, where it was not printed or logged yet.
    pub(super) upgraded: Vec<String>,
}

impl Installation {
    /// Opens it for a command that may write: not with a root secret that is another database's (O14), and not with a database that is
    /// another data folder's.
    pub(super) async fn open(context: &Context, if_none: IfNone) -> Result<Self, CliError> {
        Self::open_for(context, if_none, Purpose::Change).await
    }

    /// Opens it for a command that only looks, also with a root secret that is another database's.
    pub(super) async fn open_to_look(context: &Context) -> Result<Self, CliError> {
        Self::open_for(context, IfNone::Refuse, Purpose::Look).await
    }

    async fn open_for(context: &Context, if_none: IfNone, purpose: Purpose) -> Result<Self, CliError> {
        let config = context.config()?;
        let place = RootPlace::find(&config, &context.environment).map_err(CliError::failed)?;
        let makes_root = place.is_to_be_made(&config).map_err(CliError::failed)?;
        let address = database(&config);
        let missing_file = address.missing_file();
        let makes_any = makes_root || missing_file.is_some();
        let folder = std::path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone());
        let known = InstallationFile::read(&config.data_dir).map_err(CliError::failed)?;
        if let Some(known) = &known {
            must_be_of_kind(known, &address, &config).await?;
            known.must_be_there(&address, &config.data_dir).map_err(CliError::usage)?;
        }
        if let (Some(known), true, IfNone::Refuse) = (&known, makes_root, if_none) {
            return Err(CliError::Usage(format!(
                "there is no root secret in {}, which belongs to installation {}: put the file back from its backup",
                folder.display(),
                known.installation
            )));
        }
        if makes_any && if_none == IfNone::Refuse {
            let missing = missing_file.filter(|_| !makes_root);
            let missing = missing.map_or_else(
                || format!("installation in {}", folder.display()),
                |file| format!("database {}", file.display()),
            );
            return Err(CliError::Usage(format!(
                "there is no {missing}: name the folder of one (--data-dir), or make one (bmap serve)"
            )));
        }
        data_dir::prepare(&config.data_dir).map_err(CliError::failed)?;
        let load = || load_root(&config, &context.environment, &SystemRandom).map_err(CliError::failed);
        let roots = if makes_root { None } else { Some(load()?) };
        let pending = if config.migrate_at_start { Pending::Apply } else { Pending::Refuse };
        if let (Some(roots), Pending::Apply) = (&roots, pending) {
            before_migrating(&address, roots, &place, IfCurrent::Pass).await?;
        }
        if let Some(known) = &known {
            must_be_of_folder(known, &address, &config).await?;
        }
        let store = Database::open(&address, pending).await.map_err(CliError::failed)?;
        // Another process may be making the same installation just now: then there is a root by now.
        if makes_root && is_used(&store).await? && place.is_to_be_made(&config).map_err(CliError::failed)? {
            return Err(CliError::Failed(format!(
                "there is no root secret in {}, and the database has what one sealed: name the folder that has it \
                 (--data-dir), or put the file back from its backup",
                folder.display()
            )));
        }
        let roots = match roots {
            Some(roots) => roots,
            None => load()?,
        };
        if makes_any && if_none == IfNone::Make {
            eprintln!("bmap: made a new installation in {}", folder.display());
        }
        let again = place.clone();
        let roots = roots.with_reread(move || again.read().ok());
        if purpose == Purpose::Change {
            let checked = root_check::check(&store, &roots).await.map_err(CliError::failed)?;
            checked.map_err(|foreign| foreign_root(foreign, &place))?;
            belong_together(&store, known, &address, &config).await?;
        } else if let Some(known) = known {
            let found = store.setting(INSTALLATION_SETTING).await.map_err(CliError::failed)?;
            known.must_be_of(found.as_deref(), &config.data_dir).map_err(CliError::usage)?;
        }
        mint_as_told(&roots, &store).await.map_err(CliError::failed)?;
        let store = store.recording(ChainKeys::new(roots.clone()));
        let upgraded = grant_upgrade::upgrade(&store, &roots, MachineClock.now(), &SystemRandom).await;
        let mut upgraded = upgraded.map_err(CliError::failed)?;
        if if_none != IfNone::MakeAndLog {
            upgraded.drain(..).for_each(|note| eprintln!("bmap: upgrade: {note}"));
        }
        Ok(Self { store, roots, place, config, made: makes_any.then_some(folder), upgraded })
    }

    /// Says so where the root secret is another database's, to a command that only looks; whether it is.
    pub(super) async fn warn_of_foreign_root(&self, shown: &str) -> Result<bool, CliError> {
        let checked = root_check::check(&self.store, &self.roots).await.map_err(CliError::failed)?;
        if let Err(foreign) = checked {
            eprintln!(
                "bmap: warning: {foreign}; {shown}. Put the root secret of this database back ({}), or name the database that \
                 belongs to it (bmap doctor)",
                self.place
            );
        }
        Ok(checked.is_err())
    }

    /// The issuer's URL: as configured, else as the server last ran, else as it would run.
    pub(super) async fn issuer(&self) -> Result<IssuerUrl, CliError> {
        if let Some(issuer) = &self.config.issuer {
            return Ok(issuer.clone());
        }
        let known = self.store.setting(ISSUER_SETTING).await.map_err(CliError::failed)?;
        let known = known.and_then(|text| IssuerUrl::parse(&text).ok());
        Ok(known.unwrap_or_else(|| self.config.issuer_for(self.config.listen)))
    }
}

/// The choice where the schema is current, so that bringing it up changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfCurrent {
    /// Look nevertheless.
    Look,
    /// Let it pass.
    Pass,
}

/// Looks at the issuer's own keys before the schema is brought up, which is also a change.
pub(super) async fn before_migrating(
    address: &Address,
    roots: &Roots,
    place: &RootPlace,
    if_current: IfCurrent,
) -> Result<(), CliError> {
    let mut schema = Schema::open(address).await.map_err(CliError::failed)?;
    let looked = async {
        let is_current = schema.steps().await?.iter().all(|step| step.is_applied);
        let is_passed = is_current && if_current == IfCurrent::Pass;
        if is_passed { Ok(Vec::new()) } else { schema.issuer_keys().await }
    };
    let keys: Vec<SealedIssuerKey> = looked.await.map_err(CliError::failed)?;
    schema.close().await;
    match root_check::by_issuer_keys(&keys, roots) {
        None | Some(Ok(())) => Ok(()),
        Some(Err(foreign)) => Err(foreign_root(foreign, place)),
    }
}

/// Refuses a database of another kind than the data folder's. One that was moved away says where to: the folder belongs to the other by now.
pub(super) async fn must_be_of_kind(
    known: &InstallationFile,
    address: &Address,
    config: &Config,
) -> Result<(), CliError> {
    let Err(other) = known.must_be(address.engine, &config.data_dir) else { return Ok(()) };
    if !address.is_missing_file()
        && let Ok(mut schema) = Schema::open(&address.as_it_is()).await
    {
        let here = schema.must_be_here().await;
        schema.close().await;
        if let Err(error @ (StoreError::Moved { .. } | StoreError::CopyUnfinished)) = here {
            return Err(CliError::failed(error));
        }
    }
    Err(CliError::usage(other))
}

/// Refuses a database that says that it is another installation's, before its schema is brought up.
pub(super) async fn must_be_of_folder(
    known: &InstallationFile,
    address: &Address,
    config: &Config,
) -> Result<(), CliError> {
    let mut schema = Schema::open(address).await.map_err(CliError::failed)?;
    let found = schema.installation(INSTALLATION_SETTING).await;
    schema.close().await;
    match found.map_err(CliError::failed)? {
        Some(found) => known.must_be_of(Some(&found), &config.data_dir).map_err(CliError::usage),
        None => Ok(()),
    }
}

pub(super) fn foreign_root(foreign: ForeignRoot, place: &RootPlace) -> CliError {
    CliError::Failed(format!(
        "{foreign}; nothing was changed. Put the root secret of this database back ({place}), or name the database that \
         belongs to it (bmap doctor)"
    ))
}

/// Has data folder and database know each other, or refuses those that belong to others.
async fn belong_together(
    store: &Database,
    known: Option<InstallationFile>,
    address: &Address,
    config: &Config,
) -> Result<(), CliError> {
    let found = store.setting(INSTALLATION_SETTING).await.map_err(CliError::failed)?;
    if let Some(known) = known {
        return known.must_be_of(found.as_deref(), &config.data_dir).map_err(CliError::usage);
    }
    let installation = match found {
        Some(found) => found,
        None => {
            let id = uuid::Uuid::from_bytes(rng::uuid_v7(MachineClock.now(), &SystemRandom).map_err(CliError::failed)?);
            let id = format!("ins_{}", id.simple());
            store.setting_or(INSTALLATION_SETTING, &id).await.map_err(CliError::failed)?
        }
    };
    let file = InstallationFile { database: address.engine.into(), installation };
    if let Err(error) = file.write(&config.data_dir) {
        // A data folder that is only read has no second database put into it either.
        eprintln!("bmap: note: {error}");
    }
    Ok(())
}

/// Whether anything was ever done in a database.
async fn is_used(store: &Database) -> Result<bool, CliError> {
    let looked = async {
        let is_new = store.newest_audit_row().await? == 0 && store.issuer_keys().await?.is_empty();
        Ok::<_, StoreError>(!is_new || !store.users().await?.is_empty())
    };
    looked.await.map_err(CliError::failed)
}

/// Takes over in which epoch tokens are to be minted.
pub(super) async fn mint_as_told(roots: &Roots, store: &Database) -> Result<(), StoreError> {
    let told = store.setting(TOKEN_EPOCH_SETTING).await?;
    if let Some(epoch) = told.and_then(|text| text.parse().ok()) {
        roots.mint_in(epoch);
    }
    Ok(())
}
