//! The trait of invitations.

use super::Result;
use crate::clock::UnixMillis;
use crate::domain::account::email::EmailAddress;
use crate::domain::account::invitation::InvitationRow;
use crate::domain::account::opaque::TokenHash;
use crate::domain::account::password::StoredPassword;
use crate::domain::account::step_up::SteppedUp;
use crate::domain::audit::Event;
use crate::domain::user::User;
use crate::mail::job::SealedMailJob;
use std::future::Future;

/// The account that an invitation makes.
#[derive(Clone, Copy, Debug)]
pub struct InvitedAccount<'a> {
    /// Its user, who is new.
    pub user: &'a User,
    /// Its address, which is the invited one.
    pub email: &'a EmailAddress,
    /// Its password, hashed.
    pub password: &'a StoredPassword,
    /// Binds these to the root secret.
    pub seal: &'a str,
}

/// Links that make accounts of invited addresses.
pub trait Invitations {
    /// Keeps one until its link is followed, and writes down its mail; `false`, and neither is there, where the address was written to
    /// enough this hour. [`StoreError::StepUp`](super::StoreError::StepUp) if the step-up was used.
    fn add_invitation(
        &self,
        row: &InvitationRow,
        mail: Option<&SealedMailJob>,
        stepped_up: Option<&SteppedUp>,
        event: &Event,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// The one with that hash, if it has not ended.
    fn invitation(
        &self,
        token: &TokenHash,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Option<InvitationRow>>> + Send;
    /// Makes its account, and drops every other invitation and registration of the address: whole or not at all. `false` if it was used or
    /// has ended by the user's `created_at`; [`StoreError::Taken`](super::StoreError::Taken) if the address has an account.
    fn accept_invitation(
        &self,
        token: &TokenHash,
        account: InvitedAccount<'_>,
        event: &Event,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// Deletes those that have ended; how many.
    fn delete_ended_invitations(&self, now: UnixMillis) -> impl Future<Output = Result<u64>> + Send;
}
