//! `bmap audit list|verify`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::installation::{Installation, foreign_root};
use crate::cli::key::list as keys;
use crate::cli::output;
use crate::cli::user::find::find as find_user;
use bmap_issuer::audit::verify::verify;
use bmap_issuer::audit::{kept, page};
use bmap_issuer::root_check;
use bmap_model::account::email::EmailAddress;
use bmap_model::audit::Action;
use bmap_model::audit::chain::{Head, Row};
use bmap_model::audit::query::{Filter, MAX_PAGE, OutcomeFilter};
use bmap_protocol::ids::ToolId;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// Kinds of targets.
const KINDS: [&str; 5] = ["user", "api_key", "session", "tool", "token"];
/// Entries between two words on how far it is.
const PROGRESS: i64 = 100_000;

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// List entries, newest first
    List(List),
    /// Check every entry, and that none was changed, put in or taken out; prints the last one, to be noted elsewhere
    Verify {
        /// The last entry as it was noted before: shows that nothing was cut off since
        #[arg(long, value_name = "SEQ:MAC")]
        expect: Option<Head>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// A kind of actor (user, api_key, command_line, anonymous, system), an id, or the id of the user behind it
    #[arg(long)]
    actor: Option<String>,
    /// The action, for example api_key.create
    #[arg(long, value_parser = action)]
    action: Option<Action>,
    /// A kind of target (user, api_key, session, tool, token), an id, the id of the user behind it, or a user, key or tool by name
    #[arg(long)]
    target: Option<String>,
    /// done, refused, or the code of a refusal
    #[arg(long, value_parser = outcome)]
    outcome: Option<OutcomeFilter>,
    /// Not before that, unix milliseconds
    #[arg(long, value_name = "MS")]
    from: Option<i64>,
    /// Before that, unix milliseconds
    #[arg(long, value_name = "MS")]
    to: Option<i64>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Print JSON, one entry on each line
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: AuditCommand, context: &Context) -> Result<(), CliError> {
    let installation = Installation::open_to_look(context).await?;
    let done = match command {
        AuditCommand::List(command) => list(command, &installation).await,
        AuditCommand::Verify { expect, json } => check(expect.as_ref(), json, &installation).await,
    };
    installation.store.close().await;
    done
}

async fn list(list: List, installation: &Installation) -> Result<(), CliError> {
    let List { actor, action, target, outcome, from, to, limit, json } = list;
    let target = match target {
        Some(text) => Some(named(text, installation).await?),
        None => None,
    };
    let filter = Filter { actor, action, target, outcome, from, to, of: None };
    let (mut left, mut cursor) = (limit, None);
    let mut rows = Vec::new();
    while left > 0 {
        let page = page::page(&installation.store, &filter, cursor, left.min(MAX_PAGE)).await;
        let (found, next) = page.map_err(CliError::failed)?;
        left = left.saturating_sub(u32::try_from(found.len()).unwrap_or(left));
        if json {
            found.iter().try_for_each(|row| output::json(&describe(row)))?;
        } else {
            rows.extend(found.iter().map(cells));
        }
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    if !json {
        let heading = ["entry", "time", "action", "outcome", "actor", "target", "address", "detail"];
        output::table(&std::iter::once(heading.map(str::to_owned).to_vec()).chain(rows).collect::<Vec<_>>())?;
    }
    Ok(())
}

/// The id of a user or a key that is named, or the text as it is: a kind, an id, a tool, or a name that there is no more.
async fn named(text: String, installation: &Installation) -> Result<String, CliError> {
    let store = &installation.store;
    let is_tool = match ToolId::parse(&text) {
        Ok(id) => store.tool(&id).await.map_err(CliError::failed)?.is_some(),
        Err(_) => false,
    };
    if is_tool || KINDS.contains(&text.as_str()) {
        return Ok(text);
    }
    match find_user(store, &text).await {
        Ok(user) => return Ok(user.id.to_string()),
        Err(CliError::NotFound(_)) => {}
        // Ambiguous. A text that can't be a name is an id, or nothing that is there.
        Err(error) if EmailAddress::parse(&text).is_ok() => return Err(error),
        Err(_) => return Ok(text),
    }
    let mut keys = keys::all(None, installation).await?;
    keys.retain(|key| key.rows.current.name.as_str() == text);
    match keys.as_slice() {
        [] => Ok(text),
        [one] => Ok(one.rows.current.id.to_string()),
        several => {
            let ids: Vec<_> = several.iter().map(|key| key.rows.current.id.to_string()).collect();
            Err(CliError::Usage(format!("--target: several keys have that name, give the id: {}", ids.join(", "))))
        }
    }
}

async fn check(expect: Option<&Head>, json: bool, installation: &Installation) -> Result<(), CliError> {
    let fits = root_check::check(&installation.store, &installation.roots).await.map_err(CliError::failed)?;
    let has_keys = !installation.store.issuer_keys().await.map_err(CliError::failed)?.is_empty();
    // An entry that does not open with another installation's root secret is no edited entry.
    if let (Err(foreign), true) = (fits, has_keys) {
        return Err(foreign_root(foreign, &installation.place));
    }
    let keys = kept::keys(&installation.store, &installation.roots).await.map_err(CliError::failed)?;
    let progress = |so_far: i64| {
        if so_far % PROGRESS == 0 {
            eprintln!("bmap: {so_far} entries hold");
        }
    };
    match verify(&installation.store, &keys, expect, progress).await.map_err(CliError::failed)? {
        Ok(head) if json => output::json(&json!({ "ok": true, "entries": head.sequence, "head": head.to_string() })),
        Ok(head) => {
            println!("{} entries hold. The last one, to be noted elsewhere:\n{head}", head.sequence);
            Ok(())
        }
        Err(broken) => {
            // Without a key of the issuer's own the log itself has to tell: where neither end of it holds, it is the root secret.
            if let (Err(foreign), 1) = (fits, broken.sequence) {
                return Err(foreign_root(foreign, &installation.place));
            }
            if json {
                let reason = broken.fault.to_string();
                output::json(&json!({ "ok": false, "first_bad": broken.sequence, "reason": reason }))?;
            }
            Err(CliError::Failed(format!("the audit log does not hold: {broken}")))
        }
    }
}

fn action(name: &str) -> Result<Action, String> {
    let names = || Action::ALL.iter().map(|action| action.as_str()).collect::<Vec<_>>().join(", ");
    Action::from_name(name).ok_or_else(|| format!("none of {}", names()))
}

fn outcome(text: &str) -> Result<OutcomeFilter, String> {
    OutcomeFilter::parse(text).ok_or_else(|| "neither done, refused, nor the code of a refusal".to_owned())
}

fn describe(row: &Row) -> Value {
    let content = &row.content;
    let target = content
        .target
        .as_ref()
        .map(|kind| json!({ "kind": kind, "id": content.target_id, "user": content.target_user }));
    json!({
        "sequence": row.sequence, "at": content.at, "action": content.action, "outcome": content.outcome,
        "actor": { "kind": content.actor, "id": content.actor_id, "user": content.actor_user }, "target": target,
        "address": content.address, "request_id": content.request_id,
        "detail": serde_json::from_str::<Value>(&content.detail).unwrap_or_default(), "mac": row.mac,
    })
}

fn cells(row: &Row) -> Vec<String> {
    let content = &row.content;
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    vec![
        row.sequence.to_string(),
        output::time(content.at),
        content.action.clone(),
        content.outcome.clone(),
        content.actor_id.clone().unwrap_or_else(|| content.actor.clone()),
        text(&content.target_id),
        text(&content.address),
        content.detail.clone(),
    ]
}
