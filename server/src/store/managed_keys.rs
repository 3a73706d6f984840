//! API keys as their owners manage them, and answers that are kept for requests that are sent again.

use super::Result;
use crate::clock::UnixMillis;
use crate::domain::account::step_up::SteppedUp;
use crate::domain::api_key::KeyScope;
use crate::domain::audit::Event;
use crate::domain::idempotency::{Attempt, SealedAnswer};
use crate::domain::keys::last_use::LastUse;
use crate::domain::keys::service::{NewKey, NewSecret};
use crate::domain::keys::{KeyRows, ManagedKey};
use bmap_protocol::ids::{ApiKeyId, UserId};

/// The outcome of adding a key for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is there.
    Yes,
    /// The user is not active, or there is none.
    UserInactive,
    /// The user has as many as they may have.
    TooMany,
}

/// API keys as their owners manage them.
pub trait ManagedKeys {
    /// Adds one, if its user is active and has fewer than `most` that are not revoked; keeps the answer to the request with it, and uses
    /// the step-up up: [`super::StoreError::StepUp`], and nothing is added, if another request was first.
    /// [`super::StoreError::Taken`] with [`super::ANSWER`], and nothing is added, if an answer to that request is kept already.
    fn create_api_key(
        &self,
        new: &NewKey,
        most: u16,
        answer: Option<&SealedAnswer>,
        stepped_up: Option<&SteppedUp>,
    ) -> impl Future<Output = Result<Created>> + Send;
    /// The key with that id.
    fn managed_key(&self, id: &ApiKeyId) -> impl Future<Output = Result<Option<ManagedKey>>> + Send;
    /// Keys behind one of them in the order of their ids, which is that of their making; of one user, or all.
    fn managed_keys(
        &self,
        user: Option<&UserId>,
        after: Option<&ApiKeyId>,
        most: u16,
    ) -> impl Future<Output = Result<Vec<ManagedKey>>> + Send;
    /// Puts a new secret in the place of the current one, and that one in the place of any former one; keeps the answer to the
    /// request with it. `false`, and nothing changes, if the key is not as it was read, or was revoked. Otherwise as
    /// [`create_api_key`](Self::create_api_key).
    fn replace_secret(
        &self,
        new: &NewSecret,
        answer: Option<&SealedAnswer>,
        stepped_up: Option<&SteppedUp>,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// Puts changed rows in the place of a key's rows, with the origins that it registers; `false`, and nothing changes, if they
    /// are not as they were read, or the key was revoked.
    fn change_api_key(
        &self,
        before: &KeyRows,
        after: &KeyRows,
        scope: &KeyScope,
        stepped_up: Option<&SteppedUp>,
        event: &Event,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// Writes the last uses of some keys, where they are later than the stored ones.
    fn write_last_uses(&self, uses: &[(ApiKeyId, LastUse)]) -> impl Future<Output = Result<()>> + Send;
    /// Deletes former secrets whose grace has ended, whatever it was; how many.
    fn delete_ended_former(&self, now: UnixMillis) -> impl Future<Output = Result<u64>> + Send;
}

/// Answers that are kept for requests that are sent again. They are written with the change that they tell of.
pub trait IdempotentAnswers {
    /// The answer that is kept for an idempotency key of a caller.
    fn kept_answer(
        &self,
        attempt: &Attempt,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Option<SealedAnswer>>> + Send;
    /// Whether a caller has fewer than `most` answers kept.
    fn has_room_for_answer(
        &self,
        caller: &str,
        most: i64,
        now: UnixMillis,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// Deletes rows that have ended; how many.
    fn delete_ended_answers(&self, now: UnixMillis) -> impl Future<Output = Result<u64>> + Send;
}
