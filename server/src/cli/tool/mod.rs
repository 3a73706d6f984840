//! `bmap tool add|edit|list|show|grant|revoke-grant|grants|confirm|credential|remove`.

mod credential;
mod describe;
pub(super) mod grants;
mod policy;
mod service;
mod show;

use crate::cli::arguments::parse_scopes;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::installation::{IfNone, Installation};
use crate::cli::output;
use crate::cli::wait::Wait;
use bmap_issuer::keys::form::stored;
use bmap_issuer::tools::ToolChange;
use bmap_model::audit::{Action, Event, Source};
use bmap_model::clock::{MachineClock, WallClock};
use bmap_model::page_origin::{base_url, page_origin};
use bmap_model::scope::Scopes;
use bmap_model::tool::{Access, CallerKinds, Tool, ToolOrigins, assurance};
use bmap_model::tool_policy;
use bmap_protocol::ids::ToolId;
use bmap_protocol::origin::Origin;
use bmap_protocol::token::Assurance;
use clap::{Args, Subcommand};
use credential::credential;
use describe::describe;
use service::{refused, service};

#[derive(Debug, Subcommand)]
pub(super) enum ToolCommand {
    /// Add a tool
    Add(Add),
    /// Change a tool; it counts for the next token
    Edit(Box<Edit>),
    /// Grant a tool to a user, in the place of any grant that the user has of it
    Grant(grants::Grant),
    /// Take a user's grant of a tool away: no more tokens by it
    RevokeGrant {
        /// The user: id, name or email address
        user: String,
        /// The tool
        tool: ToolId,
        #[command(flatten)]
        wait: Wait,
    },
    /// List grants
    Grants(grants::List),
    /// List tools
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a tool, with the verifiers that have a live link
    Show {
        /// Its id
        id: ToolId,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Seal a tool as it is in the database: once you have looked at it (bmap tool list), where it has no seal or was edited
    Confirm {
        /// Its id
        id: ToolId,
    },
    /// Print a tool's credential, for its BMAP_TOOL_CREDENTIAL; its holder can forge requests to this one tool
    Credential {
        /// Its id
        id: ToolId,
    },
    /// Remove a tool with its grants: no more tokens for it
    Remove {
        /// Its id
        id: ToolId,
    },
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// Its id: 1 to 32 of a-z, 0-9 and -
    id: ToolId,
    /// Its public base URL: scheme, host and port only
    #[arg(long, value_name = "URL", value_parser = base_url)]
    url: Origin,
    /// Origin of a page that may use it; may be repeated; any origin that an API key registered if none is given
    #[arg(long = "origin", value_name = "ORIGIN", value_parser = page_origin)]
    origins: Vec<Origin>,
    /// The lowest assurance that it accepts: origin, user or server
    #[arg(long, default_value = "origin", value_parser = parse_assurance)]
    min_assurance: Assurance,
    /// Scopes that tokens for it may have, space-separated
    #[arg(long, default_value = "", value_parser = parse_scopes)]
    scopes: Scopes,
    /// Scopes that every token for it must have, space-separated
    #[arg(long, default_value = "", value_parser = parse_scopes)]
    require_scopes: Scopes,
    /// Every user may have it
    #[arg(long, conflicts_with = "granted")]
    open: bool,
    /// Users with a grant may have it, which is the default
    #[arg(long)]
    granted: bool,
    /// The kinds of callers that it takes: of page, direct, user and public
    #[arg(long, default_value = "page direct", value_parser = parse_callers)]
    callers: CallerKinds,
    /// While it is open: the scopes that a user without a grant may have, space-separated; they hold the required ones
    #[arg(long, default_value = "", value_parser = parse_scopes)]
    open_scopes: Scopes,
    /// A file with its policy as JSON, or - for the standard input
    #[arg(long, value_name = "FILE")]
    policy: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "What is not named stays. A tool with a live link has the change within a second; another one checks its address, origins, \
                  assurance, scopes and policy by its credential: give it a new one."
)]
pub(super) struct Edit {
    /// Its id
    id: ToolId,
    /// Its public base URL: scheme, host and port only
    #[arg(long, value_name = "URL", value_parser = base_url)]
    url: Option<Origin>,
    /// Origin of a page that may use it; may be repeated
    #[arg(long = "origin", value_name = "ORIGIN", value_parser = page_origin)]
    origins: Vec<Origin>,
    /// Any origin that an API key registered
    #[arg(long, conflicts_with = "origins")]
    any_origin: bool,
    /// The lowest assurance that it accepts: origin, user or server
    #[arg(long, value_parser = parse_assurance)]
    min_assurance: Option<Assurance>,
    /// Scopes that tokens for it may have, space-separated
    #[arg(long, value_parser = parse_scopes)]
    scopes: Option<Scopes>,
    /// Scopes that every token for it must have, space-separated
    #[arg(long, value_parser = parse_scopes)]
    require_scopes: Option<Scopes>,
    /// Every user may have it
    #[arg(long, conflicts_with = "granted")]
    open: bool,
    /// Users with a grant may have it
    #[arg(long)]
    granted: bool,
    /// The kinds of callers that it takes: of page, direct, user and public
    #[arg(long, value_parser = parse_callers)]
    callers: Option<CallerKinds>,
    /// While it is open: the scopes that a user without a grant may have, space-separated
    #[arg(long, value_parser = parse_scopes)]
    open_scopes: Option<Scopes>,
    /// A file with its policy as JSON, - for the standard input, or none to take it away
    #[arg(long, value_name = "FILE")]
    policy: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    wait: Wait,
}

