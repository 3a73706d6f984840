//! An API key, as it is printed.

use crate::cli::error::CliError;
use crate::cli::installation::Installation;
use crate::cli::output;
use bmap_model::api_key::KeyState;
use bmap_model::clock::{MachineClock, UnixTime, WallClock};
use bmap_model::keys::ManagedKey;
use bmap_protocol::api_key::ApiSecret;
use serde_json::{Value, json};

pub(super) fn standing(key: &ManagedKey, installation: &Installation) -> &'static str {
    key.rows.standing(&installation.roots, MachineClock.now()).as_str()
}

/// When, from where and how, for people.
pub(super) fn last_used(key: &ManagedKey) -> Option<String> {
    let last_use = key.last_use?;
    Some(format!("{} from {} ({})", output::time(last_use.at.0), last_use.address, last_use.way.as_str()))
}

/// Prints a key with its secret.
pub(super) fn with_secret(
    key: &ManagedKey,
    secret: &ApiSecret,
    json: bool,
    installation: &Installation,
) -> Result<(), CliError> {
    let shown = secret.reveal();
    if json {
        let mut described = describe(key, installation);
        if let Some(members) = described.as_object_mut() {
            members.insert("secret".to_owned(), Value::from(shown.as_str()));
        }
        return output::json(&described);
    }
    println!("key id  {}\nsecret  {}\nThe secret is shown this once.", key.rows.current.id, *shown);
    if let Some(end) = key.rows.former_end(&installation.roots, MachineClock.now()) {
        println!("The old secret works until {}.", output::time(UnixTime(0).plus_seconds(end).0));
    }
    Ok(())
}

/// Prints a key.
pub(super) fn shown(key: &ManagedKey, json: bool, installation: &Installation) -> Result<(), CliError> {
    if json {
        return output::json(&describe(key, installation));
    }
    let current = &key.rows.current;
    let former = key.rows.former_end(&installation.roots, MachineClock.now());
    let former = former.map(|end| format!("works until {}", output::time(UnixTime(0).plus_seconds(end).0)));
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    output::table(&[
        row("id", current.id.to_string()),
        row("user", current.owner.to_string()),
        row("name", current.name.to_string()),
        row("signing", current.signing.as_str().to_owned()),
        row("state", standing(key, installation).to_owned()),
        row("scope", current.scope.clone()),
        row("made", output::time(current.created_at.0)),
        row("former secret", former.unwrap_or_else(|| "-".to_owned())),
        row("last used", last_used(key).unwrap_or_else(|| "-".to_owned())),
    ])
}

pub(super) fn describe(key: &ManagedKey, installation: &Installation) -> Value {
    let current = &key.rows.current;
    let revoked_at = match current.state {
        KeyState::Active => None,
        KeyState::Revoked { at } => Some(at.0),
    };
    let former = key.rows.former_end(&installation.roots, MachineClock.now());
    let former = former.map(|end| json!({ "expires_at": UnixTime(0).plus_seconds(end).0 }));
    let last_used = key.last_use.map(|last_use| {
        json!({ "at": last_use.at.0, "address": last_use.address.to_string(), "way": last_use.way.as_str() })
    });
    json!({
        "id": current.id.as_str(), "user": current.owner.as_str(), "name": current.name.as_str(),
        "signing": current.signing.as_str(), "state": standing(key, installation), "created_at": current.created_at.0,
        "revoked_at": revoked_at, "scope": serde_json::from_str::<Value>(&current.scope).unwrap_or(Value::Null),
        "former": former, "last_used": last_used,
    })
}
