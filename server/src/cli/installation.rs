//! The data folder, the root secret and the database, opened for a command or for the server.

use super::{CliError, Context};
use crate::config::{Config, load_root};
use crate::domain::roots::Roots;
use crate::rng::SystemRandom;
use crate::store::{Database, Settings, data_dir};
use bmap_protocol::ids::Issuer as IssuerUrl;

/// The name of the setting that holds the issuer's URL.
pub(super) const ISSUER_SETTING: &str = "issuer";

/// Everything that a command works on.
pub(super) struct Installation {
    pub(super) config: Config,
    pub(super) roots: Roots,
    pub(super) store: Database,
}

impl Installation {
    /// Opens it; makes what is not there yet.
    pub(super) async fn open(context: &Context) -> Result<Self, CliError> {
        let config = context.config()?;
        data_dir::prepare(&config.data_dir).map_err(CliError::failed)?;
        let roots = load_root(&config, &context.environment, &SystemRandom).map_err(CliError::failed)?;
        let store = match &config.database_url {
            Some(url) => Database::open(url.expose()).await,
            None => Database::open_sqlite(&config.data_dir.join("bmap.sqlite")).await,
        };
        Ok(Self { store: store.map_err(CliError::failed)?, roots, config })
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
