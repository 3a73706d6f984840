//! `bmap user identity list|confirm`: the identities of users at OpenID providers.

use super::find::find;
use crate::cli::error::CliError;
use crate::cli::installation::Installation;
use crate::cli::output;
use bmap_model::audit::{Action, Event, Source};
use bmap_model::clock::{MachineClock, WallClock};
use bmap_model::openid::{Identity, IdentityKey};
use bmap_model::roots::Roots;
use clap::Subcommand;
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum IdentityCommand {
    /// List the identities of a user at OpenID providers
    List {
        /// Id, name or email address; without it every identity that has no seal, whosever it is
        user: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Seal an identity as it is in the database: once you know that it is that user's, where it has no seal or was edited
    Confirm {
        /// Id, name or email address of its user
        user: String,
        /// The provider's issuer URL
        issuer: String,
        /// The user's id there (`sub`)
        subject: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(command: IdentityCommand, installation: &Installation) -> Result<(), CliError> {
    let Installation { store, roots, .. } = installation;
    match command {
        IdentityCommand::List { user, json } => {
            let identities = match &user {
                Some(text) => store.openid_identities(&find(store, text).await?.id).await,
                None => store.identities_without_seal().await,
            };
            let identities = identities.map_err(CliError::failed)?;
            if json {
                return output::json(&identities.iter().map(|one| describe(one, roots)).collect::<Vec<_>>());
            }
            let heading = ["user", "issuer", "subject", "email", "linked", "row"].map(str::to_owned).to_vec();
            let rows = identities.iter().map(|one| row(one, roots));
            output::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())
        }
        IdentityCommand::Confirm { user, issuer, subject, json } => {
            let user = find(store, &user).await?;
            let key = IdentityKey { issuer, subject };
            let found = store.openid_identity(&key).await.map_err(CliError::failed)?;
            let identity = found.map(|(identity, _)| identity).filter(|identity| identity.user == user.id);
            let identity = identity.ok_or_else(|| {
                let IdentityKey { issuer, subject } = &key;
                CliError::NotFound(format!("{} has no identity {subject:?} at {issuer:?}", user.id))
            })?;
            let identity = identity.sealed(&roots.sealing());
            let event = Event::done(Action::OpenidConfirm, &Source::command_line(), MachineClock.now());
            let event = event.on(&user.id).with("issuer", &identity.key);
            if !store.confirm_identity(&identity, &event).await.map_err(CliError::failed)? {
                return Err(CliError::Failed("the row was changed just now; look at it again".to_owned()));
            }
            if json { output::json(&describe(&identity, roots)) } else { Ok(()) }
        }
    }
}

/// The state of its row.
fn state(identity: &Identity, roots: &Roots) -> String {
    identity.check_seal(roots).map_or_else(|fault| fault.to_string(), |()| "sealed".to_owned())
}

fn row(identity: &Identity, roots: &Roots) -> Vec<String> {
    // Text from the database must not control the terminal: a row may have been edited by an attacker.
    let plain = |text: &str| text.escape_debug().to_string();
    vec![
        identity.user.as_str().to_owned(),
        plain(&identity.key.issuer),
        plain(&identity.key.subject),
        identity.email.as_ref().map_or("-", |email| email.as_str()).to_owned(),
        output::time(identity.created_at.0),
        state(identity, roots),
    ]
}

fn describe(identity: &Identity, roots: &Roots) -> Value {
    json!({
        "user": identity.user.as_str(), "issuer": identity.key.issuer, "subject": identity.key.subject,
        "email": identity.email.as_ref().map(|email| email.as_str()), "created_at": identity.created_at.0,
        "signed_in_at": identity.signed_in_at.map(|at| at.0), "row": state(identity, roots),
    })
}
