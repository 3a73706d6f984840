//! Changes of a signed-in user's account: the password, the address.

use super::key_review::KeyReview;
use super::notice::StoredNotice;
use super::registration::{CONFIRMATION_SECONDS, CONFIRMATION_TRIES};
use super::service::{AccountService, SignedIn};
use crate::error::IssuerError;
use bmap_model::account::EmailChange;
use bmap_model::account::email::EmailAddress;
use bmap_model::account::opaque::{Kind, OpaqueToken};
use bmap_model::account::password::PlainPassword;
use bmap_model::account::sealed;
use bmap_model::audit::{Action, Actor, Event, Source};
use bmap_model::mail::budget::Budget;
use bmap_model::mail::job::{MailJob, Why};
use bmap_store::{NewPassword, StoreError};
use std::sync::Arc;

impl AccountService {
    /// Changes the password of the user who is signed in, and ends every other session and every step-up; how many sessions, and which keys
    /// there are to look through.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn change_password(
        &self,
        signed_in: &SignedIn,
        current: PlainPassword,
        new: PlainPassword,
    ) -> Result<(u64, KeyReview), IssuerError> {
        let account = self.proved_account(signed_in, current).await?;
        let new = self.hash(new, "new_password", &account.email).await?;
        let (roots, random) = (&self.issuer.roots, &*self.issuer.random);
        let seal = sealed::account(roots, random, &account.user, &account.email, &new)?;
        let now = self.issuer.clock.now();
        let event = Event::done(Action::PasswordChange, &signed_in.source, now).on(&account.user);
        let span = self.span(&account.user, now).await?;
        let word = self.notice(&account.email, Why::PasswordChanged { keys: Some(span.clone()) })?;
        let (token, row) = self.new_review(span.clone())?;
        let notice_job = StoredNotice::job(word.as_ref());
        let new = NewPassword { hash: &new, seal: &seal, at: now, word: notice_job, review: Some(&row) };
        let ended = self.issuer.store.change_password(&account, &new, &signed_in.session.id, &event).await?;
        let (ended, is_told) = ended.ok_or(IssuerError::WrongPassword)?;
        self.notice_waits(word.as_ref(), is_told);
        Ok((ended, KeyReview { keys: self.keys_of(&span).await?, token }))
    }

    /// Asks for another address: a link goes there, and word of it to the address that the account has. An address that has an
    /// account is answered alike; its reader gets no link (R31).
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn ask_for_address(
        &self,
        signed_in: &SignedIn,
        password: PlainPassword,
        new: &EmailAddress,
    ) -> Result<(), IssuerError> {
        let now = self.issuer.clock.now();
        self.limits_of_mail(Budget::NewAddress, new, &signed_in.source, now)?;
        let password = Arc::new(password);
        let account = self.proved_account(signed_in, Arc::clone(&password)).await?;
        let (roots, random) = (&self.issuer.roots, &*self.issuer.random);
        // A hash belongs to its address: the account will need another one.
        let password = self.rehash(password, new).await?;
        let seal = sealed::account(roots, random, &account.user, new, &password)?;
        let expires_at = now.plus_seconds(CONFIRMATION_SECONDS);
        let change = EmailChange { user: account.user.clone(), email: new.clone(), password, seal, expires_at };
        let token = change.link(roots, random)?;
        let hash = token.hash();
        let link = MailJob { to: new.clone(), why: Why::NewAddress(token) }.seal(roots, random, now, expires_at)?;
        let word = MailJob { to: account.email.clone(), why: Why::AddressChange { new: new.clone() } };
        let word = word.seal(roots, random, now, expires_at)?;
        let event = Event::done(Action::EmailChangeAsk, &signed_in.source, now).on(&account.user);
        let added = self.issuer.store.add_email_change(&hash, &change, &account, [&link, &word], &event).await?;
        let [link_is_sent, word_is_sent] = added.ok_or(IssuerError::WrongPassword)?;
        self.mail_waits(&link.id, new, link_is_sent);
        self.mail_waits(&word.id, &account.email, word_is_sent);
        Ok(())
    }

    /// Gives an account the address whose link was followed, with the account's password: a link that a stranger caused must
    /// not give the stranger's account its reader's address.
    ///
    /// # Errors
    /// [`IssuerError::UnknownConfirmation`] for a link that is not good any more; [`IssuerError::WrongPassword`].
    pub async fn confirm_address(
        &self,
        token: &str,
        password: PlainPassword,
        source: &Source,
    ) -> Result<(), IssuerError> {
        let link = OpaqueToken::parse(Kind::EmailChange, token).ok_or(IssuerError::UnknownConfirmation)?;
        let token = link.hash();
        let now = self.issuer.clock.now();
        let store = &self.issuer.store;
        let change = store.count_email_change_try(&token, now, CONFIRMATION_TRIES).await?;
        let change = change.ok_or(IssuerError::UnknownConfirmation)?;
        source.is_about(&change.user);
        change.check_seal(&self.issuer.roots)?;
        change.check_link(&self.issuer.roots, &link)?;
        let matches = self.matches(password, &change.email, change.password.clone()).await;
        if matches!(matches, Err(IssuerError::PoolFull)) {
            store.return_email_change_try(&token).await?;
        }
        if !matches?.holds() {
            return Err(IssuerError::WrongPassword);
        }
        let by = |action| Event::done(action, source, now).by(Actor::User(change.user.clone())).on(&change.user);
        let Some(former) = store.account(&change.user).await? else {
            // The user has no password so far: this is the first, and there is no former address to notify.
            return match store.confirm_first_password(&token, &change, now, &by(Action::PasswordFirst)).await {
                Ok(true) => Ok(()),
                Ok(false) | Err(StoreError::Taken { .. }) => Err(IssuerError::UnknownConfirmation),
                Err(error) => Err(error.into()),
            };
        };
        let event = by(Action::EmailChange);
        let word = self.notice(&former.email, Why::AddressChanged { new: change.email.clone() })?;
        match store.confirm_email_change(&token, &change, now, StoredNotice::job(word.as_ref()), &event).await {
            Ok(Some(is_told)) => {
                self.notice_waits(word.as_ref(), is_told);
                Ok(())
            }
            // The address has an account by now, or the link was used or ended meanwhile.
            Ok(None) | Err(StoreError::Taken { .. }) => Err(IssuerError::UnknownConfirmation),
            Err(error) => Err(error.into()),
        }
    }
}
