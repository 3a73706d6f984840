//! A tool's credential, made from the root secret and the tool's row.

use super::CliError;
use super::installation::Installation;
use crate::clock::{Clock, SystemClock};
use crate::domain::issuer::issuer_keys;
use crate::domain::tool::{Tool, ToolOrigins};
use crate::rng::SystemRandom;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::token::IssuerKey;
use bmap_verifier::{AllowedOrigins, ToolCredential};

/// The credential of a tool.
pub(super) async fn credential(tool: &Tool, installation: &Installation) -> Result<ToolCredential, CliError> {
    let issuer = installation.issuer().await?;
    let rows = issuer_keys(&installation.store, &installation.roots, SystemClock.now(), &SystemRandom)
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
        own: vec![tool.base_url.clone()],
        issuer_keys: keys,
        origins: match &tool.origins {
            ToolOrigins::AnyRegistered => AllowedOrigins::NamedByToken,
            ToolOrigins::Only(origins) => AllowedOrigins::These(origins.clone().into()),
        },
        min_assurance: tool.min_assurance,
        scopes: tool.required_scopes.words().map(str::to_owned).collect(),
    })
}
