//! The rows of signing in with OpenID providers.

use super::Result;
use crate::clock::UnixMillis;
use crate::domain::account::opaque::TokenHash;
use crate::domain::audit::Event;
use crate::domain::openid::flow::{FlowKey, SealedCode, SealedFlow};
use crate::domain::openid::{Identity, IdentityKey};
use crate::domain::user::{User, UserState};
use crate::mail::job::SealedMailJob;
use bmap_protocol::ids::UserId;
use std::future::Future;

/// The outcome of unlinking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlinked {
    /// The identity is gone.
    Done,
    /// The user has none of that issuer.
    NotThere,
    /// The user could not sign in any more; nothing changed.
    LastWay,
}

/// Sign-ins with OpenID providers, and the identities that they are by.
pub trait Openid {
    /// Keeps a sign-in until its browser is back.
    fn add_openid_flow(&self, flow: &SealedFlow) -> impl Future<Output = Result<()>> + Send;
    /// Takes out a sign-in, unless it has ended: of any number of callers at
    /// once exactly one gets it. Where one part of the key is another, it stays.
    fn take_openid_flow(
        &self,
        key: &FlowKey,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Option<SealedFlow>>> + Send;
    /// Keeps the sign-in that a page's code stands for.
    fn add_openid_code(&self, code: &SealedCode) -> impl Future<Output = Result<()>> + Send;
    /// Takes it out, unless it has ended: of any number of callers at once exactly one gets it.
    fn take_openid_code(
        &self,
        code: &TokenHash,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Option<SealedCode>>> + Send;
    /// An identity, and whether its user may do anything.
    fn openid_identity(&self, key: &IdentityKey) -> impl Future<Output = Result<Option<(Identity, UserState)>>> + Send;
    /// The identities of a user, oldest first.
    fn openid_identities(&self, user: &UserId) -> impl Future<Output = Result<Vec<Identity>>> + Send;
    /// Every identity without a seal.
    fn identities_without_seal(&self) -> impl Future<Output = Result<Vec<Identity>>> + Send;
    /// Puts the seal into the row of an identity that is otherwise as given; whether there is one.
    fn confirm_identity(&self, identity: &Identity, event: &Event) -> impl Future<Output = Result<bool>> + Send;
    /// Adds a user with an identity, both or neither; [`StoreError::Taken`](super::StoreError::Taken) if the identity has a user
    /// already.
    fn add_openid_user(
        &self,
        user: &User,
        identity: &Identity,
        event: &Event,
    ) -> impl Future<Output = Result<()>> + Send;
    /// Links an identity to its user; whether word of it is sent. [`StoreError::Taken`](super::StoreError::Taken) if it has a user
    /// already, or the user has one of that issuer.
    fn add_openid_identity(
        &self,
        identity: &Identity,
        word: Option<&SealedMailJob>,
        event: &Event,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// Unlinks a user from an issuer, unless neither a password nor an identity of another issuer out of `ways` is left.
    fn remove_openid_identity(
        &self,
        user: &UserId,
        issuer: &str,
        ways: &[&str],
        event: &Event,
    ) -> impl Future<Output = Result<Unlinked>> + Send;
    /// Deletes sign-ins and codes whose time is over; how many.
    fn delete_ended_openid(&self, now: UnixMillis) -> impl Future<Output = Result<u64>> + Send;
}
