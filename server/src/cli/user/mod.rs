//! `bmap user add|list|deactivate|activate|role|identity`.

pub(super) mod find;
mod identity;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::installation::{IfNone, Installation};
use crate::cli::output;
use crate::cli::wait::Wait;
use bmap_issuer::account::registration_mode::RegistrationMode;
use bmap_issuer::issuer::{new_user, user_created};
use bmap_model::account::email::EmailAddress;
use bmap_model::account::invitation::InvitationRow;
use bmap_model::audit::{Action, Event, Source};
use bmap_model::clock::{MachineClock, WallClock};
use bmap_model::rng::SystemRandom;
use bmap_model::role::{Role, UnverifiedRole};
use bmap_model::roots::Roots;
use bmap_model::user::{User, UserName, UserState};
use bmap_store::UserChange;
use clap::Subcommand;
use find::find;
use identity::IdentityCommand;
use serde_json::{Value, json};
use std::collections::HashMap;

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Add a user
    Add {
        /// Its name, without an @: a person with an address is invited (bmap user invite)
        #[arg(value_parser = new_name)]
        name: UserName,
        /// Make it an admin, who may administer users over HTTP
        #[arg(long)]
        admin: bool,
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
    /// Deactivate a user: its keys and the renewal of its tokens stop working at once, its sessions end for good
    Deactivate {
        /// Id, name or email address
        user: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Activate a user again
    Activate {
        /// Id, name or email address
        user: String,
    },
    /// Say who is an admin, who may administer users over HTTP
    Role {
        /// Id, name or email address
        user: String,
        /// `admin` or `member`
        role: Role,
    },
    /// Invite an address: prints a link that makes its account, for you to hand on; it works for seven days and once
    Invite {
        /// The address
        #[arg(value_parser = email)]
        email: EmailAddress,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// The identities of users at OpenID providers
    #[command(subcommand)]
    Identity(IdentityCommand),
}

pub(super) async fn run(command: UserCommand, context: &Context) -> Result<(), CliError> {
    let installation = match command {
        UserCommand::Add { .. } => Installation::open(context, IfNone::Make).await?,
        UserCommand::Identity(IdentityCommand::List { .. }) | UserCommand::List { .. } => {
            Installation::open_to_look(context).await?
        }
        _ => Installation::open(context, IfNone::Refuse).await?,
    };
    let Installation { store, roots, .. } = &installation;
    match command {
        UserCommand::Add { name, admin, json } => {
            let mut user = new_user(name, MachineClock.now(), &SystemRandom).map_err(CliError::failed)?;
            if admin {
                user.unverified_role = UnverifiedRole::seal(roots, &user.id, Role::Admin);
            }
            let event = user_created(&user, &Source::command_line());
            store.add_user(&user, &event).await.map_err(CliError::failed)?;
            if json { output::json(&describe(&user, None, roots))? } else { println!("{}", user.id) }
        }
        UserCommand::List { json } => {
            let is_foreign =
                installation.warn_of_foreign_root("who is an admin can't be told: roles are shown as \"?\"").await?;
            let users = store.users().await.map_err(CliError::failed)?;
            let accounts = store.accounts().await.map_err(CliError::failed)?;
            let emails: HashMap<&str, &str> =
                accounts.iter().map(|account| (account.user.as_str(), account.email.as_str())).collect();
            let email = |user: &User| emails.get(user.id.as_str()).copied();
            if json {
                let described = |user: &User| {
                    let mut described = describe(user, email(user), roots);
                    if let (true, Some(role)) = (is_foreign, described.get_mut("role")) {
                        *role = Value::Null;
                    }
                    described
                };
                output::json(&users.iter().map(described).collect::<Vec<_>>())?;
            } else {
                let heading = ["id", "name", "email", "role", "state"].map(str::to_owned).to_vec();
                let row = |user: &User| {
                    let role = if is_foreign { "?" } else { user.role(roots).as_str() };
                    let texts = [user.id.as_str(), user.name.as_str(), email(user).unwrap_or("-"), role, state(user)];
                    texts.map(str::to_owned).to_vec()
                };
                let rows = users.iter().map(row);
                output::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())?;
            }
        }
        UserCommand::Deactivate { user, wait } => {
            let user = find(store, &user).await?;
            let now = MachineClock.now();
            if let UserState::Deactivated { at } = user.state {
                output::text(&format!("{} was deactivated before, at {}", named(&user), output::time(at.0)))?;
                return wait.until_in_force(store).await;
            }
            let sessions = store.live_sessions_of(&user.id, None, u32::MAX, now).await.map_err(CliError::failed)?;
            let event = Event::done(Action::UserDeactivate, &Source::command_line(), now).on(&user.id);
            store.set_deactivated(&user.id, Some(now), &event).await.map_err(CliError::failed)?;
            output::text(&format!(
                "{} is deactivated: no sign-in, no API key and no renewal of a token works; sessions ended: {}",
                named(&user),
                sessions.len()
            ))?;
            let users = store.users().await.map_err(CliError::failed)?;
            let is_active_admin = |user: &User| user.state == UserState::Active && user.role(roots) == Role::Admin;
            if user.role(roots) == Role::Admin && !users.iter().any(is_active_admin) {
                eprintln!(
                    "bmap: note: no active user is an admin now, and none administers over HTTP until bmap user activate {} \
                     or bmap user role USER admin",
                    user.id
                );
            }
            wait.until_in_force(store).await?;
        }
        UserCommand::Activate { user } => {
            let user = find(store, &user).await?;
            let event = Event::done(Action::UserActivate, &Source::command_line(), MachineClock.now()).on(&user.id);
            store.set_deactivated(&user.id, None, &event).await.map_err(CliError::failed)?;
            output::text(&format!(
                "{} is active: sign-in and API keys work; sessions that ended stay ended",
                named(&user)
            ))?;
        }
        UserCommand::Role { user, role } => {
            let user = find(store, &user).await?;
            // The operator may leave no admin: a person who can run this can make another one.
            let change = UserChange::Role(UnverifiedRole::seal(roots, &user.id, role));
            let event = change.event(&user.id, &Source::command_line(), MachineClock.now());
            store.change_user(&user.id, &change, &|_, _| true, None, &event).await.map_err(CliError::failed)?;
            output::text(&format!("{} has the role {}", named(&user), role.as_str()))?;
        }
        UserCommand::Invite { email, json } => invite(email, json, &installation).await?,
        UserCommand::Identity(command) => identity::run(command, &installation).await?,
    }
    installation.store.close().await;
    Ok(())
}

/// The name of a new user. One that reads like an address would stand before the person who has that address wherever a user is named.
fn new_name(text: &str) -> Result<UserName, String> {
    if text.contains('@') {
        return Err("a name has no @: `bmap user invite ADDRESS` invites the person who has an address".to_owned());
    }
    UserName::parse(text).map_err(|error| error.to_string())
}

fn email(text: &str) -> Result<EmailAddress, String> {
    EmailAddress::parse(text).map_err(|error| error.to_string())
}

async fn invite(email: EmailAddress, json: bool, installation: &Installation) -> Result<(), CliError> {
    let Installation { store, roots, config, .. } = installation;
    if config.registration == RegistrationMode::Closed {
        return Err(CliError::Failed("registration is closed: set it to invited or open".to_owned()));
    }
    if store.account_by_email(&email).await.map_err(CliError::failed)?.is_some() {
        return Err(CliError::Failed(format!("{email} has an account already")));
    }
    let now = MachineClock.now();
    let (token, row) = InvitationRow::new(roots, &SystemRandom, email, now).map_err(CliError::failed)?;
    let event = Event::done(Action::UserInvite, &Source::command_line(), now);
    store.add_invitation(&row, None, None, &event).await.map_err(CliError::failed)?;
    let link = format!("{}/auth/invitation?token={}", installation.issuer().await?, *token.reveal());
    match json {
        true => output::json(&json!({ "link": link, "expires_at": row.expires_at.0 })),
        false => output::text(&link),
    }
}

/// A user as commands name it. Names may be older than the rule about what is in one.
fn named(user: &User) -> String {
    format!("{} ({})", user.id, user.name.as_str().escape_debug())
}

fn state(user: &User) -> &'static str {
    match user.state {
        UserState::Active => "active",
        UserState::Deactivated { .. } => "deactivated",
    }
}

fn describe(user: &User, email: Option<&str>, roots: &Roots) -> Value {
    let deactivated_at = match user.state {
        UserState::Active => None,
        UserState::Deactivated { at } => Some(at.0),
    };
    json!({
        "id": user.id.as_str(), "name": user.name.as_str(), "email": email,
        "role": user.role(roots).as_str(), "state": state(user),
        "created_at": user.created_at.0, "deactivated_at": deactivated_at,
    })
}
