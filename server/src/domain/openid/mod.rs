//! Signing in with an external OpenID provider: the authorization code flow with PKCE (OpenID Connect Core §3.1, RFC 7636,
//! RFC 9700).
//!
//! Two such flows lie in each other. Between a page and us, `code_challenge` and `code_verifier` make the code that comes
//! back in the page's fragment useless to a thief who reads it there. Between us and the provider, a second pair does the
//! same.
//!
//! Modules in reading order: [`provider`] (the configuration), [`discovery`] and [`key_set`] (the provider's documents),
//! [`cached`] (their cache lifetime), [`connection`] (a provider at work), [`id_token`] (its statement about a user),
//! [`pkce`], [`flow`] (the state until the browser is back), [`return_to`] (the page to go to then), [`service`] (every
//! decision), [`confirmed`] (acts that a fresh sign-in allows).

pub mod provider;

pub mod cached;
pub mod connection;
pub mod discovery;
pub mod key_set;

pub mod id_token;
pub mod pkce;

pub mod confirmed;
pub mod flow;
pub mod return_to;
pub mod service;

use crate::clock::UnixMillis;
use crate::domain::account::email::EmailAddress;
use crate::domain::roots::Roots;
use crate::domain::row_seal::{RowFault, RowSeal};
use crate::outbound::OutboundError;
use bmap_protocol::ids::UserId;
use bmap_protocol::keys::EpochKeys;
use id_token::IdTokenFault;

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
    pub created_at: UnixMillis,
    /// When it last signed in.
    pub signed_in_at: Option<UnixMillis>,
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

/// A provider's fault. For the log; no text of the provider's is in it.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderFault {
    /// It does not answer as it should.
    #[error("{what}: {cause}")]
    Outbound {
        /// Which document or endpoint.
        what: &'static str,
        /// Why.
        cause: OutboundError,
    },
    /// It answers with another status.
    #[error("{what}: status {status}")]
    Status {
        /// Which document or endpoint.
        what: &'static str,
        /// The status.
        status: u16,
    },
    /// Its answer is not of the form that it should have.
    #[error("{what}: not of the form that it should have")]
    Form {
        /// Which document or endpoint.
        what: &'static str,
    },
    /// Its discovery document is another issuer's.
    #[error("discovery: `issuer` is not the configured one")]
    OtherIssuer,
    /// An endpoint that would have to be called without TLS.
    #[error("discovery: `{endpoint}` is neither https nor on the loopback of a provider that is there too")]
    Insecure {
        /// Its name in the document.
        endpoint: &'static str,
    },
    /// It was asked a moment ago, and that failed.
    #[error("{what}: it failed a moment ago")]
    JustFailed {
        /// Which document.
        what: &'static str,
    },
    /// It does not take the code: `invalid_grant` and others of RFC 6749 §5.2.
    #[error("token endpoint: it refused the code")]
    CodeRefused,
    /// Its answer to the code has no ID token.
    #[error("token endpoint: no ID token")]
    NoIdToken,
    /// Its ID token is not good.
    #[error("ID token: {0}")]
    IdToken(#[from] IdTokenFault),
}
