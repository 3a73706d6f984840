//! A tool's credential, made from the root secret and the tool's row.

use crate::cli::error::CliError;
use crate::cli::installation::{ISSUER_SETTING, Installation};
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_issuer::issuer::issuer_keys;
use bmap_model::clock::{MachineClock, WallClock};
use bmap_model::rng::SystemRandom;
use bmap_model::stored_origin::StoredOrigin;
use bmap_model::tool::{Tool, ToolOrigins};
use bmap_protocol::origin::Origin;
use bmap_protocol::token::IssuerKey;
use bmap_verifier::{AllowedOrigins, ToolCredential};

/// The credential of a tool.
pub(super) async fn credential(tool: &Tool, installation: &Installation) -> Result<ToolCredential, CliError> {
    let own = origins(tool, std::slice::from_ref(&tool.base_url))?;
    let issuer = installation.issuer().await?;
    let known = installation.store.setting(ISSUER_SETTING).await.map_err(CliError::failed)?;
    if let Some(known) = known.filter(|known| known != issuer.as_str()) {
        eprintln!(
            "bmap: note: the issuer was {known} when its server last ran, and this credential is for {issuer}: a tool with it takes \
             tokens of that one only"
        );
    }
    let rows = issuer_keys(&installation.store, &installation.roots, MachineClock.now(), &SystemRandom)
        .await
        .map_err(CliError::failed)?;
    let mut keys = Vec::new();
    for row in rows {
        let mut public_key = [0; 32];
        Base64UrlUnpadded::decode(&row.public_key, &mut public_key).map_err(CliError::failed)?;
        keys.push(IssuerKey::new(&row.kid, &public_key).map_err(CliError::failed)?);
    }
    Ok(ToolCredential {
        epochs: installation
            .roots
            .all()
            .iter()
            .map(|epoch| (epoch.epoch(), epoch.tool_key(&issuer, &tool.id)))
            .collect(),
        issuer,
        tool: tool.id.clone(),
        own,
        issuer_keys: keys,
        origins: match &tool.origins {
            ToolOrigins::AnyRegistered => AllowedOrigins::NamedByToken,
            ToolOrigins::Only(listed) => AllowedOrigins::These(origins(tool, listed)?.into()),
        },
        min_assurance: tool.min_assurance,
        scopes: tool.required_scopes.words().map(str::to_owned).collect(),
        policy: tool.policy.clone(),
    })
}

/// Origins in the spelling that browsers send: a tool takes no credential with another one.
fn origins(tool: &Tool, stored: &[StoredOrigin]) -> Result<Vec<Origin>, CliError> {
    let of_browsers = |stored: &StoredOrigin| {
        let fault = || format!("{}: bmap tool edit {}", stored.fault().unwrap_or_default(), tool.id);
        stored.origin().cloned().ok_or_else(|| CliError::Failed(fault()))
    };
    stored.iter().map(of_browsers).collect()
}
