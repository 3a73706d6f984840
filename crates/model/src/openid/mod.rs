//! Identities of users at OpenID providers, and the state of a sign-in with one: [`provider_name`], [`pkce`], [`flow`].

pub mod flow;
pub mod pkce;
pub mod provider_name;

use crate::account::email::EmailAddress;
use crate::clock::UnixTime;
use crate::roots::Roots;
use crate::row_seal::{RowFault, RowSeal};
use bmap_protocol::ids::UserId;
use bmap_protocol::keys::EpochKeys;

/// A user at a provider: the one pair that OpenID promises to be unique and never given to another user (OpenID Connect
/// Core §5.7). An email address is neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityKey {
    /// The provider's issuer URL, as configured and as in the ID token.
    pub issuer: String,
    /// `sub` of the ID token.
    pub subject: String,
}

/// An identity and the user that it signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user at the provider.
    pub key: IdentityKey,
    /// The user here.
    pub user: UserId,
    /// An address that the provider says it has checked. To be shown; no user is found by it.
    pub email: Option<EmailAddress>,
    /// When it was linked.
    pub created_at: UnixTime,
    /// When it last signed in.
    pub signed_in_at: Option<UnixTime>,
    /// Binds key, user and time of linking to the root secret.
    pub seal: Option<RowSeal>,
}

impl Identity {
    /// The identity, sealed.
    #[must_use]
    pub fn sealed(self, keys: &EpochKeys) -> Self {
        Self { seal: self.with_fields(|fields| Some(RowSeal::make(keys, fields))), ..self }
    }

    /// Whether its row is as it was written.
    ///
    /// # Errors
    /// [`RowFault`], an alarm.
    pub fn check_seal(&self, roots: &Roots) -> Result<(), RowFault> {
        self.with_fields(|fields| RowSeal::check(self.seal.as_ref(), roots, fields))
    }

    fn with_fields<T>(&self, take: impl FnOnce(&[&str]) -> T) -> T {
        let IdentityKey { issuer, subject } = &self.key;
        take(&["identity", issuer, subject, self.user.as_str(), &self.created_at.0.to_string()])
    }
}
