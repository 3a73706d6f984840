//! `bmap user add|list|deactivate|activate`.

use super::installation::Installation;
use super::{CliError, Context, output};
use crate::clock::{Clock, SystemClock};
use crate::domain::issuer::new_user;
use crate::domain::user::{User, UserName, UserState};
use crate::rng::SystemRandom;
use crate::store::{Database, Users};
use bmap_protocol::ids::UserId;
use clap::Subcommand;
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Add a user
    Add {
        /// Its name
        name: UserName,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List users
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Deactivate a user: its keys and the renewal of its tokens stop working at once
    Deactivate {
        /// Id or name
        user: String,
    },
    /// Activate a user again
    Activate {
        /// Id or name
        user: String,
    },
}

pub(super) async fn run(command: UserCommand, context: &Context) -> Result<(), CliError> {
    let store = Installation::open(context).await?.store;
    match command {
        UserCommand::Add { name, json } => {
            let user = new_user(name, SystemClock.now(), &SystemRandom).map_err(CliError::failed)?;
            store.add_user(&user).await.map_err(CliError::failed)?;
            if json { output::json(&describe(&user))? } else { println!("{}", user.id) }
        }
        UserCommand::List { json } => {
            let users = store.users().await.map_err(CliError::failed)?;
            if json {
                output::json(&users.iter().map(describe).collect::<Vec<_>>())?;
            } else {
                let heading = vec!["id".to_owned(), "name".to_owned(), "state".to_owned()];
                let rows =
                    users.iter().map(|user| vec![user.id.to_string(), user.name.to_string(), state(user).to_owned()]);
                output::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>());
            }
        }
        UserCommand::Deactivate { user } => {
            let user = find(&store, &user).await?;
            store.set_deactivated(&user.id, Some(SystemClock.now())).await.map_err(CliError::failed)?;
        }
        UserCommand::Activate { user } => {
            let user = find(&store, &user).await?;
            store.set_deactivated(&user.id, None).await.map_err(CliError::failed)?;
        }
    }
    store.close().await;
    Ok(())
}

/// The user with that id or name.
pub(super) async fn find(store: &Database, text: &str) -> Result<User, CliError> {
    let found = match (UserId::parse(text), UserName::parse(text)) {
        (Ok(id), _) => store.user(&id).await,
        (_, Ok(name)) => store.user_by_name(&name).await,
        (_, Err(error)) => return Err(CliError::Usage(error.to_string())),
    };
    found.map_err(CliError::failed)?.ok_or_else(|| CliError::NotFound(format!("there is no user {text:?}")))
}

fn state(user: &User) -> &'static str {
    match user.state {
        UserState::Active => "active",
        UserState::Deactivated { .. } => "deactivated",
    }
}

fn describe(user: &User) -> Value {
    let deactivated_at = match user.state {
        UserState::Active => None,
        UserState::Deactivated { at } => Some(at.0),
    };
    json!({
        "id": user.id.as_str(), "name": user.name.as_str(), "state": state(user),
        "created_at": user.created_at.0, "deactivated_at": deactivated_at,
    })
}
