//! The user that a command names.

use crate::cli::error::CliError;
use bmap_model::account::email::EmailAddress;
use bmap_model::user::{InvalidUserName, User, UserName};
use bmap_protocol::ids::UserId;
use bmap_store::Database;

/// The user with that id, name or email address. Names may be older than the rule that they have no @, so a name and an address of two
/// users can be one text: then it is no user's.
pub(in crate::cli) async fn find(store: &Database, text: &str) -> Result<User, CliError> {
    let found = match (UserId::parse(text), UserName::stored(text)) {
        (Ok(id), _) => store.user(&id).await,
        (_, Some(name)) => store.user_by_name(&name).await,
        // Longer than a name can be; an address may be.
        (_, None) if EmailAddress::parse(text).is_ok() => Ok(None),
        (_, None) => return Err(CliError::usage(InvalidUserName)),
    };
    let named = found.map_err(CliError::failed)?;
    let account = match EmailAddress::parse(text) {
        Ok(email) => store.account_by_email(&email).await.map_err(CliError::failed)?,
        Err(_) => None,
    };
    let user = match account {
        Some(account) => store.user(&account.user).await.map_err(CliError::failed)?,
        None => None,
    };
    if let (Some(named), Some(user)) = (&named, &user)
        && named.id != user.id
    {
        return Err(CliError::Usage(format!(
            "{text:?} is the name of {} and the address of {}: give the id",
            named.id, user.id
        )));
    }
    named.or(user).ok_or_else(|| CliError::NotFound(format!("there is no user {text:?}")))
}
