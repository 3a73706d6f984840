//! The traits of accounts and of the sessions of the users who sign in to them.

use super::Result;
use crate::clock::UnixMillis;
use crate::domain::account::email::EmailAddress;
use crate::domain::account::key_review::ReviewRow;
use crate::domain::account::opaque::TokenHash;
use crate::domain::account::password::StoredPassword;
use crate::domain::account::refresh::{FoundToken, RefreshRow, Rotation};
use crate::domain::account::step_up::StepUpRow;
use crate::domain::account::{Account, LiveSession, Registration, SessionProof, UserSession};
use crate::domain::audit::Event;
use crate::domain::session::SessionId;
use crate::domain::user::User;
use crate::mail::job::SealedMailJob;
use bmap_protocol::ids::UserId;
use std::future::Future;

/// A password that takes the place of the one that an account has.
#[derive(Clone, Copy, Debug)]
pub struct NewPassword<'a> {
    /// Its hash.
    pub hash: &'a StoredPassword,
    /// The account's seal with it.
    pub seal: &'a str,
    /// When.
    pub at: UnixMillis,
    /// StoredNotice of it to the account's address.
    pub word: Option<&'a SealedMailJob>,
    /// The token that revokes the keys to be looked through.
    pub review: Option<&'a ReviewRow>,
}

/// Accounts, and registrations that wait to become one.
pub trait Accounts {
    /// The account of a user.
    fn account(&self, user: &UserId) -> impl Future<Output = Result<Option<Account>>> + Send;
    /// The account of an address.
    fn account_by_email(&self, email: &EmailAddress) -> impl Future<Output = Result<Option<Account>>> + Send;
    /// All, oldest first.
    fn accounts(&self) -> impl Future<Output = Result<Vec<Account>>> + Send;
    /// Keeps a registration until its link is followed, and writes down the mail with that link; `false`, and neither is there,
    /// where the address was written to enough this hour.
    fn add_registration(
        &self,
        token: &TokenHash,
        registration: &Registration,
        mail: &SealedMailJob,
        event: &Event,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// Counts a try at a registration's password, before the password is looked at. `None` if the registration is not there, has
    /// ended, or had as many tries as it may have.
    fn count_registration_try(
        &self,
        token: &TokenHash,
        now: UnixMillis,
        most: i64,
    ) -> impl Future<Output = Result<Option<Registration>>> + Send;
    /// Takes back a try in which no password was looked at.
    fn return_registration_try(&self, token: &TokenHash) -> impl Future<Output = Result<()>> + Send;
    /// Makes the account of a registration, for that new user and with that seal, and drops every registration of its address:
    /// whole or not at all. `false` if the registration is not there or has ended by the user's `created_at`;
    /// [`StoreError::Taken`](super::StoreError::Taken) if the address has an account.
    fn confirm_registration(
        &self,
        token: &TokenHash,
        user: &User,
        seal: &str,
        event: &Event,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// Deletes registrations that have ended; how many.
    fn delete_ended_registrations(&self, now: UnixMillis) -> impl Future<Output = Result<u64>> + Send;
    /// Stores another hash of the same password; `false`, and nothing changes, if the hash is not the account's any more.
    fn replace_hash(
        &self,
        account: &Account,
        new: &StoredPassword,
        seal: &str,
        event: &Event,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// Changes a password and ends every session of the user but one, and every link; how many sessions, and whether word of it
    /// is sent. `None`, and nothing changes, if the password is not the account's any more.
    fn change_password(
        &self,
        account: &Account,
        new: &NewPassword<'_>,
        but: &SessionId,
        event: &Event,
    ) -> impl Future<Output = Result<Option<(u64, bool)>>> + Send;
}

/// Sessions of people.
pub trait UserSessions {
    /// Adds one with its first refresh token and step-up; `false` if the proof does not hold any more or the user is not active.
    fn add_user_session(
        &self,
        session: &UserSession,
        refresh: &RefreshRow,
        proof: SessionProof<'_>,
        step_up: Option<&StepUpRow>,
        event: &Event,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// The session with that id.
    fn user_session(&self, id: &SessionId) -> impl Future<Output = Result<Option<UserSession>>> + Send;
    /// Every session that lives, newest first.
    fn live_user_sessions(&self, now: UnixMillis) -> impl Future<Output = Result<Vec<LiveSession>>> + Send;
    /// Up to `limit` sessions of a user that live, newest first, beginning before that one.
    fn live_sessions_of(
        &self,
        user: &UserId,
        before: Option<&SessionId>,
        limit: u32,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Vec<LiveSession>>> + Send;
    /// Where more than `keep` sessions of a user live, ends those that were longest not gone on with; how many. The event is recorded of
    /// each.
    fn end_excess_sessions(
        &self,
        user: &UserId,
        keep: u32,
        at: UnixMillis,
        event: &Event,
    ) -> impl Future<Output = Result<u64>> + Send;
    /// Whose refresh token it is, used or not.
    fn user_of_refresh(&self, token: &TokenHash) -> impl Future<Output = Result<Option<UserId>>> + Send;
    /// Ends every live session of a user but one; how many.
    fn revoke_other_user_sessions(
        &self,
        user: &UserId,
        but: &SessionId,
        at: UnixMillis,
        event: &Event,
    ) -> impl Future<Output = Result<u64>> + Send;
    /// A refresh token with its session, used or not.
    fn refresh_token(&self, token: &TokenHash) -> impl Future<Output = Result<Option<FoundToken>>> + Send;
    /// Uses a refresh token and adds its successor, if its row is still as it was found, its session lives and the user is active;
    /// whether it did. Of any number of callers at once exactly one does. The event is recorded as the doing of the session's user.
    fn rotate(
        &self,
        found: &FoundToken,
        rotation: &Rotation,
        event: &Event,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// Ends a session; whether there is such a session. A second time changes nothing.
    fn revoke_user_session(
        &self,
        id: &SessionId,
        at: UnixMillis,
        event: &Event,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// Ends the session of a refresh token; whether there is such a token.
    fn revoke_session_of(
        &self,
        token: &TokenHash,
        at: UnixMillis,
        event: &Event,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// Deletes sessions whose time is over, or that were ended a day ago, with their refresh tokens; how many.
    fn delete_ended_user_sessions(&self, now: UnixMillis) -> impl Future<Output = Result<u64>> + Send;
}
