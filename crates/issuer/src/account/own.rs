//! A signed-in user's own sessions and account: seen and ended.

use super::service::{AccountService, SignedIn};
use crate::error::IssuerError;
use bmap_model::account::LiveSession;
use bmap_model::account::opaque::{Kind, OpaqueToken};
use bmap_model::account::password::PlainPassword;
use bmap_model::audit::{Action, Event};
use bmap_model::session::SessionId;
use bmap_protocol::ids::UserId;

impl AccountService {
    /// Whose refresh token it is, used or not.
    ///
    /// # Errors
    /// [`IssuerError`] where the database does not answer.
    pub async fn user_of_refresh(&self, token: &str) -> Result<Option<UserId>, IssuerError> {
        match OpaqueToken::parse(Kind::Refresh, token) {
            Some(token) => Ok(self.issuer.store.user_of_refresh(&token.hash()).await?),
            None => Ok(None),
        }
    }

    /// Up to `limit` sessions of the signed-in user, newest first, beginning before that one.
    ///
    /// # Errors
    /// [`IssuerError`] where the database does not answer.
    pub async fn sessions(
        &self,
        signed_in: &SignedIn,
        before: Option<&SessionId>,
        limit: u32,
    ) -> Result<Vec<LiveSession>, IssuerError> {
        let now = self.issuer.clock.now();
        Ok(self.issuer.store.live_sessions_of(&signed_in.user.id, before, limit, now).await?)
    }

    /// Ends one session of the signed-in user, this one too.
    ///
    /// # Errors
    /// [`IssuerError::NotFound`] for one that has ended, or is another user's.
    pub async fn end_session(&self, signed_in: &SignedIn, id: &SessionId) -> Result<(), IssuerError> {
        let now = self.issuer.clock.now();
        let session = self.issuer.store.user_session(id).await?;
        let own = session.filter(|session| session.user == signed_in.user.id && session.is_live(now));
        let own = own.ok_or(IssuerError::NotFound { what: "session" })?;
        let event = Event::done(Action::SessionRevoke, &signed_in.source, now);
        self.issuer.store.revoke_user_session(&own.id, now, &event).await?;
        Ok(())
    }

    /// Ends every session of the signed-in user but this one, and returns how many.
    ///
    /// # Errors
    /// [`IssuerError`] where the database does not answer.
    pub async fn end_other_sessions(&self, signed_in: &SignedIn) -> Result<u64, IssuerError> {
        let now = self.issuer.clock.now();
        let (user, but) = (&signed_in.user.id, &signed_in.session.id);
        let event = Event::done(Action::SessionRevoke, &signed_in.source, now).on(user);
        Ok(self.issuer.store.revoke_other_user_sessions(user, but, now, &event).await?)
    }

    /// Deactivates the user who is signed in and knows the password. Only an admin brings it back.
    ///
    /// # Errors
    /// [`IssuerError`], also for the last active admin.
    pub async fn deactivate(&self, signed_in: &SignedIn, password: PlainPassword) -> Result<(), IssuerError> {
        let account = self.proved_account(signed_in, password).await?;
        self.issuer.deactivate_user(&account.user, &signed_in.source).await
    }
}
