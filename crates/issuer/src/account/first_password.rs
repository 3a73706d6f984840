//! Acts of a user without a password where others show theirs: set a first one, and give up the account. Both come after a fresh
//! sign-in with a provider ([`OpenidService::confirm`](crate::openid::service::OpenidService::confirm)), and neither is a
//! way around a password that is there.

use super::registration::CONFIRMATION_SECONDS;
use super::service::{AccountService, SignedIn};
use crate::error::IssuerError;
use bmap_model::account::EmailChange;
use bmap_model::account::email::EmailAddress;
use bmap_model::account::password::PlainPassword;
use bmap_model::account::sealed;
use bmap_model::audit::{Action, Event};
use bmap_model::mail::budget::Budget;
use bmap_model::mail::job::{MailJob, Why};

impl AccountService {
    /// Asks for a first password and the address that goes with it. The link goes to the address and asks for that password, as
    /// when an account gets another address: a link that a stranger caused must not give the stranger's user its reader's address.
    ///
    /// # Errors
    /// [`IssuerError::InvalidState`] where there is a password.
    pub async fn ask_for_first_password(
        &self,
        signed_in: &SignedIn,
        email: &EmailAddress,
        password: PlainPassword,
    ) -> Result<(), IssuerError> {
        let now = self.issuer.clock.now();
        self.limits_of_mail(Budget::NewAddress, email, &signed_in.source, now)?;
        let password = self.hash(password, "new_password", email).await?;
        let (roots, random, user) = (&self.issuer.roots, &*self.issuer.random, &signed_in.user.id);
        let seal = sealed::account(roots, random, user, email, &password)?;
        let expires_at = now.plus_seconds(CONFIRMATION_SECONDS);
        let change = EmailChange { user: user.clone(), email: email.clone(), password, seal, expires_at };
        let token = change.link(roots, random)?;
        let hash = token.hash();
        let link = MailJob { to: email.clone(), why: Why::NewAddress(token) }.seal(roots, random, now, expires_at)?;
        let event = Event::done(Action::PasswordFirstAsk, &signed_in.source, now).on(user);
        let added = self.issuer.store.add_first_password(&hash, &change, &link, &event).await?;
        self.mail_waits(&link.id, email, added.ok_or(HAS_PASSWORD)?);
        Ok(())
    }

    /// Checks that the signed-in user has no password: where there is one, the caller has to show it.
    ///
    /// # Errors
    /// [`IssuerError::InvalidState`].
    pub async fn must_have_no_password(&self, signed_in: &SignedIn) -> Result<(), IssuerError> {
        match self.account(&signed_in.user.id).await? {
            None => Ok(()),
            Some(_) => Err(HAS_PASSWORD),
        }
    }

    /// Deactivates the user who is signed in, has no password, and just signed in once more. Only an admin brings it back.
    ///
    /// # Errors
    /// [`IssuerError`], also for the last active admin.
    pub async fn deactivate_confirmed(&self, signed_in: &SignedIn) -> Result<(), IssuerError> {
        self.must_have_no_password(signed_in).await?;
        self.issuer.deactivate_user(&signed_in.user.id, &signed_in.source).await
    }
}

const HAS_PASSWORD: IssuerError = IssuerError::InvalidState {
    hint: "This account has a password, which takes its place: /auth/password, /auth/deactivate.",
};
