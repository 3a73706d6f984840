//! Rows by the epoch that seals them, and the change from one epoch to the next.

use bmap_model::account::opaque::TokenHash;
use bmap_model::idempotency::Attempt;
use bmap_model::openid::IdentityKey;
use bmap_model::session::SessionId;
use bmap_protocol::ids::{ApiKeyId, ToolId, UserId};

/// How many rows of a kind need the root of an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochUse {
    /// The kind.
    pub what: String,
    /// The epoch.
    pub epoch: u32,
    /// How many.
    pub rows: i64,
}

impl EpochUse {
    /// The number and the kind, in the singular for one.
    pub fn counted(&self) -> String {
        if self.rows != 1 {
            return format!("{} {}", self.rows, self.what);
        }
        match self.what.as_str() {
            "former secrets of API keys" => "1 former secret of an API key".to_owned(),
            "identities" => "1 identity".to_owned(),
            "changes of address" => "1 change of address".to_owned(),
            "accounts without a password" => "1 account without a password".to_owned(),
            other => format!("1 {}", other.strip_suffix('s').unwrap_or(other)),
        }
    }
}

/// A row that is sealed anew when the root changes.
#[derive(Clone, Copy, Debug)]
pub enum SealedRow<'a> {
    /// An API key.
    ApiKey(&'a ApiKeyId),
    /// The former secret of an API key.
    Former(&'a ApiKeyId),
    /// A key of the issuer, by its `kid`.
    IssuerKey(&'a str),
    /// The role of a user.
    Role(&'a UserId),
    /// The session of a user who signed in.
    UserSession(&'a SessionId),
    /// A refresh token.
    RefreshToken(&'a TokenHash),
    /// An identity at an OpenID provider.
    Identity(&'a IdentityKey),
    /// A tool.
    Tool(&'a ToolId),
    /// A grant of a tool.
    ToolGrant(&'a ToolId, &'a UserId),
    /// An account whose password was forgotten.
    Account(&'a UserId),
    /// An answer that is kept for a request that is sent again.
    Answer(&'a Attempt),
}

/// Another epoch's seal for a row.
#[derive(Clone, Debug)]
pub struct Reseal<'a> {
    /// The row.
    pub row: SealedRow<'a>,
    /// The seal that it had when it was read.
    pub before: &'a str,
    /// The seal that it is to have.
    pub seal: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_is_in_the_singular() {
        let counted = |what: &str, rows| EpochUse { what: what.to_owned(), epoch: 1, rows }.counted();
        assert_eq!(counted("API keys", 2), "2 API keys");
        assert_eq!(counted("API keys", 1), "1 API key");
        assert_eq!(counted("former secrets of API keys", 1), "1 former secret of an API key");
        assert_eq!(counted("identities", 1), "1 identity");
    }
}
