//! `bmap key add|list|show|edit|regenerate|revoke`.

use super::installation::{IfNone, Installation};
use super::tool::parse_scopes;
use super::{CliError, Context, key_end, output, tool_grants, user};
use crate::clock::{Clock, SystemClock, UnixMillis};
use crate::domain::api_key::{KeyScope, KeyState, MAX_SCOPE_ENTRIES, ToolSet};
use crate::domain::audit::Source;
use crate::domain::issuer::{NewApiKey, key_created, new_api_key};
use crate::domain::keys::form::{self, KeyChange};
use crate::domain::keys::manager::{Manager, Right};
use crate::domain::keys::service::{IfFormer, KeyService, MAX_PAGE, NewSecret};
use crate::domain::keys::{KeyRows, ManagedKey};
use crate::domain::page_origin::page_origin;
use crate::domain::refusal::Refusal;
use crate::domain::scope::Scopes;
use crate::domain::tool_grant::ToolOfUser;
use crate::domain::user::UserName;
use crate::rng::SystemRandom;
use crate::store::{ToolGrants, Tools};
use bmap_protocol::api_key::ApiSecret;
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
        /// Only those of this user: id, name or email address
        #[arg(long)]
        user: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show an API key: its rights, and when and from where it was last used
    Show {
        /// Its id
        id: ApiKeyId,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change the name and the rights of an API key; the change counts for the next request
    Edit(Box<Edit>),
    /// Give an API key a new secret, which is shown this once; the old one works on for a while
    Regenerate {
        /// Its id
        id: ApiKeyId,
        /// How long the old secret works on, for example 24h, 7d or 0s; at most 7d
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = grace)]
        grace: i64,
        /// End a former secret that still works; without it such a key gets no new secret
        #[arg(long)]
        end_former: bool,
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
#[command(
    after_help = "Its user is granted the named tools too, with the key's scopes and until its end, beside what they have already."
)]
pub(super) struct Add {
    /// Its user: id, name or email address
    #[arg(long)]
    user: String,
    /// Its name
    #[arg(long)]
    name: UserName,
    /// A tool that it may get tokens for; may be repeated; '*' for every tool
    #[arg(long = "tool", value_name = "TOOL")]
    tools: Vec<String>,
    /// Origin of a page that it may make tickets for; may be repeated
    #[arg(long = "origin", value_name = "ORIGIN", value_parser = page_origin)]
    origins: Vec<Origin>,
    /// Network that it may be used from; may be repeated; any if none is given
    #[arg(long = "cidr", value_name = "CIDR", value_parser = form::network)]
    cidrs: Vec<IpNet>,
    /// Its life, for example 90d, 12h, 30m or 45s; without end if not given
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    expires_in: Option<i64>,
    /// Scopes that its tokens may have at most, space-separated; whatever its user may have if not given
    #[arg(long, value_parser = parse_scopes)]
    scopes: Option<Scopes>,
    /// How it signs requests
    #[arg(long, value_enum, default_value_t = Signing::HmacSha256)]
    signing: Signing,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "What is not named stays.")]
