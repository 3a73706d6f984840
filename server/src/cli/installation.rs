//! The data folder, the root secret and the database, opened for a command or for the server.

use super::{CliError, Context};
use crate::config::{Config, RootPlace, load_root};
use crate::domain::audit::chain::ChainKeys;
use crate::domain::roots::{Roots, TOKEN_EPOCH_SETTING};
use crate::rng::SystemRandom;
use crate::store::address::Address;
use crate::store::schema::Pending;
use crate::store::{Database, Settings, StoreError, data_dir};
use bmap_protocol::ids::Issuer as IssuerUrl;

/// The name of the setting that holds the issuer's URL.
pub(super) const ISSUER_SETTING: &str = "issuer";

/// Where the database is: as configured, else in the data folder.
pub(super) fn database(config: &Config) -> Address {
    config.database_url.clone().unwrap_or_else(|| Address::file(&config.data_dir.join("bmap.sqlite")))
}

/// Everything that a command works on.
pub(super) struct Installation {
    pub(super) config: Config,
    pub(super) roots: Roots,
    pub(super) place: RootPlace,
    pub(super) store: Database,
}

impl Installation {
    /// Opens it; makes what is not there yet.
    pub(super) async fn open(context: &Context) -> Result<Self, CliError> {
        let config = context.config()?;
        data_dir::prepare(&config.data_dir).map_err(CliError::failed)?;
        let roots = load_root(&config, &context.environment, &SystemRandom).map_err(CliError::failed)?;
        let pending = if config.migrate_at_start { Pending::Apply } else { Pending::Refuse };
        let store = Database::open(&database(&config), pending).await;
        let store = store.map_err(CliError::failed)?;
        let place = RootPlace::find(&config, &context.environment).map_err(CliError::failed)?;
        let again = place.clone();
        let roots = roots.with_reread(move || again.read().ok());
        mint_as_told(&roots, &store).await.map_err(CliError::failed)?;
        let store = store.recording(ChainKeys::new(roots.clone()));
        Ok(Self { store, roots, place, config })
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

/// Takes over in which epoch tokens are to be minted.
pub(super) async fn mint_as_told(roots: &Roots, store: &Database) -> Result<(), StoreError> {
    let told = store.setting(TOKEN_EPOCH_SETTING).await?;
    if let Some(epoch) = told.and_then(|text| text.parse().ok()) {
        roots.mint_in(epoch);
    }
    Ok(())
}
