//! `bmap key add|list|revoke`.

use super::installation::Installation;
use super::{CliError, Context, output, user};
use crate::clock::{Clock, SystemClock};
use crate::domain::api_key::{KeyScope, KeyState, MAX_SCOPE_ENTRIES, SealedApiKey, ToolSet};
use crate::domain::audit::{Action, Event, Source};
use crate::domain::issuer::{NewApiKey, key_created, new_api_key};
use crate::domain::page_origin::page_origin;
use crate::domain::user::UserName;
use crate::rng::SystemRandom;
use crate::store::{ApiKeys, Tools};
use bmap_protocol::ids::{ApiKeyId, ToolId};
use bmap_protocol::origin::Origin;
use bmap_protocol::seal::SigningKind;
use clap::{Args, Subcommand, ValueEnum};
use ipnet::IpNet;
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Add an API key; its secret is shown this once
    Add(Add),
    /// List API keys
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke an API key: it stops working at once, for good
    Revoke {
        /// Its id
        id: ApiKeyId,
    },
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// Its user, by id or name
    #[arg(long, value_name = "ID")]
    user: String,
    /// What people call it
    #[arg(long)]
    name: UserName,
    /// A tool that it may get tokens for; may be repeated; '*' for every tool
    #[arg(long = "tool", value_name = "TOOL")]
    tools: Vec<String>,
    /// Origin of a page that it may make tickets for; may be repeated
    #[arg(long = "origin", value_name = "ORIGIN", value_parser = page_origin)]
    origins: Vec<Origin>,
    /// Network that it may be used from; may be repeated; any if none is given
    #[arg(long = "cidr", value_name = "CIDR")]
    cidrs: Vec<IpNet>,
    /// Its life, for example 90d, 12h, 30m or 45s; without end if not given
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    expires_in: Option<i64>,
    /// How it signs requests
    #[arg(long, value_enum, default_value_t = Signing::HmacSha256)]
    signing: Signing,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Signing {
    HmacSha256,
    Ed25519,
}

pub(super) async fn run(command: KeyCommand, context: &Context) -> Result<(), CliError> {
    let installation = Installation::open(context).await?;
    match command {
        KeyCommand::Add(add_command) => add(add_command, &installation).await?,
        KeyCommand::List { json } => list(json, &installation).await?,
        KeyCommand::Revoke { id } => {
            let now = SystemClock.now();
            let event = Event::done(Action::ApiKeyRevoke, &Source::command_line(), now);
            if !installation.store.revoke_api_key(&id, now, &event).await.map_err(CliError::failed)? {
                return Err(CliError::NotFound(format!("there is no API key {id}")));
            }
        }
    }
    installation.store.close().await;
    Ok(())
}

async fn add(add: Add, installation: &Installation) -> Result<(), CliError> {
    let now = SystemClock.now();
    let owner = user::find(&installation.store, &add.user).await?;
    let entries = add.tools.len().max(add.origins.len()).max(add.cidrs.len());
    if entries > MAX_SCOPE_ENTRIES {
        return Err(CliError::Usage(format!("at most {MAX_SCOPE_ENTRIES} tools, origins and networks each")));
    }
    let scope = KeyScope {
        tools: tool_set(&add.tools)?,
        origins: add.origins,
        cidrs: add.cidrs,
        expires_at: add.expires_in.map(|life| now.plus_seconds(life).seconds()),
    };
    if let ToolSet::Only(tools) = &scope.tools {
        for tool in tools {
            if installation.store.tool(tool).await.map_err(CliError::failed)?.is_none() {
                eprintln!("bmap: note: there is no tool {tool} yet");
            }
        }
        if tools.is_empty() {
            eprintln!("bmap: note: without --tool the key can't get any token");
        }
    }
    let signing = match add.signing {
        Signing::HmacSha256 => SigningKind::HmacSha256,
        Signing::Ed25519 => SigningKind::Ed25519,
    };
    let new = NewApiKey { owner: owner.id, name: add.name, signing, scope: &scope };
    let (key, secret) = new_api_key(&installation.roots, now, &SystemRandom, new).map_err(CliError::failed)?;
    let event = key_created(&key, &scope, &Source::command_line());
    installation.store.add_api_key(&key, &scope, &event).await.map_err(CliError::failed)?;
    let shown = secret.reveal();
    if add.json {
        let mut described = describe(&key);
        if let Some(members) = described.as_object_mut() {
            members.insert("secret".to_owned(), Value::from(shown.as_str()));
        }
        output::json(&described)
    } else {
        println!("key id  {}\nsecret  {}\nThe secret is shown this once.", key.id, *shown);
        Ok(())
    }
}

async fn list(json: bool, installation: &Installation) -> Result<(), CliError> {
    let keys = installation.store.api_keys().await.map_err(CliError::failed)?;
    if json {
        return output::json(&keys.iter().map(describe).collect::<Vec<_>>());
    }
    let heading = ["id", "user", "name", "signing", "state", "scope"].map(str::to_owned).to_vec();
    let rows = keys.iter().map(|key| {
        let texts =
            [key.id.as_str(), key.owner.as_str(), key.name.as_str(), key.signing.as_str(), state(key), &key.scope];
        texts.map(str::to_owned).to_vec()
    });
    output::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>());
    Ok(())
}

fn tool_set(texts: &[String]) -> Result<ToolSet, CliError> {
    if texts.iter().any(|text| text == "*") {
        return match texts.len() {
            1 => Ok(ToolSet::Any),
            _ => Err(CliError::Usage("--tool '*' stands for every tool and goes with no other".to_owned())),
        };
    }
    let tools = texts.iter().map(|text| ToolId::parse(text)).collect::<Result<_, _>>();
    tools.map(ToolSet::Only).map_err(|error| CliError::Usage(format!("--tool: {error}")))
}

fn seconds(text: &str) -> Result<i64, String> {
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
    let parsed = units.into_iter().find_map(|(unit, seconds)| {
        let number: i64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(seconds).filter(|total| (1..=36_525 * 86_400).contains(total))
    });
    parsed.ok_or_else(|| "a time is a number and one of s, m, h, d, at most 36525d".to_owned())
}

fn state(key: &SealedApiKey) -> &'static str {
    match key.state {
        KeyState::Active => "active",
        KeyState::Revoked { .. } => "revoked",
    }
}

fn describe(key: &SealedApiKey) -> Value {
    let revoked_at = match key.state {
        KeyState::Active => None,
        KeyState::Revoked { at } => Some(at.0),
    };
    json!({
        "id": key.id.as_str(), "user": key.owner.as_str(), "name": key.name.as_str(), "signing": key.signing.as_str(),
        "state": state(key), "created_at": key.created_at.0, "revoked_at": revoked_at,
        "scope": serde_json::from_str::<Value>(&key.scope).unwrap_or(Value::Null),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(seconds("90d"), Ok(90 * 86_400));
        assert_eq!(seconds("45s"), Ok(45));
        for bad in ["", "d", "1", "-1d", "0s", "1w", "99999999999999999999d", "9223372036854775807d"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_star_stands_alone() {
        assert_eq!(tool_set(&["*".to_owned()]).unwrap(), ToolSet::Any);
        assert!(tool_set(&["*".to_owned(), "geo".to_owned()]).is_err());
        assert!(tool_set(&["Geo".to_owned()]).is_err());
    }
}