pub(super) async fn run(command: ToolCommand, context: &Context) -> Result<(), CliError> {
    let installation = match command {
        ToolCommand::Add(_) => Installation::open(context, IfNone::Make).await?,
        ToolCommand::List { .. } | ToolCommand::Show { .. } | ToolCommand::Grants(_) => {
            Installation::open_to_look(context).await?
        }
        _ => Installation::open(context, IfNone::Refuse).await?,
    };
    let not_found = |id: &ToolId| CliError::NotFound(format!("there is no tool {id}"));
    match command {
        ToolCommand::Add(add_command) => add(add_command, &installation).await?,
        ToolCommand::Edit(edit_command) => {
            let wait = edit_command.wait;
            edit(*edit_command, &installation).await?;
            wait.until_in_force(&installation.store).await?;
        }
        ToolCommand::Grant(grant) => grants::grant(grant, &installation).await?,
        ToolCommand::RevokeGrant { user, tool, wait } => {
            grants::revoke(&user, &tool, &installation).await?;
            wait.until_in_force(&installation.store).await?;
        }
        ToolCommand::Grants(list) => grants::list(list, &installation).await?,
        ToolCommand::List { json } => list(json, &installation).await?,
        ToolCommand::Show { id, json } => show::show(&id, json, &installation).await?,
        ToolCommand::Credential { id } => {
            let tool = installation.store.tool(&id).await.map_err(CliError::failed)?.ok_or_else(|| not_found(&id))?;
            tool.check_seal(&installation.roots).map_err(|fault| {
                CliError::Failed(format!("the row of {id} is not as it was written: {fault}; look at it (bmap tool list), then bmap tool confirm {id}"))
            })?;
            let credential = credential(&tool, &installation).await?;
            let event = Event::done(Action::ToolCredential, &Source::command_line(), MachineClock.now()).on(&id);
            installation.store.append(&[event]).await.map_err(CliError::failed)?;
            println!("{}", *credential.expose());
        }
        ToolCommand::Confirm { id } => {
            let tool = installation.store.tool(&id).await.map_err(CliError::failed)?.ok_or_else(|| not_found(&id))?;
            let tool = tool.sealed(&installation.roots.sealing());
            let event = Event::done(Action::ToolConfirm, &Source::command_line(), MachineClock.now()).on(&id);
            let event = tool.told(event);
            if !installation.store.confirm_tool(&tool, &event).await.map_err(CliError::failed)? {
                return Err(CliError::Failed(format!("the row of {id} was changed just now; look at it again")));
            }
            output::json(&describe(&tool))?;
        }
        ToolCommand::Remove { id } => {
            let event = Event::done(Action::ToolRemove, &Source::command_line(), MachineClock.now()).on(&id);
            if !installation.store.remove_tool(&id, &event).await.map_err(CliError::failed)? {
                return Err(not_found(&id));
            }
            output::text(&format!(
                "{id} is removed: no tickets and no tokens for it any more. A token that was minted works at the tool until it ends, {} s \
                 at most; API keys that name the tool go on naming it",
                installation.config.lives.token_seconds
            ))?;
        }
    }
    installation.store.close().await;
    Ok(())
}

