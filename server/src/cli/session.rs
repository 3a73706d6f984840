//! `bmap session list|revoke`: sessions of people who signed in, and of pages at tools.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::installation::{IfNone, Installation};
use crate::cli::output;
use crate::cli::user::find::find as find_user;
use crate::cli::wait::Wait;
use bmap_model::account::LiveSession;
use bmap_model::audit::{Action, Event, Source};
use bmap_model::clock::{MachineClock, WallClock};
use bmap_model::session::{Session, SessionId};
use clap::Subcommand;
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum SessionCommand {
    /// List the sessions that live: of people who signed in, and of pages at tools
    List {
        /// Only those of this user: id, name or email address
        #[arg(long)]
        user: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End a session: it is not gone on with any more, and tokens are not renewed in it
    Revoke {
        /// Its id
        id: String,
        #[command(flatten)]
        wait: Wait,
    },
}

pub(super) async fn run(command: SessionCommand, context: &Context) -> Result<(), CliError> {
    let store = match command {
        SessionCommand::List { .. } => Installation::open_to_look(context).await?.store,
        SessionCommand::Revoke { .. } => Installation::open(context, IfNone::Refuse).await?.store,
    };
    let now = MachineClock.now();
    match command {
        SessionCommand::List { user, json } => {
            let user = match user {
                Some(text) => Some(find_user(&store, &text).await?.id),
                None => None,
            };
            let people = match &user {
                Some(user) => store.live_sessions_of(user, None, u32::MAX, now).await,
                None => store.live_user_sessions(now).await,
            };
            let people = people.map_err(CliError::failed)?;
            let pages = store.live_sessions(user.as_ref(), now).await.map_err(CliError::failed)?;
            let all: Vec<Value> = people.iter().map(of_person).chain(pages.iter().map(of_page)).collect();
            if json {
                output::json(&all)?;
            } else {
                output::table(&table(&all))?;
            }
        }
        SessionCommand::Revoke { id, wait } => {
            let unknown = || CliError::NotFound(format!("there is no session {id:?}"));
            let id = SessionId::parse(&id).ok_or_else(unknown)?;
            let event = Event::done(Action::SessionRevoke, &Source::command_line(), now);
            let ended = store.revoke_user_session(&id, now, &event).await.map_err(CliError::failed)?
                || store.revoke_session(&id, now, &event).await.map_err(CliError::failed)?;
            if !ended {
                return Err(unknown());
            }
            output::text(&format!("{} is ended", id.as_str()))?;
            wait.until_in_force(&store).await?;
        }
    }
    store.close().await;
    Ok(())
}

fn of_person(live: &LiveSession) -> Value {
    let session = &live.session;
    json!({
        "id": session.id.as_str(), "kind": "user", "user": session.user.as_str(), "tool": null, "key": null,
        "created_at": session.created_at.0, "last_used_at": live.last_used_at.0, "expires_at": session.expires_at.0,
    })
}

fn of_page(session: &Session) -> Value {
    json!({
        "id": session.id.as_str(), "kind": "tool", "user": session.user.as_str(), "tool": session.tool.as_str(),
        "key": session.key.as_str(), "user_session": session.user_session.as_ref().map(SessionId::as_str),
        "created_at": session.created_at.0, "expires_at": session.expires_at.0,
    })
}

fn table(sessions: &[Value]) -> Vec<Vec<String>> {
    let columns = ["id", "kind", "user", "tool", "key"];
    let cell = |session: &Value, column| session.get(column).and_then(Value::as_str).unwrap_or("-").to_owned();
    let rows = sessions.iter().map(|session| columns.iter().map(|column| cell(session, *column)).collect());
    std::iter::once(columns.map(str::to_owned).to_vec()).chain(rows).collect()
}
