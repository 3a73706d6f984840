//! Rows by the epoch that seals them, and the change from one epoch to the next.

use super::Result;
use crate::domain::account::opaque::TokenHash;
use crate::domain::account::refresh::RefreshRow;
use crate::domain::account::{Account, UserSession};
use crate::domain::api_key::SealedApiKey;
use crate::domain::idempotency::{Attempt, SealedAnswer};
use crate::domain::openid::{Identity, IdentityKey};
use crate::domain::session::SessionId;
use crate::domain::tool_grant::ToolGrant;
use bmap_protocol::ids::{ApiKeyId, ToolId, UserId};
use std::future::Future;

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

/// Rows by the epoch that seals them. The lists are of rows of epochs before `epoch`, behind `after` in the order of their keys, at
/// most so many.
pub trait Epochs {
    /// Which rows need which root, oldest epoch first.
    fn epochs_in_use(&self) -> impl Future<Output = Result<Vec<EpochUse>>> + Send;
    /// API keys.
    fn api_keys_before(
        &self,
        epoch: u32,
        after: Option<&ApiKeyId>,
        most: u16,
    ) -> impl Future<Output = Result<Vec<SealedApiKey>>> + Send;
    /// Former secrets of API keys: each as its key with that row.
    fn former_before(
        &self,
        epoch: u32,
        after: Option<&ApiKeyId>,
        most: u16,
    ) -> impl Future<Output = Result<Vec<SealedApiKey>>> + Send;
    /// Sessions of people that were not ended.
    fn user_sessions_before(
        &self,
        epoch: u32,
        after: Option<&SessionId>,
        most: u16,
    ) -> impl Future<Output = Result<Vec<UserSession>>> + Send;
    /// Refresh tokens of such sessions that were not used.
    fn refresh_tokens_before(
        &self,
        epoch: u32,
        after: Option<&TokenHash>,
        most: u16,
    ) -> impl Future<Output = Result<Vec<RefreshRow>>> + Send;
    /// Identities at OpenID providers.
    fn identities_before(
        &self,
        epoch: u32,
        after: Option<&IdentityKey>,
        most: u16,
    ) -> impl Future<Output = Result<Vec<Identity>>> + Send;
    /// Grants of tools.
    fn tool_grants_before(
        &self,
        epoch: u32,
        after: Option<(&ToolId, &UserId)>,
        most: u16,
    ) -> impl Future<Output = Result<Vec<ToolGrant>>> + Send;
    /// Accounts, with a password or without.
    fn accounts_before(
        &self,
        epoch: u32,
        after: Option<&UserId>,
        most: u16,
    ) -> impl Future<Output = Result<Vec<Account>>> + Send;
    /// Answers that are kept for requests that are sent again.
    fn answers_before(
        &self,
        epoch: u32,
        after: Option<&Attempt>,
        most: u16,
    ) -> impl Future<Output = Result<Vec<SealedAnswer>>> + Send;
    /// Puts another epoch's seals into rows that still have the seal that they had when they were read; into how many. All of them in
    /// one transaction: each that is counted is on the disk, or none is.
    fn reseal(&self, epoch: u32, seals: &[Reseal<'_>]) -> impl Future<Output = Result<u64>> + Send;
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
