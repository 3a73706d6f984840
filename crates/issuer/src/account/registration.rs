//! Registering, and confirming the address of a registration.

use super::registration_mode::RegistrationMode;
use super::service::AccountService;
use crate::error::IssuerError;
use crate::issuer::new_user;
use bmap_model::account::Registration;
use bmap_model::account::email::EmailAddress;
use bmap_model::account::opaque::{Kind, OpaqueToken};
use bmap_model::account::password::PlainPassword;
use bmap_model::account::sealed;
use bmap_model::audit::{Action, Actor, Event, Source};
use bmap_model::mail::budget::Budget;
use bmap_model::mail::job::{MailJob, Why};
use bmap_model::user::{User, UserName};
use bmap_store::StoreError;

/// Life of a confirmation link, in seconds.
pub const CONFIRMATION_SECONDS: i64 = 24 * 3600;
/// Tries at the password of one link: a reader of the mail knows the link, but may not know the password.
pub const CONFIRMATION_TRIES: i64 = 5;

impl AccountService {
    /// Refused before anything is looked at: alike for an address that has an account and for one that has none (R31).
    fn must_be_open(&self) -> Result<(), IssuerError> {
        match self.registration {
            RegistrationMode::Open => Ok(()),
            mode => Err(IssuerError::RegistrationClosed { mode: mode.as_str() }),
        }
    }

    /// Registers: keeps address and password until the link is followed. Whether the address has an account is not even looked
    /// at: the mail that is sent says it to its reader alone (R31).
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn register(
        &self,
        email: &EmailAddress,
        password: PlainPassword,
        source: &Source,
    ) -> Result<(), IssuerError> {
        self.must_be_open()?;
        let now = self.issuer.clock.now();
        self.limits_of_mail(Budget::Registration, email, source, now).map_err(IssuerError::of_registration)?;
        let password = self.hash(password, "password", email).await?;
        let expires_at = now.plus_seconds(CONFIRMATION_SECONDS);
        let registration = Registration { email: email.clone(), password, expires_at };
        let token = registration.link(&self.issuer.roots, &*self.issuer.random)?;
        let hash = token.hash();
        let job = MailJob { to: email.clone(), why: Why::Registration(token) };
        let job = job.seal(&self.issuer.roots, &*self.issuer.random, now, expires_at)?;
        // Alike whether or not the address has an account; and without the address, which may be a stranger's.
        let event = Event::done(Action::UserRegister, source, now);
        let is_sent = self.issuer.store.add_registration(&hash, &registration, &job, &event).await?;
        self.mail_waits(&job.id, email, is_sent);
        Ok(())
    }

    /// Makes the account of a confirmed address. The link works once, and with the password of its registration: a link that a
    /// stranger caused must not make an account with the stranger's password when its reader follows it.
    ///
    /// # Errors
    /// [`IssuerError::UnknownConfirmation`] for a link that was never made, was used or has ended; [`IssuerError::WrongPassword`].
    pub async fn confirm(&self, token: &str, password: PlainPassword, source: &Source) -> Result<(), IssuerError> {
        self.must_be_open()?;
        let link = OpaqueToken::parse(Kind::Confirmation, token).ok_or(IssuerError::UnknownConfirmation)?;
        let token = link.hash();
        let now = self.issuer.clock.now();
        let store = &self.issuer.store;
        // Counted before the password is looked at: of any number of guesses at once no more than these are looked at.
        let registration = store.count_registration_try(&token, now, CONFIRMATION_TRIES).await?;
        let registration = registration.ok_or(IssuerError::UnknownConfirmation)?;
        registration.check_link(&self.issuer.roots, &link)?;
        let matches = self.matches(password, &registration.email, registration.password.clone()).await;
        if matches!(matches, Err(IssuerError::PoolFull)) {
            store.return_registration_try(&token).await?;
        }
        if !matches?.holds() {
            return Err(IssuerError::WrongPassword);
        }
        let user = self.new_person()?;
        let (roots, random) = (&self.issuer.roots, &*self.issuer.random);
        let seal = sealed::account(roots, random, &user.id, &registration.email, &registration.password)?;
        let event = Event::done(Action::UserConfirm, source, now).by(Actor::User(user.id.clone())).on(&user.id);
        match store.confirm_registration(&token, &user, &seal, &event).await {
            // The caller reads the address's mail and knows the password: as good as a sign-in (O13). Following the link alone is not.
            Ok(true) => {
                self.remember_network(&user.id, source, now).await;
                Ok(())
            }
            // Another link for the same address was followed before.
            Ok(false) | Err(StoreError::Taken { .. }) => Err(IssuerError::UnknownConfirmation),
            Err(error) => Err(error.into()),
        }
    }

    /// A new active user whose name is its id: a name that a user chose could be one that an operator gives out.
    ///
    /// # Errors
    /// [`IssuerError`] without randomness.
    pub fn new_person(&self) -> Result<User, IssuerError> {
        let placeholder = UserName::parse("new").map_err(|_| IssuerError::Signing)?;
        let user = new_user(placeholder, self.issuer.clock.now(), &*self.issuer.random)?;
        Ok(User { name: UserName::parse(user.id.as_str()).map_err(|_| IssuerError::Signing)?, ..user })
    }
}