async fn add(add: Add, installation: &Installation) -> Result<(), CliError> {
    if add.url.scheme() == "http" && !add.url.is_loopback() {
        eprintln!("bmap: note: {} is not encrypted; signed requests don't hide what is in them", add.url);
    }
    for origin in &add.origins {
        installation.config.origin_rules.check(origin).map_err(|why| CliError::Usage(format!("--origin: {why}")))?;
    }
    let tool = Tool {
        id: add.id,
        base_url: add.url.into(),
        origins: if add.origins.is_empty() {
            ToolOrigins::AnyRegistered
        } else {
            ToolOrigins::Only(stored(add.origins))
        },
        min_assurance: add.min_assurance,
        scopes: add.scopes,
        required_scopes: add.require_scopes,
        access: if add.open { Access::Open } else { Access::Granted },
        callers: add.callers,
        open_scopes: add.open_scopes,
        policy: add.policy.as_deref().map(policy::read).transpose()?.unwrap_or_default(),
        created_at: MachineClock.now(),
        seal: None,
    };
    let tool = service(installation).add(tool, &Source::command_line()).await.map_err(refused)?;
    if add.json {
        output::json(&describe(&tool))
    } else {
        println!("{}", tool.id);
        Ok(())
    }
}

async fn edit(edit: Edit, installation: &Installation) -> Result<(), CliError> {
    let change = ToolChange {
        base_url: edit.url,
        origins: match (edit.origins.is_empty(), edit.any_origin) {
            (_, true) => Some(ToolOrigins::AnyRegistered),
            (false, false) => Some(ToolOrigins::Only(stored(edit.origins))),
            (true, false) => None,
        },
        min_assurance: edit.min_assurance,
        scopes: edit.scopes,
        required_scopes: edit.require_scopes,
        access: match (edit.open, edit.granted) {
            (true, _) => Some(Access::Open),
            (false, true) => Some(Access::Granted),
            (false, false) => None,
        },
        callers: edit.callers,
        open_scopes: edit.open_scopes,
        policy: edit.policy.as_deref().map(policy::read).transpose()?,
    };
    let tool = service(installation).change(&edit.id, &change, &Source::command_line()).await.map_err(refused)?;
    if edit.json {
        return output::json(&describe(&tool));
    }
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    output::table(&[
        row("id", tool.id.to_string()),
        row("url", tool.base_url.to_string()),
        row("origins", tool.origins.to_list().join(" ")),
        row("min assurance", tool.min_assurance.as_str().to_owned()),
        row("scopes", tool.scopes.to_string()),
        row("required scopes", tool.required_scopes.to_string()),
        row("access", tool.access.as_str().to_owned()),
        row("callers", tool.callers.to_string()),
        row("open scopes", tool.open_scopes.to_string()),
        row("policy", tool_policy::text(&tool.policy)),
    ])
}

async fn list(json: bool, installation: &Installation) -> Result<(), CliError> {
    let tools = installation.store.tools().await.map_err(CliError::failed)?;
    if json {
        return output::json(&tools.iter().map(describe).collect::<Vec<_>>());
    }
    let heading = ["id", "url", "origins", "min assurance", "scopes", "access", "callers"].map(str::to_owned).to_vec();
    let rows = tools.iter().map(|tool| {
        vec![
            tool.id.to_string(),
            tool.base_url.to_string(),
            tool.origins.to_list().join(" "),
            tool.min_assurance.as_str().to_owned(),
            tool.all_scopes().to_string(),
            tool.access.as_str().to_owned(),
            tool.callers.to_string(),
        ]
    });
    output::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())
}

fn parse_callers(text: &str) -> Result<CallerKinds, String> {
    CallerKinds::parse(text).map_err(|error| error.to_string())
}

fn parse_assurance(text: &str) -> Result<Assurance, String> {
    assurance(text).ok_or_else(|| "neither origin, user nor server".to_owned())
}
