//! Invitations: a link that makes an account of an address, where registration is `invited` or `open`.

use super::email::EmailAddress;
use super::opaque::{Kind, OpaqueToken, TokenHash};
use super::password::PlainPassword;
use super::registration::RegistrationMode;
use super::sealed;
use super::service::AccountService;
use super::step_up::SteppedUp;
use crate::clock::UnixMillis;
use crate::domain::audit::{Action, Actor, Event, Source};
use crate::domain::refusal::Refusal;
use crate::domain::roots::Roots;
use crate::domain::row_seal::{RowFault, RowSeal};
use crate::mail::budget::Budget;
use crate::mail::job::{MailJob, Why};
use crate::rng::{self, NoRandomness, Random};
use crate::store::{Invitations, InvitedAccount, StoreError};
use bmap_protocol::keys::EpochKeys;

/// Life of an invitation, in seconds: seven days.
pub const INVITATION_SECONDS: i64 = 7 * 86_400;

/// An invitation as it is stored.
#[derive(Clone, Debug)]
pub struct InvitationRow {
    /// SHA-256 of the link's token.
    pub hash: TokenHash,
    /// The address that the account will have.
    pub email: EmailAddress,
    /// Its end.
    pub expires_at: UnixMillis,
    /// Binds all of these to the root secret.
    pub seal: Option<RowSeal>,
}

impl InvitationRow {
    /// An invitation of an address: the token of its link, and its row.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn new(
        roots: &Roots,
        random: &dyn Random,
        email: EmailAddress,
        now: UnixMillis,
    ) -> Result<(OpaqueToken, Self), NoRandomness> {
        let token = OpaqueToken::from_bytes(Kind::Invitation, rng::bytes(random)?);
        let row = Self { hash: token.hash(), email, expires_at: now.plus_seconds(INVITATION_SECONDS), seal: None };
        Ok((token, row.sealed(&roots.sealing())))
    }

    fn sealed(self, keys: &EpochKeys) -> Self {
        Self { seal: self.with_fields(|fields| Some(RowSeal::make(keys, fields))), ..self }
    }

    fn check_seal(&self, roots: &Roots) -> Result<(), RowFault> {
        self.with_fields(|fields| RowSeal::check(self.seal.as_ref(), roots, fields))
    }

    fn with_fields<T>(&self, take: impl FnOnce(&[&str]) -> T) -> T {
        take(&["invitation", self.hash.as_str(), self.email.as_str(), &self.expires_at.0.to_string()])
    }
}

impl AccountService {
    /// Invites an address, for an admin. One that has an account is answered alike; its mail has no link (R31).
    ///
    /// # Errors
    /// [`Refusal::RegistrationClosed`] where no account may begin.
    pub async fn invite(&self, email: &EmailAddress, stepped_up: &SteppedUp, source: &Source) -> Result<(), Refusal> {
        self.must_take_invited()?;
        let now = self.issuer.clock.now();
        self.limits_of_mail(Budget::Invitation, email, source, now).map_err(Refusal::of_registration)?;
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
    /// [`Refusal::UnknownConfirmation`] for a link that was never made, was used or has ended; [`Refusal::WeakPassword`], after which it
    /// still is good.
    pub async fn accept(&self, token: &str, password: PlainPassword, source: &Source) -> Result<(), Refusal> {
        self.must_take_invited()?;
        let token = OpaqueToken::parse(Kind::Invitation, token).ok_or(Refusal::UnknownConfirmation)?.hash();
        let now = self.issuer.clock.now();
        let store = &self.issuer.store;
        let row = store.invitation(&token, now).await?.ok_or(Refusal::UnknownConfirmation)?;
        row.check_seal(&self.issuer.roots).map_err(|fault| fault.of("an invitation", &Refusal::UnknownConfirmation))?;
        let password = self.hash(password, "password", &row.email).await?;
        let user = self.new_person()?;
        let (roots, random) = (&self.issuer.roots, &*self.issuer.random);
        let seal = sealed::account(roots, random, &user.id, &row.email, &password)?;
        let event = Event::done(Action::UserConfirm, source, now).by(Actor::User(user.id.clone())).on(&user.id);
        let account = InvitedAccount { user: &user, email: &row.email, password: &password, seal: &seal };
        match store.accept_invitation(&token, account, &event).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(StoreError::Taken { .. }) => Err(Refusal::UnknownConfirmation),
            Err(error) => Err(error.into()),
        }
    }

    fn must_take_invited(&self) -> Result<(), Refusal> {
        match self.registration {
            RegistrationMode::Open | RegistrationMode::Invited => Ok(()),
            mode @ RegistrationMode::Closed => Err(Refusal::RegistrationClosed { mode: mode.as_str() }),
        }
    }
}
