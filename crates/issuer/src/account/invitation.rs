//! Invitations: a link that makes an account of an address, where registration is `invited` or `open`.

use super::registration_mode::RegistrationMode;
use super::service::AccountService;
use crate::error::IssuerError;
use bmap_model::account::email::EmailAddress;
use bmap_model::account::invitation::InvitationRow;
use bmap_model::account::opaque::{Kind, OpaqueToken};
use bmap_model::account::password::PlainPassword;
use bmap_model::account::sealed;
use bmap_model::account::step_up::SteppedUp;
use bmap_model::audit::{Action, Actor, Event, Source};
use bmap_model::mail::budget::Budget;
use bmap_model::mail::job::{MailJob, Why};
use bmap_store::{InvitedAccount, StoreError};

impl AccountService {
    /// Invites an address, for an admin. One that has an account is answered alike; its mail has no link (R31).
    ///
    /// # Errors
    /// [`IssuerError::RegistrationClosed`] where no account may begin.
    pub async fn invite(
        &self,
        email: &EmailAddress,
        stepped_up: &SteppedUp,
        source: &Source,
    ) -> Result<(), IssuerError> {
        self.must_take_invited()?;
        let now = self.issuer.clock.now();
        self.limits_of_mail(Budget::Invitation, email, source, now).map_err(IssuerError::of_registration)?;
        let (roots, random) = (&self.issuer.roots, &*self.issuer.random);
        let (token, row) = InvitationRow::new(roots, random, email.clone(), now)?;
        let job = MailJob { to: email.clone(), why: Why::Invitation(token) };
        let job = job.seal(roots, random, now, row.expires_at)?;
        // Without the address: the log is read by others than the invited user.
        let event = Event::done(Action::UserInvite, source, now);
        let is_sent = self.issuer.store.add_invitation(&row, Some(&job), Some(stepped_up), &event).await?;
        self.mail_waits(&job.id, email, is_sent);
        if is_sent {
            self.notices_wait(stepped_up);
        }
        Ok(())
    }

    /// Makes the account of an invited address, with the password that its reader chose.
    ///
    /// # Errors
    /// [`IssuerError::UnknownConfirmation`] for a link that was never made, was used or has ended; [`IssuerError::WeakPassword`], after which it
    /// still is good.
    pub async fn accept(&self, token: &str, password: PlainPassword, source: &Source) -> Result<(), IssuerError> {
        self.must_take_invited()?;
        let token = OpaqueToken::parse(Kind::Invitation, token).ok_or(IssuerError::UnknownConfirmation)?.hash();
        let now = self.issuer.clock.now();
        let store = &self.issuer.store;
        let row = store.invitation(&token, now).await?.ok_or(IssuerError::UnknownConfirmation)?;
        row.check_seal(&self.issuer.roots)
            .map_err(|fault| IssuerError::edited("an invitation", fault, &IssuerError::UnknownConfirmation))?;
        let password = self.hash(password, "password", &row.email).await?;
        let user = self.new_person()?;
        let (roots, random) = (&self.issuer.roots, &*self.issuer.random);
        let seal = sealed::account(roots, random, &user.id, &row.email, &password)?;
        let event = Event::done(Action::UserConfirm, source, now).by(Actor::User(user.id.clone())).on(&user.id);
        let account = InvitedAccount { user: &user, email: &row.email, password: &password, seal: &seal };
        match store.accept_invitation(&token, account, &event).await {
            Ok(true) => {
                self.remember_network(&user.id, source, now).await;
                Ok(())
            }
            Ok(false) | Err(StoreError::Taken { .. }) => Err(IssuerError::UnknownConfirmation),
            Err(error) => Err(error.into()),
        }
    }

    fn must_take_invited(&self) -> Result<(), IssuerError> {
        match self.registration {
            RegistrationMode::Open | RegistrationMode::Invited => Ok(()),
            mode @ RegistrationMode::Closed => Err(IssuerError::RegistrationClosed { mode: mode.as_str() }),
        }
    }
}
