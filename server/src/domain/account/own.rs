//! What somebody who is signed in sees and ends of their own: sessions, and the account.

use super::LiveSession;
use super::password::PlainPassword;
use super::service::{AccountService, SignedIn};
use crate::domain::refusal::Refusal;
use crate::domain::session::SessionId;
use crate::store::UserSessions;
use std::net::IpAddr;

impl AccountService {
    /// The sessions of whoever is signed in, newest first.
    ///
    /// # Errors
    /// [`Refusal`] where the database does not answer.
    pub async fn sessions(&self, signed_in: &SignedIn) -> Result<Vec<LiveSession>, Refusal> {
        let now = self.issuer.clock.now();
        Ok(self.issuer.store.live_user_sessions(Some(&signed_in.user.id), now).await?)
    }

    /// Ends one session of whoever is signed in, this one too.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] for one that has ended, or is somebody else's.
    pub async fn end_session(&self, signed_in: &SignedIn, id: &SessionId) -> Result<(), Refusal> {
        let now = self.issuer.clock.now();
        let session = self.issuer.store.user_session(id).await?;
        let own = session.filter(|session| session.user == signed_in.user.id && session.is_live(now));
        let own = own.ok_or(Refusal::NotFound { what: "session" })?;
        self.issuer.store.revoke_user_session(&own.id, now).await?;
        Ok(())
    }

    /// Ends every session of whoever is signed in but this one; how many.
    ///
    /// # Errors
    /// [`Refusal`] where the database does not answer.
    pub async fn end_other_sessions(&self, signed_in: &SignedIn) -> Result<u64, Refusal> {
        let now = self.issuer.clock.now();
        Ok(self.issuer.store.revoke_other_user_sessions(&signed_in.user.id, &signed_in.session.id, now).await?)
    }

    /// Deactivates the user who is signed in and knows the password. Only an admin brings it back.
    ///
    /// # Errors
    /// [`Refusal`], also for the last active admin.
    pub async fn deactivate(
        &self,
        signed_in: &SignedIn,
        password: PlainPassword,
        address: IpAddr,
    ) -> Result<(), Refusal> {
        let account = self.proved_account(signed_in, password, address).await?;
        self.issuer.deactivate_user(&account.user).await
    }
}
