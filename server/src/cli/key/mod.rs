//! `bmap key add|list|show|edit|regenerate|revoke`.

mod end;
pub(super) mod list;
mod service;
mod shown;

use crate::cli::arguments::{parse_scopes, seconds};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::installation::{IfNone, Installation};
use crate::cli::tool::grants;
use crate::cli::user::find::find as find_user;
use crate::cli::wait::Wait;
use bmap_issuer::error::IssuerError;
use bmap_issuer::issuer::{NewApiKey, key_created, new_api_key};
use bmap_issuer::keys::form::{self, KeyChange};
use bmap_issuer::keys::service::IfFormer;
use bmap_model::api_key::{KeyScope, MAX_SCOPE_ENTRIES, ToolSet};
use bmap_model::audit::Source;
use bmap_model::clock::{MachineClock, UnixTime, WallClock};
use bmap_model::keys::new_key::MAX_GRACE_SECONDS;
use bmap_model::keys::new_key::NewSecret;
use bmap_model::keys::{KeyRows, ManagedKey};
use bmap_model::page_origin::page_origin;
use bmap_model::rng::SystemRandom;
use bmap_model::scope::Scopes;
use bmap_model::tool_grant::ToolOfUser;
use bmap_model::user::UserName;
use bmap_protocol::ids::{ApiKeyId, ToolId};
use bmap_protocol::origin::Origin;
use bmap_protocol::seal::SigningKind;
use clap::{Args, Subcommand, ValueEnum};
use end::revoke;
use ipnet::IpNet;
use list::list;
use service::{operator, refused, service};
use shown::{shown, with_secret};

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
        #[command(flatten)]
        wait: Wait,
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
    let installation = match command {
        KeyCommand::List { .. } | KeyCommand::Show { .. } => {
            let installation = Installation::open_to_look(context).await?;
            installation.warn_of_foreign_root("its keys are shown as unusable").await?;
            installation
        }
        _ => Installation::open(context, IfNone::Refuse).await?,
    };
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
        KeyCommand::Revoke { id, wait } => {
            revoke(&id, &installation).await?;
            wait.until_in_force(&installation.store).await?;
        }
    }
    installation.store.close().await;
    Ok(())
}

async fn add(add: Add, installation: &Installation) -> Result<(), CliError> {
    let now = MachineClock.now();
    let owner = find_user(&installation.store, &add.user).await?;
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
    let mut known = Scopes::default();
    for id in tools {
        let tool = installation.store.tool(id).await.map_err(CliError::failed)?;
        let tool = tool.ok_or_else(|| CliError::NotFound(format!("there is no tool {id}: bmap tool add makes it")))?;
        known = known.union(&tool.all_scopes());
    }
    let unknown = scope.scopes.as_ref().map(|scopes| scopes.beyond(&known)).filter(|unknown| !unknown.is_empty());
    if let (Some(unknown), [_, ..]) = (unknown, tools) {
        let known = if known.is_empty() { "none".to_owned() } else { known.to_string() };
        return Err(CliError::Usage(format!(
            "--scopes: no tool of the key knows {unknown}; they know: {known} (bmap tool edit --scopes)"
        )));
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
        let ends_at = scope.expires_at.map(|end| UnixTime(0).plus_seconds(end));
        let grant = before.widened(&key.owner, &scopes, ends_at, now, &installation.roots)?;
        Ok(grant.map(|grant| (grant.clone(), grant.given(&Source::command_line()).with("key", &key.id))))
    };
    let given = installation
        .store
        .add_key_with_grants(&key, &scope, &event, tools, &widen)
        .await
        .map_err(|error| refused(error.into()))?;
    for grant in &given {
        eprintln!("bmap: note: {}", grants::told(grant));
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
        IssuerError::InvalidState { hint } if hint.ends_with("end_former") => {
            CliError::Failed(format!("{hint} (--end-former)"))
        }
        other => refused(other),
    })?;
    keys.store_secret(&new, None, None).await.map_err(refused)?;
    Ok(new)
}

fn change(edit: &Edit) -> Result<KeyChange, CliError> {
    let now = MachineClock.now();
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

/// A grace: like a life, and also none.
fn grace(text: &str) -> Result<i64, String> {
    let seconds = if text == "0" || text == "0s" { 0 } else { seconds(text)? };
    if seconds <= MAX_GRACE_SECONDS { Ok(seconds) } else { Err("at most 7d".to_owned()) }
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
