//! The worker that sends the mails that wait. A mail in hand is leased: the worker that holds it says when it is done, and if it
//! does not, because its process died, any worker may claim it again. So a promised mail is sent once, as far as SMTP allows: a
//! process that dies between the server's answer and its own record leaves a mail that is sent again, with the same `Message-ID`.

use super::backoff;
use super::email::Email;
use super::mailer::{Mailer, NotCarried};
use crate::error::IssuerError;
use crate::issuer::Issuer;
use crate::metrics;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_model::account::sealed;
use bmap_model::audit::{Action, Event, Source};
use bmap_model::clock::UnixTime;
use bmap_model::mail::job::{MailJob, Why};
use bmap_model::rng;
use bmap_model::user::UserState;
use bmap_store::ClaimedMail;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// How long a mail is in one hand, in seconds; longer than [`SEND_DEADLINE`](super::mailer::SEND_DEADLINE).
pub const LEASE_SECONDS: i64 = 60;
/// Mails in hand at once.
const AT_ONCE: i64 = 4;
/// How often the worker looks for mails that have become due, or that another process left.
const LOOK: Duration = Duration::from_secs(2);

/// Sends mail that waits.
#[derive(Clone)]
pub struct MailWorker(Arc<Inner>);

struct Inner {
    issuer: Arc<Issuer>,
    mailer: Mailer,
    waits: Arc<Notify>,
    is_closing: AtomicBool,
}

/// The outcome of a try.
enum Outcome {
    Sent,
    /// The address has no account by now, or for a link to a new password no active one.
    Dropped,
    Later(String),
    Never(String),
}

impl MailWorker {
    /// A worker that `waits` wakes for new mail.
    pub fn new(issuer: Arc<Issuer>, mailer: Mailer, waits: Arc<Notify>) -> Self {
        Self(Arc::new(Inner { issuer, mailer, waits, is_closing: AtomicBool::new(false) }))
    }