pub(super) struct Edit {
    /// Its id
    id: ApiKeyId,
    /// Its name
    #[arg(long)]
    name: Option<UserName>,
    /// A tool that it may get tokens for; may be repeated; '*' for every tool
    #[arg(long = "tool", value_name = "TOOL")]
    tools: Vec<String>,
    /// Origin of a page that it may make tickets for; may be repeated
    #[arg(long = "origin", value_name = "ORIGIN", value_parser = page_origin)]
    origins: Vec<Origin>,
    /// No page at all
    #[arg(long, conflicts_with = "origins")]
    no_origin: bool,
    /// Network that it may be used from; may be repeated
    #[arg(long = "cidr", value_name = "CIDR", value_parser = form::network)]
    cidrs: Vec<IpNet>,
    /// From any network
    #[arg(long, conflicts_with = "cidrs")]
    any_network: bool,
    /// Its life from now on, for example 90d, 12h, 30m or 45s
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    expires_in: Option<i64>,
    /// Without end
    #[arg(long, conflicts_with = "expires_in")]
    no_end: bool,
    /// Scopes that its tokens may have at most, space-separated
    #[arg(long, value_parser = parse_scopes)]
    scopes: Option<Scopes>,
    /// Whatever scopes its user may have
    #[arg(long, conflicts_with = "scopes")]
    any_scope: bool,
    /// Whether it administers this installation over HTTP, as the key of the first start does; its user must be an admin
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    administer: Option<bool>,
    /// It administers nothing
    #[arg(long, conflicts_with = "administer")]
    no_administer: bool,
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
    let installation = Installation::open(context, IfNone::Refuse).await?;
    match command {
        KeyCommand::Add(add_command) => add(add_command, &installation).await?,
        KeyCommand::List { user, json } => list(user.as_deref(), json, &installation).await?,
        KeyCommand::Show { id, json } => {
            let key = service(&installation).find(&operator(), &id).await.map_err(refused)?;
            shown(&key, json, &installation)?;
        }
        KeyCommand::Edit(edit) => {
            let change = change(&edit)?;
            let key = service(&installation).change(&operator(), &edit.id, &change, None).await.map_err(refused)?;
            shown(&key, edit.json, &installation)?;
        }
        KeyCommand::Regenerate { id, grace, end_former, json } => {
            let if_former = if end_former { IfFormer::End } else { IfFormer::Refuse };
            let new = regenerate(&id, grace, if_former, &installation).await?;
            if new.ends_former {
                eprintln!(
                    "bmap: note: the secret before the last one had a grace, which is ended: two of a key work at most"
                );
            }
            with_secret(&ManagedKey { rows: new.after, last_use: new.last_use }, &new.secret, json, &installation)?;
        }
        KeyCommand::Revoke { id } => key_end::revoke(&id, &installation).await?,
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
    for origin in &add.origins {
        installation.config.origin_rules.check(origin).map_err(|why| CliError::Usage(format!("--origin: {why}")))?;
    }
    let scope = KeyScope {
        tools: tool_set(&add.tools)?,
        origins: form::stored(add.origins),
        cidrs: add.cidrs,
        expires_at: add.expires_in.map(|life| now.plus_seconds(life).seconds()),
        scopes: add.scopes,
        administer: false,
    };
    let tools = match &scope.tools {
        ToolSet::Only(tools) => tools.as_slice(),
        ToolSet::Any => {
            eprintln!(
                "bmap: note: '*' grants nothing: the key gets tokens for tools that are open or granted to its user"
            );
            &[]
        }
    };
    for tool in tools {
        if installation.store.tool(tool).await.map_err(CliError::failed)?.is_none() {
            return Err(CliError::NotFound(format!("there is no tool {tool}: bmap tool add makes it")));
        }
    }
    if scope.tools == ToolSet::default() {
        eprintln!("bmap: note: without --tool the key can't get any token");
    }
    let signing = match add.signing {
        Signing::HmacSha256 => SigningKind::HmacSha256,
        Signing::Ed25519 => SigningKind::Ed25519,
    };
    let new = NewApiKey { owner: owner.id, name: add.name, signing, scope: &scope };
    let (key, secret) = new_api_key(&installation.roots, now, &SystemRandom, new).map_err(CliError::failed)?;
    let event = key_created(&key, &scope, &Source::command_line());
    let widen = |before: &ToolOfUser| {
        let of_tool = before.tool.all_scopes();
        let scopes = scope.scopes.as_ref().map_or_else(|| of_tool.clone(), |own| own.intersection(&of_tool));
        let ends_at = scope.expires_at.map(|end| UnixMillis(0).plus_seconds(end));
        let grant = before.widened(&key.owner, &scopes, ends_at, now, &installation.roots)?;
        Ok(grant.map(|grant| (grant.clone(), grant.given(&Source::command_line()).with("key", &key.id))))
    };
    let given = installation.store.add_key_with_grants(&key, &scope, &event, tools, &widen).await.map_err(refused)?;
    for grant in &given {
        eprintln!("bmap: note: {}", tool_grants::told(grant));
    }
    let managed = ManagedKey { rows: KeyRows { current: key, former: None }, last_use: None };
    with_secret(&managed, &secret, add.json, installation)
}

async fn regenerate(
    id: &ApiKeyId,
    grace: i64,
    if_former: IfFormer,
    installation: &Installation,
) -> Result<NewSecret, CliError> {
    let keys = service(installation);
    let new = keys.make_secret(&operator(), id, grace, if_former).await.map_err(|refusal| match refusal {
        Refusal::InvalidState { hint } if hint.ends_with("end_former") => {
            CliError::Failed(format!("{hint} (--end-former)"))
        }
        other => refused(other),
    })?;
    keys.store_secret(&new, None, None).await.map_err(refused)?;
    Ok(new)
}

async fn list(user: Option<&str>, json: bool, installation: &Installation) -> Result<(), CliError> {
    let user = match user {
        Some(text) => Some(user::find(&installation.store, text).await?.id),
        None => None,
    };
    let (mut keys, mut more) = (Vec::new(), true);
    while more {
        let after = keys.last().map(|last: &ManagedKey| last.rows.current.id.clone());
        let page = service(installation).list(user.as_ref(), after.as_ref(), MAX_PAGE).await.map_err(refused)?;
        keys.extend(page.0);
        more = page.1;
    }
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

pub(super) fn service(installation: &Installation) -> KeyService<'_> {
    KeyService::new(&installation.store, &installation.roots, &SystemClock, &SystemRandom)
        .with_origin_rules(installation.config.origin_rules)
}

pub(super) fn operator() -> Manager {
    Manager { right: Right::Operator, source: Source::command_line() }
}

pub(super) fn refused(refusal: Refusal) -> CliError {
    match refusal {
        Refusal::NotFound { .. } => CliError::NotFound("there is no such API key".to_owned()),
        Refusal::Invalid { field, hint } => CliError::Usage(format!("{field}: {hint}")),
        Refusal::ToolsDenied { hint } => CliError::Failed(format!("{hint} (bmap tool grant USER TOOL)")),
        other => CliError::failed(other),
    }
}

fn change(edit: &Edit) -> Result<KeyChange, CliError> {
    let now = SystemClock.now();
    let named = |is_named: bool, is_none: bool| is_named || is_none;
    Ok(KeyChange {
        name: edit.name.clone(),
        tools: if edit.tools.is_empty() { None } else { Some(form::tools(&edit.tools).map_err(refused)?) },
        origins: named(!edit.origins.is_empty(), edit.no_origin).then(|| edit.origins.clone()),
        cidrs: named(!edit.cidrs.is_empty(), edit.any_network).then(|| edit.cidrs.clone()),
        expires_at: match (edit.expires_in, edit.no_end) {
            (Some(life), _) => Some(Some(now.plus_seconds(life).seconds())),
            (None, true) => Some(None),
            (None, false) => None,
        },
        scopes: match (&edit.scopes, edit.any_scope) {
            (Some(scopes), _) => Some(Some(scopes.clone())),
            (None, true) => Some(None),
            (None, false) => None,
        },
        administer: edit.administer.or(edit.no_administer.then_some(false)),
    })
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

pub(super) fn seconds(text: &str) -> Result<i64, String> {
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
    let parsed = units.into_iter().find_map(|(unit, seconds)| {
        let number: i64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(seconds).filter(|total| (1..=36_525 * 86_400).contains(total))
    });
    parsed.ok_or_else(|| "a time is a number and one of s, m, h, d, at most 36525d".to_owned())
}

/// A grace: like a life, and also none.
fn grace(text: &str) -> Result<i64, String> {
    let seconds = if text == "0" || text == "0s" { 0 } else { seconds(text)? };
    if seconds <= form::MAX_GRACE_SECONDS { Ok(seconds) } else { Err("at most 7d".to_owned()) }
}

fn standing(key: &ManagedKey, installation: &Installation) -> &'static str {
    key.rows.standing(&installation.roots, SystemClock.now()).as_str()
}

/// When, from where and how, for people.
fn last_used(key: &ManagedKey) -> Option<String> {
    let last_use = key.last_use?;
    Some(format!("{} from {} ({})", output::time(last_use.at.0), last_use.address, last_use.way.as_str()))
}

/// Prints a key with its secret.
fn with_secret(key: &ManagedKey, secret: &ApiSecret, json: bool, installation: &Installation) -> Result<(), CliError> {
    let shown = secret.reveal();
    if json {
        let mut described = describe(key, installation);
        if let Some(members) = described.as_object_mut() {
            members.insert("secret".to_owned(), Value::from(shown.as_str()));
        }
        return output::json(&described);
    }
    println!("key id  {}\nsecret  {}\nThe secret is shown this once.", key.rows.current.id, *shown);
    if let Some(end) = key.rows.former_end(&installation.roots, SystemClock.now()) {
        println!("The old secret works until {}.", output::time(UnixMillis(0).plus_seconds(end).0));
    }
    Ok(())
}

/// Prints a key.
fn shown(key: &ManagedKey, json: bool, installation: &Installation) -> Result<(), CliError> {
    if json {
        return output::json(&describe(key, installation));
    }
    let current = &key.rows.current;
    let former = key.rows.former_end(&installation.roots, SystemClock.now());
    let former = former.map(|end| format!("works until {}", output::time(UnixMillis(0).plus_seconds(end).0)));
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

fn describe(key: &ManagedKey, installation: &Installation) -> Value {
    let current = &key.rows.current;
    let revoked_at = match current.state {
        KeyState::Active => None,
        KeyState::Revoked { at } => Some(at.0),
    };
    let former = key.rows.former_end(&installation.roots, SystemClock.now());
    let former = former.map(|end| json!({ "expires_at": UnixMillis(0).plus_seconds(end).0 }));
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
