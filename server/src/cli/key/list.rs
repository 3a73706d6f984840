//! `bmap key list`.

use super::service::{refused, service};
use super::shown::{describe, last_used, standing};
use crate::cli::error::CliError;
use crate::cli::installation::Installation;
use crate::cli::output;
use crate::cli::user::find::find as find_user;
use bmap_issuer::keys::service::MAX_PAGE;
use bmap_model::keys::ManagedKey;
use bmap_protocol::ids::UserId;

pub(super) async fn list(user: Option<&str>, json: bool, installation: &Installation) -> Result<(), CliError> {
    let user = match user {
        Some(text) => Some(find_user(&installation.store, text).await?.id),
        None => None,
    };
    let keys = all(user.as_ref(), installation).await?;
    if json {
        return output::json(&keys.iter().map(|key| describe(key, installation)).collect::<Vec<_>>());
    }
    let heading = ["id", "user", "name", "signing", "state", "last used", "scope"].map(str::to_owned).to_vec();
    let rows = keys.iter().map(|key| {
        let current = &key.rows.current;
        vec![
            current.id.to_string(),
            current.owner.to_string(),
            current.name.to_string(),
            current.signing.as_str().to_owned(),
            standing(key, installation).to_owned(),
            last_used(key).unwrap_or_else(|| "-".to_owned()),
            current.scope.clone(),
        ]
    });
    output::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())
}

/// Every key, or every key of a user.
pub(in crate::cli) async fn all(
    user: Option<&UserId>,
    installation: &Installation,
) -> Result<Vec<ManagedKey>, CliError> {
    let (mut keys, mut more) = (Vec::new(), true);
    while more {
        let after = keys.last().map(|last: &ManagedKey| last.rows.current.id.clone());
        let page = service(installation).list(user, after.as_ref(), MAX_PAGE).await.map_err(refused)?;
        keys.extend(page.0);
        more = page.1;
    }
    Ok(keys)
}
