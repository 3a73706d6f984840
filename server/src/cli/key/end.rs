//! `bmap key revoke`: the end of an API key, and what it leaves.

use super::service::{operator, refused, service};
use crate::cli::error::CliError;
use crate::cli::installation::Installation;
use crate::cli::output;
use bmap_model::api_key::KeyState;
use bmap_protocol::ids::ApiKeyId;

/// Says which grants a revoked key leaves: its user may have them from elsewhere, and use them with another key.
async fn left(id: &ApiKeyId, installation: &Installation) -> Result<(), CliError> {
    let Some(key) = installation.store.api_key(id).await.map_err(CliError::failed)? else { return Ok(()) };
    let grants = installation.store.grants_of_user(&key.owner).await.map_err(CliError::failed)?;
    let tools = key.open(&installation.roots).map(|key| key.scope.tools);
    for grant in grants.iter().filter(|grant| tools.as_ref().is_ok_and(|tools| tools.contains(&grant.tool))) {
        eprintln!(
            "bmap: note: {0} keeps the grant of {1}: bmap tool revoke-grant {0} {1} takes it away",
            grant.user, grant.tool
        );
    }
    Ok(())
}

pub(super) async fn revoke(id: &ApiKeyId, installation: &Installation) -> Result<(), CliError> {
    let keys = service(installation);
    let key = keys.find(&operator(), id).await.map_err(refused)?.rows.current;
    let named = format!("{id} ({}) of {}", key.name.as_str().escape_debug(), key.owner);
    if let KeyState::Revoked { at } = key.state {
        return output::text(&format!("{named} was revoked before, at {}", output::time(at.0)));
    }
    keys.revoke(&operator(), id).await.map_err(refused)?;
    left(id, installation).await?;
    output::text(&format!(
        "{named} is revoked: its secrets, its tickets and the renewal of its tokens stopped working. A token that was minted is \
         refused within a second by a tool with a live link, and works elsewhere until it ends, {} s at most",
        installation.config.lives.token_seconds
    ))
}
