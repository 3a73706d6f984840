//! `bmap migrate --reopen`: the way back to a database that was moved away.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::installation::{INSTALLATION_SETTING, database, foreign_root};
use crate::cli::output;
use crate::config::{Config, RootPlace};
use bmap_issuer::root_check;
use bmap_model::roots::Roots;
use bmap_store::copy::Source;
use bmap_store::installation_file::InstallationFile;
use serde_json::json;

pub(super) async fn run(as_json: bool, config: &Config, context: &Context) -> Result<(), CliError> {
    let address = database(config);
    if let Some(file) = address.missing_file() {
        return Err(CliError::Usage(format!("there is no database {}", file.display())));
    }
    let place = RootPlace::find(config, &context.environment).map_err(CliError::failed)?;
    let roots = Roots::new(place.read().map_err(CliError::failed)?).map_err(CliError::failed)?;
    let known = InstallationFile::read(&config.data_dir).map_err(CliError::failed)?;
    let mut source = Source::open(&address).await.map_err(CliError::failed)?;
    let installation = source.setting(INSTALLATION_SETTING).await.map_err(CliError::failed)?;
    if let Some(known) = &known {
        known.must_be_of(installation.as_deref(), &config.data_dir).map_err(CliError::usage)?;
    }
    let keys = source.issuer_keys().await.map_err(CliError::failed)?;
    let by_keys = root_check::by_issuer_keys(&keys, &roots);
    by_keys.unwrap_or(Ok(())).map_err(|foreign| foreign_root(foreign, &place))?;
    let moved = source.moved().await.map_err(CliError::failed)?;
    let Some(moved) = moved else {
        return Err(CliError::Failed(format!("{} was not moved: there is nothing to reopen", address.shown())));
    };
    source.reopen().await.map_err(CliError::failed)?;
    source.close().await;
    if let Some(known) = known {
        let back = InstallationFile { database: address.engine.into(), ..known };
        back.write(&config.data_dir).map_err(CliError::failed)?;
    }
    let shown = address.shown();
    if as_json {
        return output::json(&json!({ "reopened": shown, "was_moved_to": moved.to }));
    }
    output::text(&format!(
        "{shown} may be served again. Never serve {} again: drop it. Requests that were signed until now are refused (503), and clients \
         sign again.",
        moved.to
    ))
}
