//! The API keys that a user looks through after a password was set.

use crate::account::opaque::TokenHash;
use crate::clock::UnixTime;
use crate::roots::Roots;
use crate::row_seal::{RowFault, RowSeal};
use crate::user::UserName;
use bmap_protocol::ids::{ApiKeyId, UserId};
use bmap_protocol::keys::EpochKeys;
use std::net::IpAddr;

/// How a key got the secret that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// It was made with it.
    Made,
    /// It was given a new one.
    NewSecret,
}

impl Given {
    /// Its word, as stored and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Given::Made => "made",
            Given::NewSecret => "new_secret",
        }
    }

    /// The one for its word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Given::Made, Given::NewSecret].into_iter().find(|given| given.as_str() == word)
    }
}

/// A key that was not revoked, and when and from where its secret was given.
#[derive(Clone, Debug)]
pub struct GivenKey {
    /// The key.
    pub id: ApiKeyId,
    /// The name that its owner gave it.
    pub name: UserName,
    /// How.
    pub given: Given,
    /// When.
    pub at: UnixTime,
    /// From which address, where that is known.
    pub address: Option<IpAddr>,
}

/// Which keys are meant: those of a user whose secret was given between two moments, both included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Whose.
    pub user: UserId,
    /// Not before that.
    pub since: UnixTime,
    /// Not after that.
    pub until: UnixTime,
}

/// The token for revoking those keys, as it is stored.
#[derive(Clone, Debug)]
pub struct ReviewRow {
    /// SHA-256 of the token.
    pub hash: TokenHash,
    /// The keys that it is for.
    pub span: Span,
    /// Its end.
    pub expires_at: UnixTime,
    /// Binds all of these to the root secret.
    pub seal: Option<RowSeal>,
}

impl ReviewRow {
    /// The row, sealed.
    #[must_use]
    pub fn sealed(self, keys: &EpochKeys) -> Self {
        Self { seal: self.with_fields(|fields| Some(RowSeal::make(keys, fields))), ..self }
    }

    /// Whether the row is as it was written.
    ///
    /// # Errors
    /// [`RowFault`], an alarm.
    pub fn check_seal(&self, roots: &Roots) -> Result<(), RowFault> {
        self.with_fields(|fields| RowSeal::check(self.seal.as_ref(), roots, fields))
    }

    fn with_fields<T>(&self, take: impl FnOnce(&[&str]) -> T) -> T {
        let Span { user, since, until } = &self.span;
        let [since, until, ends] = [since, until, &self.expires_at].map(|time| time.0.to_string());
        take(&["key review", self.hash.as_str(), user.as_str(), &since, &until, &ends])
    }
}

impl Span {
    /// As it is sealed in a job.
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}", self.user, self.since.0, self.until.0)
    }

    /// As it was sealed.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split('\n');
        let user = UserId::parse(lines.next()?).ok()?;
        let mut time = || lines.next()?.parse().ok().map(UnixTime);
        Some(Self { user, since: time()?, until: time()? })
    }
}
