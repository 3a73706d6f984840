//! The traits of step-ups, and of the keys that a user looks through after a password was set.

use super::Result;
use crate::clock::UnixMillis;
use crate::domain::account::SessionProof;
use crate::domain::account::key_review::{GivenKey, ReviewRow, Span};
use crate::domain::account::opaque::TokenHash;
use crate::domain::account::step_up::{StepUpRow, SteppedUp};
use crate::domain::audit::Event;
use bmap_protocol::ids::{ApiKeyId, UserId};
use std::future::Future;

/// One-use tokens of users who entered their password a moment ago.
pub trait StepUps {
    /// Adds one; `false` if the proof does not hold any more, or the session has ended.
    fn add_step_up(
        &self,
        row: &StepUpRow,
        proof: SessionProof<'_>,
        now: UnixMillis,
        event: &Event,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// The one with that hash, if it was not used.
    fn step_up(&self, token: &TokenHash) -> impl Future<Output = Result<Option<StepUpRow>>> + Send;
    /// Uses one up in a transaction of its own, with its notices. [`StoreError::StepUp`](super::StoreError::StepUp) if it was used or its
    /// session has ended.
    fn use_step_up(&self, stepped_up: &SteppedUp) -> impl Future<Output = Result<()>> + Send;
    /// Deletes those that have ended; how many.
    fn delete_ended_step_ups(&self, now: UnixMillis) -> impl Future<Output = Result<u64>> + Send;
}

/// Which keys were made or given a new secret when.
pub trait GivenSecrets {
    /// When a link that was mailed to the user's address last set the password; else when the user was made.
    fn mailbox_proved_at(&self, user: &UserId) -> impl Future<Output = Result<UnixMillis>> + Send;
    /// The keys of a span that were not revoked, latest first.
    fn given_keys(&self, span: &Span) -> impl Future<Output = Result<Vec<GivenKey>>> + Send;
    /// The keys that the token of a reset's answer revokes, if it has not ended.
    fn key_review(&self, token: &TokenHash, now: UnixMillis) -> impl Future<Output = Result<Option<ReviewRow>>> + Send;
    /// Revokes those of these keys that are the user's and were not revoked, in one transaction; which ones. The event is recorded of each.
    fn revoke_api_keys(
        &self,
        user: &UserId,
        keys: &[ApiKeyId],
        at: UnixMillis,
        event: &Event,
    ) -> impl Future<Output = Result<Vec<ApiKeyId>>> + Send;
    /// Deletes reviews that have ended; how many.
    fn delete_ended_key_reviews(&self, now: UnixMillis) -> impl Future<Output = Result<u64>> + Send;
}
