//! Step-ups: that a user who is signed in entered the password, or signed in with a provider, within the last minutes (profile §7).
//!
//! An access token travels with every request and may be stolen. An act that outlives it, such as a new API key, needs a second token that
//! travels once: the issuer answers it where a password or a sign-in with a provider is entered, beside the access token and never in it.

use super::service::{AccountService, LinkDelivery, SignedIn};
use crate::error::IssuerError;
use crate::metrics;
use bmap_model::account::email::EmailAddress;
use bmap_model::account::opaque::{Kind, OpaqueToken};
use bmap_model::account::password::PlainPassword;
use bmap_model::account::step_up::{StepUp, StepUpRow, SteppedUp};
use bmap_model::account::{SessionProof, UserSession};
use bmap_model::audit::{Action, Event};
use bmap_model::clock::UnixTime;
use bmap_model::mail::act::{Act, Notice};
use bmap_model::mail::job::{MailJob, Why};
use bmap_model::rng;
use bmap_protocol::ids::UserId;

/// Life of a step-up, in seconds.
pub const STEP_UP_SECONDS: i64 = 300;
/// How long a notice of an act is tried to be mailed, in seconds.
const NOTICE_SECONDS: i64 = 24 * 3600;

impl AccountService {
    /// A step-up for a session that begins or goes on, and its row.
    ///
    /// # Errors
    /// [`IssuerError`] without randomness.
    pub(super) fn new_step_up(&self, session: &UserSession, now: UnixTime) -> Result<(StepUp, StepUpRow), IssuerError> {
        let token = OpaqueToken::from_bytes(Kind::StepUp, rng::bytes(&*self.issuer.random)?);
        let row = StepUpRow {
            hash: token.hash(),
            user: session.user.clone(),
            session: session.id.clone(),
            expires_at: now.plus_seconds(STEP_UP_SECONDS),
            seal: None,
        };
        Ok((StepUp(token), row.sealed(&self.issuer.roots.sealing())))
    }

    /// A step-up for the password of the user who is signed in.
    ///
    /// # Errors
    /// [`IssuerError::WrongPassword`], also for a user who has none, and the limits of a sign-in.
    pub async fn step_up(&self, signed_in: &SignedIn, password: PlainPassword) -> Result<StepUp, IssuerError> {
        let account = self.proved_account(signed_in, password).await?;
        self.step_up_by(signed_in, SessionProof::Password(&account.password)).await
    }

    /// A step-up for a proof of the user who is signed in, which the database is asked for once more.
    ///
    /// # Errors
    /// [`IssuerError::UserSessionOver`] where the proof or the session does not hold any more.
    pub async fn step_up_by(&self, signed_in: &SignedIn, proof: SessionProof<'_>) -> Result<StepUp, IssuerError> {
        let now = self.issuer.clock.now();
        let (step_up, row) = self.new_step_up(&signed_in.session, now)?;
        let event = Event::done(Action::UserStepUp, &signed_in.source, now).on(signed_in.session.target());
        match self.issuer.store.add_step_up(&row, proof, now, &proof.told(event)).await? {
            true => Ok(step_up),
            false => Err(IssuerError::UserSessionOver),
        }
    }

    /// Checks the step-up that the user who is signed in shows for an act. It is used up by the act's own transaction, or by
    /// [`use_step_up`](Self::use_step_up) before it.
    ///
    /// # Errors
    /// [`IssuerError::StepUpRequired`] for none, and for one that was used, has ended, or is of another session or user.
    pub async fn stepped_up(&self, signed_in: &SignedIn, shown: Option<&str>) -> Result<SteppedUp, IssuerError> {
        let token = shown.and_then(|text| OpaqueToken::parse(Kind::StepUp, text)).ok_or(IssuerError::StepUpRequired)?;
        let at = self.issuer.clock.now();
        let row = self.issuer.store.step_up(&token.hash()).await?.ok_or(IssuerError::StepUpRequired)?;
        row.check_seal(&self.issuer.roots)
            .map_err(|fault| IssuerError::edited("a step-up", fault, &IssuerError::StepUpRequired))?;
        let act_of = (&signed_in.user.id, &signed_in.session.id);
        row.used_for(act_of, at, signed_in.source.address).ok_or(IssuerError::StepUpRequired)
    }

    /// Uses a step-up up before the act, for an act that is not one transaction of this database; its notices are queued with it.
    ///
    /// # Errors
    /// [`IssuerError`], with [`IssuerError::code`] `step_up_required` where another request was first.
    pub async fn use_step_up(&self, stepped_up: &SteppedUp) -> Result<(), IssuerError> {
        self.issuer.store.use_step_up(stepped_up).await?;
        self.notices_wait(stepped_up);
        Ok(())
    }

    /// The same with mails of the act to the user who does it and to `concerned`, each at the address of their account, or else at the
    /// one that their provider has checked. A user without either gets none.
    ///
    /// # Errors
    /// [`IssuerError`] where the database does not answer.
    pub async fn with_notices(
        &self,
        stepped_up: SteppedUp,
        act: Act,
        concerned: &[&UserId],
    ) -> Result<SteppedUp, IssuerError> {
        if self.links == LinkDelivery::None {
            return Ok(stepped_up);
        }
        let SteppedUp { at, address, .. } = stepped_up;
        let notice = Notice { act, at, address };
        let mut addresses = Vec::new();
        for user in [&stepped_up.user].into_iter().chain(concerned.iter().copied()) {
            addresses.extend(self.address_of(user).await?);
        }
        // In one order, so that of two acts that tell the same users none waits for the other for ever; and each once.
        addresses.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        addresses.dedup();
        let (roots, random) = (&self.issuer.roots, &*self.issuer.random);
        let mut notices = Vec::new();
        for to in addresses {
            let job = MailJob { to: to.clone(), why: Why::Act(notice.clone()) };
            notices.push((to, job.seal(roots, random, at, at.plus_seconds(NOTICE_SECONDS))?));
        }
        Ok(stepped_up.with_notices(notices))
    }

    /// The act is done, and its notices wait to be sent.
    pub fn notices_wait(&self, stepped_up: &SteppedUp) {
        for (_, job) in &stepped_up.notices {
            metrics::mail_queued();
            tracing::info!(id = job.id.as_str(), "mail is to be sent");
        }
        self.mail().notify_one();
    }

    async fn address_of(&self, user: &UserId) -> Result<Option<EmailAddress>, IssuerError> {
        if let Some(account) = self.issuer.store.account(user).await? {
            return Ok(Some(account.email));
        }
        let identities = self.issuer.store.openid_identities(user).await?;
        Ok(identities.into_iter().find_map(|identity| identity.email))
    }
}
