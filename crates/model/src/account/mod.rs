//! Accounts: an email address with a password, the links that are mailed to it, and the sessions of the users who sign in.
//!
//! Modules in reading order: [`email`] and [`password`] (as callers present them, and as they are stored), [`opaque`] (tokens of which only the
//! hash is stored), [`sealed`] (rows that were not edited by hand), [`refresh`] (rotation), [`invitation`],
//! [`step_up`] (what outlives a session), [`key_review`] (keys to look through), [`known_network`].

pub mod email;
pub mod password;
mod plain_password;

pub mod opaque;
pub mod refresh;
pub mod sealed;

pub mod invitation;
pub mod key_review;
pub mod known_network;
pub mod step_up;

use super::audit::{Event, Target};
use super::openid::IdentityKey;
use super::roots::Roots;
use super::row_seal::{RowFault, RowSeal};
use super::session::{SessionId, SessionState};
use super::user::UserState;
use crate::clock::UnixTime;
use crate::openid::provider_name::ProviderName;
use bmap_protocol::ids::UserId;
use bmap_protocol::keys::EpochKeys;
use email::EmailAddress;
use password::StoredPassword;

/// An account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its user.
    pub user: UserId,
    /// Whether that user may do anything.
    pub user_state: UserState,
    /// Its confirmed address.
    pub email: EmailAddress,
    /// Its password, hashed.
    pub password: StoredPassword,
    /// Binds all of these to the root secret ([`sealed`]).
    pub seal: String,
    /// When it was made.
    pub created_at: UnixTime,
}

/// A registration that waits for its link.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The address that is to be confirmed.
    pub email: EmailAddress,
    /// The password, hashed.
    pub password: StoredPassword,
    /// End of the link's life.
    pub expires_at: UnixTime,
}

/// An address that waits for its link, to become an account's.
#[derive(Clone, Debug)]
pub struct EmailChange {
    /// Whose account.
    pub user: UserId,
    /// The address that is to be confirmed.
    pub email: EmailAddress,
    /// The account's password, hashed for that address.
    pub password: StoredPassword,
    /// The seal that the account will have.
    pub seal: String,
    /// End of the link's life.
    pub expires_at: UnixTime,
}

/// A link that sets a new password.
#[derive(Clone, Debug)]
pub struct PasswordReset {
    /// Whose account.
    pub user: UserId,
    /// The epoch of the root that seals it.
    pub epoch: u32,
    /// Binds token, user and end to the root secret ([`sealed`]).
    pub seal: String,
    /// End of the link's life.
    pub expires_at: UnixTime,
}

/// The proof that a user signed in with. The database looks at it once more when the session begins: a password that was
/// changed meanwhile, or an identity that was unlinked, begins none.
#[derive(Clone, Copy, Debug)]
pub enum SessionProof<'a> {
    /// The account's password, hashed.
    Password(&'a StoredPassword),
    /// An identity of an OpenID provider.
    Openid {
        /// The provider, as it is configured.
        provider: &'a ProviderName,
        /// Whose it is there.
        key: &'a IdentityKey,
        /// The address to show beside it from now on.
        email: Option<&'a EmailAddress>,
    },
}

impl SessionProof<'_> {
    /// The event, with the proof's facts.
    pub fn told(self, event: Event) -> Event {
        match self {
            SessionProof::Password(_) => event.with("by", "password"),
            SessionProof::Openid { provider, .. } => event.with("by", "openid").with("provider", provider),
        }
    }
}

/// The session of a user who signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSession {
    /// Its id: `sid` in its access tokens.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// When it began.
    pub created_at: UnixTime,
    /// Its end, however often it is refreshed.
    pub expires_at: UnixTime,
    /// Whether it was ended before.
    pub state: SessionState,
    /// Binds id, user, begin and end to the root secret, as long as it is not ended.
    pub seal: Option<RowSeal>,
}

/// A session that lives, as its user is shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveSession {
    /// The session.
    pub session: UserSession,
    /// When it was last gone on with, or begun.
    pub last_used_at: UnixTime,
}

impl UserSession {
    /// The session, sealed.
    #[must_use]
    pub fn sealed(self, keys: &EpochKeys) -> Self {
        Self { seal: self.with_fields(|fields| Some(RowSeal::make(keys, fields))), ..self }
    }

    /// Whether its row is as it was written. One that was ended has no seal any more, so that it can't be turned back, and
    /// needs none: nothing follows from it.
    ///
    /// # Errors
    /// [`RowFault`], an alarm.
    pub fn check_seal(&self, roots: &Roots) -> Result<(), RowFault> {
        match self.state {
            SessionState::Revoked { .. } => Ok(()),
            SessionState::Active => self.with_fields(|fields| RowSeal::check(self.seal.as_ref(), roots, fields)),
        }
    }

    fn with_fields<T>(&self, take: impl FnOnce(&[&str]) -> T) -> T {
        let (created_at, expires_at) = (self.created_at.0.to_string(), self.expires_at.0.to_string());
        take(&["user session", self.id.as_str(), self.user.as_str(), &created_at, &expires_at])
    }

    /// The session as the audit log names it.
    pub fn target(&self) -> Target {
        Target::Session { id: self.id.clone(), user: self.user.clone() }
    }

    /// Whether it is neither ended nor over.
    pub fn is_live(&self, now: UnixTime) -> bool {
        self.state == SessionState::Active && now < self.expires_at
    }
}