    /// Sends the mails that are due, again and again, until `stop`; those in hand then are finished.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut working = Box::pin(self.work());
        tokio::select! {
            () = &mut working => {}
            () = &mut stop => {
                self.0.is_closing.store(true, Ordering::SeqCst);
                self.0.waits.notify_one();
                working.await;
            }
        }
    }

    /// Sends everything that is due now; how many mails were in hand.
    pub async fn deliver_due(&self) -> usize {
        let mut handled: usize = 0;
        while !self.is_closing() {
            let claimed = match self.claim().await {
                Ok((_, claimed)) if claimed.is_empty() => break,
                Ok(claimed) => claimed,
                Err(error) => {
                    tracing::warn!(%error, "mail that waits can't be looked for");
                    break;
                }
            };
            let (claim, mails) = claimed;
            handled = handled.saturating_add(mails.len());
            let mut hands = JoinSet::new();
            for mail in mails {
                let (worker, claim) = (self.clone(), claim.clone());
                hands.spawn(async move { worker.handle(&claim, mail).await });
            }
            while hands.join_next().await.is_some() {}
        }
        handled
    }

    async fn work(&self) {
        while !self.is_closing() {
            self.deliver_due().await;
            // A late notice is as good as none here: mails without a notice are found by looking.
            let _ = tokio::time::timeout(LOOK, self.0.waits.notified()).await;
        }
    }

    fn is_closing(&self) -> bool {
        self.0.is_closing.load(Ordering::SeqCst)
    }

    async fn claim(&self) -> Result<(String, Vec<ClaimedMail>), IssuerError> {
        let issuer = &self.0.issuer;
        let claim = Base64UrlUnpadded::encode_string(&rng::bytes::<16>(&*issuer.random)?);
        let now = issuer.clock.now();
        let mails = issuer.store.claim_mail(&claim, now, now.plus_seconds(LEASE_SECONDS), AT_ONCE).await?;
        Ok((claim, mails))
    }

    async fn handle(&self, claim: &str, mail: ClaimedMail) {
        let issuer = &self.0.issuer;
        let (id, attempts) = (mail.id.as_str(), mail.attempts);
        let outcome = self.send(&mail).await;
        let now = issuer.clock.now();
        let done = match outcome {
            Outcome::Later(reason) => match self.next_try(&mail, now) {
                Some(due_at) => {
                    metrics::mail("retried");
                    // `?`: a mail server's words are not ours, and may hold anything (T33).
                    tracing::warn!(id, attempts, ?reason, "mail not sent, to be tried again");
                    issuer.store.put_mail_back(&mail.id, claim, due_at).await
                }
                None => {
                    metrics::mail("given_up");
                    tracing::error!(id, attempts, ?reason, "mail given up: it is of no use any more");
                    issuer.store.finish_mail(&mail.id, claim).await
                }
            },
            Outcome::Never(reason) => {
                metrics::mail("given_up");
                tracing::error!(id, attempts, ?reason, "mail given up");
                issuer.store.finish_mail(&mail.id, claim).await
            }
            Outcome::Sent => {
                metrics::mail("sent");
                tracing::info!(id, attempts, "mail sent");
                issuer.store.finish_mail(&mail.id, claim).await
            }
            Outcome::Dropped => {
                metrics::mail("dropped");
                issuer.store.finish_mail(&mail.id, claim).await
            }
        };
        match done {
            Ok(true) => {}
            Ok(false) => tracing::warn!(id, "mail took longer than it may be in one hand"),
            Err(error) => tracing::warn!(id, %error, "what became of a mail can't be written down"),
        }
    }

    /// When to try again; `None` if that is after the mail's use.
    fn next_try(&self, mail: &ClaimedMail, now: UnixTime) -> Option<UnixTime> {
        // Without randomness the longest wait that there is: the machine has worse troubles then.
        let wait = backoff::wait(mail.attempts, &*self.0.issuer.random).unwrap_or(3_600_000);
        Some(UnixTime(now.0.saturating_add(wait))).filter(|due_at| *due_at < mail.expires_at)
    }

    async fn send(&self, mail: &ClaimedMail) -> Outcome {
        let issuer = &self.0.issuer;
        let now = issuer.clock.now();
        if now >= mail.expires_at {
            return Outcome::Never("it is of no use any more".to_owned());
        }
        let job = match MailJob::open(&issuer.roots, &mail.id, mail.epoch, &mail.sealed) {
            Ok(job) => job,
            Err(error) => return Outcome::Never(format!("ALARM: {error}")),
        };
        let email = match self.email(job, mail).await {
            Ok(Some(email)) => email,
            Ok(None) => return Outcome::Dropped,
            Err(error) => return Outcome::Later(error.to_string()),
        };
        match self.0.mailer.carry(&email, &mail.id, now).await {
            Ok(()) => Outcome::Sent,
            Err(NotCarried::Later(reason)) => Outcome::Later(reason),
            Err(NotCarried::Never(reason)) => Outcome::Never(reason),
        }
    }

    /// The mail that a job makes today.
    async fn email(&self, job: MailJob, mail: &ClaimedMail) -> Result<Option<Email>, IssuerError> {
        let issuer = &self.0.issuer;
        let (url, store, to) = (&issuer.url, &issuer.store, job.to);
        let account = store.account_by_email(&to).await?;
        Ok(match (job.why, account) {
            (Why::Registration(_) | Why::NewAddress(_), Some(_)) => Some(Email::address_has_account(url, to)),
            (Why::Registration(token), None) => Some(Email::confirm_registration(url, to, &token)),
            (Why::NewAddress(token), None) => Some(Email::confirm_new_address(url, to, &token)),
            (Why::AddressChange { new }, Some(_)) => Some(Email::address_is_to_change(url, to, &new)),
            (Why::PasswordReset(token), Some(account)) if account.user_state == UserState::Active => {
                // Where the row was edited, the link would set the password of the user that was written beside this
                // address.
                account.check_seal(&issuer.roots)?;
                let (hash, random) = (token.hash(), &*issuer.random);
                let reset = sealed::reset(&issuer.roots, random, &hash, account.user, mail.expires_at)?;
                let event =
                    Event::done(Action::PasswordResetLink, &Source::system(), issuer.clock.now()).on(&reset.user);
                store.add_password_reset(&hash, &reset, &event).await?;
                Some(Email::reset_password(url, to, &token))
            }
            (Why::PasswordReset(_) | Why::AddressChange { .. }, _) => None,
            // Whatever the address is by now: it was told of the account, and this is the end of that.
            (Why::AddressChanged { new }, _) => Some(Email::address_has_changed(url, to, &new)),
            (Why::PasswordChanged { keys }, _) => {
                let keys = match &keys {
                    Some(span) => store.given_keys(span).await?,
                    None => Vec::new(),
                };
                Some(Email::password_has_changed(url, to, &keys))
            }
            (Why::Act(notice), _) => Some(Email::act(url, to, &notice)),
            (Why::Invitation(_), Some(_)) => Some(Email::address_has_account(url, to)),
            (Why::Invitation(token), None) => Some(Email::invitation(url, to, &token)),
            (Why::ProviderLinked { provider }, _) => Some(Email::provider_was_linked(url, to, &provider)),
        })
    }
}
