//! Keys and secrets that are made and not stored yet.

use crate::api_key::{KeyScope, SealedApiKey};
use crate::audit::Event;
use crate::clock::UnixTime;
use crate::keys::KeyRows;
use crate::keys::last_use::LastUse;
use bmap_protocol::api_key::ApiSecret;

/// Longest grace of a former secret, in seconds: seven days.
pub const MAX_GRACE_SECONDS: i64 = 604_800;

/// A key that is made and not stored yet.
#[derive(Debug)]
pub struct NewKey {
    /// Its row.
    pub key: SealedApiKey,
    /// Its rights.
    pub scope: KeyScope,
    /// Its secret, to be shown once.
    pub secret: ApiSecret,
    /// Its event for the audit log.
    pub event: Event,
}

/// A new secret for a key, not stored yet.
#[derive(Debug)]
pub struct NewSecret {
    /// The key's row as it is; the change is made only if it is still so then.
    pub before: SealedApiKey,
    /// Its rows after the change.
    pub after: KeyRows,
    /// The secret, to be shown once.
    pub secret: ApiSecret,
    /// When.
    pub at: UnixTime,
    /// When and from where the key was last used.
    pub last_use: Option<LastUse>,
    /// Its event for the audit log.
    pub event: Event,
    /// Whether the grace of an earlier change is cut short by this one: at most two secrets of a key work.
    pub ends_former: bool,
}
