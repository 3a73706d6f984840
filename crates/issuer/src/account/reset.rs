//! A new password for a user who forgot theirs, by a link to the account's address.

use super::key_review::KeyReview;
use super::notice::StoredNotice;
use super::service::AccountService;
use crate::error::IssuerError;
use bmap_model::account::email::EmailAddress;
use bmap_model::account::opaque::{Kind, OpaqueToken};
use bmap_model::account::password::PlainPassword;
use bmap_model::account::sealed;
use bmap_model::audit::{Action, Actor, Event, Source};
use bmap_model::mail::budget::Budget;
use bmap_model::mail::job::{MailJob, Why};
use bmap_model::rng;
use bmap_model::user::UserState;
use bmap_store::NewPassword;

/// The result of a reset.
#[derive(Debug)]
pub struct Reset {
    /// How many sessions it ended.
    pub ended_sessions: u64,
    /// The keys to look through.
    pub review: KeyReview,
}

/// Life of a reset link, in seconds.
pub const RESET_SECONDS: i64 = 3600;

impl AccountService {
    /// Asks for a link. Only the wish is stored now: whether the address has an account is looked up when the mail is sent,
    /// so neither answer nor time tells it (R31).
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn ask_for_reset(&self, email: &EmailAddress, source: &Source) -> Result<(), IssuerError> {
        let now = self.issuer.clock.now();
        self.limits_of_mail(Budget::NewPassword, email, source, now)?;
        let token = OpaqueToken::from_bytes(Kind::PasswordReset, rng::bytes(&*self.issuer.random)?);
        let job = MailJob { to: email.clone(), why: Why::PasswordReset(token) };
        let ends = now.plus_seconds(RESET_SECONDS);
        let job = job.seal(&self.issuer.roots, &*self.issuer.random, now, ends)?;
        // Without the address, which may be a stranger's.
        let event = Event::done(Action::PasswordResetAsk, source, now);
        let is_sent = self.issuer.store.queue_mail(&job, &event).await?;
        self.mail_waits(&job.id, email, is_sent);
        Ok(())
    }

    /// Sets the password of a link's account and ends every session of its user, and every step-up. The link works once, and not after
    /// the password was changed in another way.
    ///
    /// # Errors
    /// [`IssuerError::UnknownConfirmation`] for a link that is not good any more; [`IssuerError::WeakPassword`], after which it still is.
    pub async fn reset_password(&self, token: &str, new: PlainPassword, source: &Source) -> Result<Reset, IssuerError> {
        let token = OpaqueToken::parse(Kind::PasswordReset, token).ok_or(IssuerError::UnknownConfirmation)?.hash();
        let now = self.issuer.clock.now();
        let (store, roots) = (&self.issuer.store, &self.issuer.roots);
        let reset = store.password_reset(&token, now).await?.ok_or(IssuerError::UnknownConfirmation)?;
        source.is_about(&reset.user);
        reset.check_seal(roots, &token)?;
        let account = store.account(&reset.user).await?.ok_or(IssuerError::UnknownConfirmation)?;
        if account.user_state != UserState::Active {
            return Err(IssuerError::UnknownConfirmation);
        }
        account.check_seal(roots)?;
        let new = self.hash(new, "password", &account.email).await?;
        let seal = sealed::account(roots, &*self.issuer.random, &account.user, &account.email, &new)?;
        let now = self.issuer.clock.now();
        let event =
            Event::done(Action::PasswordReset, source, now).by(Actor::User(account.user.clone())).on(&account.user);
        let span = self.span(&account.user, now).await?;
        let (review_token, row) = self.new_review(span.clone())?;
        let word = self.notice(&account.email, Why::PasswordChanged { keys: Some(span.clone()) })?;
        let notice_job = StoredNotice::job(word.as_ref());
        let new = NewPassword { hash: &new, seal: &seal, at: now, word: notice_job, review: Some(&row) };
        let ended = store.use_password_reset(&token, &account, &new, &event).await?;
        let (ended_sessions, is_told) = ended.ok_or(IssuerError::UnknownConfirmation)?;
        self.notice_waits(word.as_ref(), is_told);
        self.limits.password_reset(&account.email);
        self.remember_network(&account.user, source, now).await;
        // Looked for after every session has ended: none makes a key any more.
        let keys = self.keys_of(&span).await?;
        Ok(Reset { ended_sessions, review: KeyReview { keys, token: review_token } })
    }
}
