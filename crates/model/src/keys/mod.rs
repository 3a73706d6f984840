//! API keys as people manage them: the rows of a key, its standing, and its last use.

pub mod last_use;
pub mod new_key;

use super::api_key::{BrokenRow, KeyScope, KeyState, SealedApiKey};
use super::roots::Roots;
use super::user::User;
use crate::clock::UnixTime;
use last_use::LastUse;

/// The rows of one key.
#[derive(Clone, Debug)]
pub struct KeyRows {
    /// The row of its secret.
    pub current: SealedApiKey,
    /// The row of the secret that it had before, while that one's grace lasts, and maybe for a while after.
    pub former: Option<SealedApiKey>,
}

/// A key's rows and its owner, as they were at one moment.
#[derive(Clone, Debug)]
pub struct OwnedKey {
    /// Its rows.
    pub rows: KeyRows,
    /// Its user.
    pub owner: Option<User>,
}

/// A key as it is shown to the users who manage it. No part of it is a secret.
#[derive(Clone, Debug)]
pub struct ManagedKey {
    /// Its rows.
    pub rows: KeyRows,
    /// When and from where it was last used, as far as is known.
    pub last_use: Option<LastUse>,
}

/// The standing of a key at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It works.
    Active,
    /// Its life is over.
    Expired,
    /// It was revoked.
    Revoked,
    /// Its row does not open: it was edited, or the root secret of its epoch is not at hand.
    Unusable,
}

impl Standing {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Standing::Active => "active",
            Standing::Expired => "expired",
            Standing::Revoked => "revoked",
            Standing::Unusable => "unusable",
        }
    }
}

impl KeyRows {
    /// The rights of the key; an error for a row that is not as it was written.
    ///
    /// # Errors
    /// [`BrokenRow`].
    pub fn scope(&self, roots: &Roots) -> Result<KeyScope, BrokenRow> {
        Ok(self.current.open(roots)?.scope)
    }

    /// The standing of the key.
    pub fn standing(&self, roots: &Roots, now: UnixTime) -> Standing {
        match (self.current.state, self.scope(roots)) {
            (KeyState::Revoked { .. }, _) => Standing::Revoked,
            (_, Err(_)) => Standing::Unusable,
            (_, Ok(scope)) if scope.is_over(now) => Standing::Expired,
            (_, Ok(_)) => Standing::Active,
        }
    }

    /// Until when the former secret works, in seconds since 1970; `None` where there is none that does.
    pub fn former_end(&self, roots: &Roots, now: UnixTime) -> Option<i64> {
        let former = self.former.as_ref().filter(|former| former.state == KeyState::Active)?;
        former.open(roots).ok()?.scope.expires_at.filter(|end| now.seconds() < *end)
    }
}
