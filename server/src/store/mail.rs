//! The traits of mail that waits and of the links in it.

use super::{NewPassword, Result};
use crate::clock::UnixMillis;
use crate::domain::account::opaque::TokenHash;
use crate::domain::account::{Account, EmailChange, PasswordReset};
use crate::domain::audit::Event;
use crate::mail::job::{MailId, SealedMailJob};
use std::future::Future;

/// A mail that a worker has claimed.
#[derive(Clone, Debug)]
pub struct ClaimedMail {
    /// Its id.
    pub id: MailId,
    /// The epoch that it is sealed in.
    pub epoch: u32,
    /// The job, sealed.
    pub sealed: String,
    /// How often it was in hand, this time counted.
    pub attempts: i64,
    /// When it is of no use any more.
    pub expires_at: UnixMillis,
}

/// Mail that waits to be sent.
pub trait Outbox {
    /// Writes a mail down; `false`, and it is not there, where its address was written to enough this hour.
    fn queue_mail(&self, mail: &SealedMailJob, event: &Event) -> impl Future<Output = Result<bool>> + Send;
    /// Takes some mails in hand that are due, the longest due first. Until `lease_end` no other worker gets them, and after it any
    /// may.
    fn claim_mail(
        &self,
        claim: &str,
        now: UnixMillis,
        lease_end: UnixMillis,
        most: i64,
    ) -> impl Future<Output = Result<Vec<ClaimedMail>>> + Send;
    /// Deletes a mail that is sent or given up; whether it still was in that hand.
    fn finish_mail(&self, id: &MailId, claim: &str) -> impl Future<Output = Result<bool>> + Send;
    /// Puts a mail back until then; whether it still was in that hand.
    fn put_mail_back(&self, id: &MailId, claim: &str, due_at: UnixMillis) -> impl Future<Output = Result<bool>> + Send;
    /// How many mails wait, or are claimed by a worker.
    fn mail_waiting(&self) -> impl Future<Output = Result<i64>> + Send;
    /// When the oldest of these was asked for.
    fn oldest_mail(&self) -> impl Future<Output = Result<Option<UnixMillis>>> + Send;
    /// Deletes mail whose time was over an hour ago, which no worker took in hand: none is configured any more. How many.
    fn delete_ended_mail(&self, now: UnixMillis) -> impl Future<Output = Result<u64>> + Send;
    /// Deletes counts of hours that are over; how many.
    fn delete_old_mail_counts(&self, now: UnixMillis) -> impl Future<Output = Result<u64>> + Send;
}

/// Links that change something about an account.
pub trait AccountLinks {
    /// Adds a link that sets a new password; a second time changes nothing.
    fn add_password_reset(
        &self,
        token: &TokenHash,
        reset: &PasswordReset,
        event: &Event,
    ) -> impl Future<Output = Result<()>> + Send;
    /// The link of a token, if it has not ended.
    fn password_reset(
        &self,
        token: &TokenHash,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Option<PasswordReset>>> + Send;
    /// Sets a password by a link, ends every link to the account and every session of its user; how many sessions, and whether
    /// word of it is sent. `None`, and nothing changes, if the link was used or ended, or the account has another password by now.
    fn use_password_reset(
        &self,
        token: &TokenHash,
        account: &Account,
        new: &NewPassword<'_>,
        event: &Event,
    ) -> impl Future<Output = Result<Option<(u64, bool)>>> + Send;
    /// Keeps a new address until its link is followed, and writes down mails about it; for each, whether it is sent. `None`, and
    /// nothing is kept, if the account has another password or address by now.
    fn add_email_change(
        &self,
        token: &TokenHash,
        change: &EmailChange,
        account: &Account,
        mails: [&SealedMailJob; 2],
        event: &Event,
    ) -> impl Future<Output = Result<Option<[bool; 2]>>> + Send;
    /// Keeps the address and first password of a user who has none until their link is followed, and writes down its mail; whether
    /// that is sent. `None`, and nothing is kept, if the user has a password or is not active.
    fn add_first_password(
        &self,
        token: &TokenHash,
        first: &EmailChange,
        mail: &SealedMailJob,
        event: &Event,
    ) -> impl Future<Output = Result<Option<bool>>> + Send;
    /// Makes the account of a user who had none, and ends every other link to it. `false` if the link was used or has ended, or the
    /// user is not active; [`StoreError::Taken`](super::StoreError::Taken) if the user or the address has an account by now.
    fn confirm_first_password(
        &self,
        token: &TokenHash,
        first: &EmailChange,
        now: UnixMillis,
        event: &Event,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// Counts a try at a change's password, before the password is looked at. `None` if the change is not there, has ended, or
    /// had as many tries as it may have.
    fn count_email_change_try(
        &self,
        token: &TokenHash,
        now: UnixMillis,
        most: i64,
    ) -> impl Future<Output = Result<Option<EmailChange>>> + Send;
    /// Takes back a try in which no password was looked at.
    fn return_email_change_try(&self, token: &TokenHash) -> impl Future<Output = Result<()>> + Send;
    /// Gives the account its new address and ends every link to it; whether word of it is sent. `None`, and nothing changes, if
    /// the change was used or has ended, or its user is not active; [`StoreError::Taken`](super::StoreError::Taken) if the address has an account.
    fn confirm_email_change(
        &self,
        token: &TokenHash,
        change: &EmailChange,
        now: UnixMillis,
        word: Option<&SealedMailJob>,
        event: &Event,
    ) -> impl Future<Output = Result<Option<bool>>> + Send;
    /// Deletes links that have ended; how many.
    fn delete_ended_links(&self, now: UnixMillis) -> impl Future<Output = Result<u64>> + Send;
}
