//! Every decision about the sessions of accounts: signing in, going on, signing out.

use super::access::{ACCESS_SECONDS, AccessToken};
use super::limits::Limits;
use super::pool::PasswordPool;
use super::registration_mode::RegistrationMode;
use crate::error::IssuerError;
use crate::issuer::Issuer;
use crate::metrics;
use bmap_model::account::email::EmailAddress;
use bmap_model::account::opaque::{Kind, OpaqueToken};
use bmap_model::account::password::{Hasher, Match, PlainPassword, StoredPassword};
use bmap_model::account::refresh::{self, RefreshRow};
use bmap_model::account::step_up::StepUp;
use bmap_model::account::{Account, SessionProof, UserSession, sealed};
use bmap_model::audit::{Action, Actor, Event, Source};
use bmap_model::clock::UnixTime;
use bmap_model::mail::budget::Budget;
use bmap_model::mail::job::MailId;
use bmap_model::rng;
use bmap_model::session::{SessionId, SessionState};
use bmap_model::user::{User, UserState};
use bmap_protocol::ids::UserId;
use std::sync::Arc;
use tokio::sync::Notify;
use zeroize::Zeroizing;

/// Longest life of a session, in seconds, however often it is refreshed.
pub const SESSION_SECONDS: i64 = 30 * 86_400;
/// Most sessions of one user that live at once.
pub const MOST_SESSIONS: u32 = 100;

/// How a link gets to the reader of an address's mail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkDelivery {
    /// Not at all: no user can register.
    #[default]
    None,
    /// Into the log: for development, where the log's reader is the one who registers.
    Log,
    /// By mail.
    Mail,
}

/// Accounts at work.
pub struct AccountService {
    pub(super) issuer: Arc<Issuer>,
    pub(super) limits: Limits,
    passwords: PasswordPool,
    pub(super) links: LinkDelivery,
    pub(super) registration: RegistrationMode,
    mail: Arc<Notify>,
}

/// The tokens of a user who signs in or refreshes a session.
#[derive(Debug)]
pub struct TokenPair {
    /// The access token.
    pub access: Zeroizing<String>,
    /// Seconds until it ends.
    pub expires_in: i64,
    /// The refresh token.
    pub refresh: OpaqueToken,
}

/// The answer to a sign-in: the pair, and a step-up beside it.
#[derive(Debug)]
pub struct SignIn {
    /// Access token and refresh token.
    pub pair: TokenPair,
    /// For one act that outlives the session.
    pub step_up: StepUp,
}

/// A signed-in user, with a password or an OpenID provider.
#[derive(Debug)]
pub struct SignedIn {
    /// The user, who is active.
    pub user: User,
    /// The session.
    pub session: UserSession,
    /// Where they call from.
    pub source: Source,
}

impl AccountService {
    /// Accounts of an issuer.
    pub fn new(issuer: Arc<Issuer>, links: LinkDelivery) -> Self {
        let passwords = PasswordPool::new(Hasher::new(issuer.roots.clone()).with_cost(issuer.password_cost));
        let registration = RegistrationMode::default();
        Self { issuer, limits: Limits::default(), passwords, links, registration, mail: Arc::default() }
    }

    /// The same, where not everyone may register.
    #[must_use]
    pub fn with_registration(self, registration: RegistrationMode) -> Self {
        Self { registration, ..self }
    }

    /// Is notified when mail was stored, for the task that sends it.
    pub fn mail(&self) -> Arc<Notify> {
        Arc::clone(&self.mail)
    }

    /// Signs in. Unknown addresses, wrong passwords and users that are not active are one answer at one price (R31).
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn sign_in(
        &self,
        email: &EmailAddress,
        password: PlainPassword,
        source: &Source,
    ) -> Result<SignIn, IssuerError> {
        let guess = self.limits.sign_in(email, source.ip(), self.issuer.clock.now())?;
        if let Some(retry_after) = guess.if_stranger
            && !self.is_known_network(email, source).await?
        {
            self.limits.not_looked_at(&guess);
            return Err(IssuerError::RateLimited { retry_after });
        }
        let password = Arc::new(password);
        // Twice at most: a hash that another sign-in made anew meanwhile is read again.
        for _ in 0..2 {
            let account = self.issuer.store.account_by_email(email).await?;
            let stored = match &account {
                Some(account) => {
                    source.is_about(&account.user);
                    account.password.clone()
                }
                None => self.passwords.hasher().decoy(email)?,
            };
            let matches = self.matches(Arc::clone(&password), email, stored).await?;
            let account = account.filter(|account| matches.holds() && account.user_state == UserState::Active);
            let account = account.ok_or(IssuerError::WrongPassword)?;
            account.check_seal(&self.issuer.roots)?;
            if let Some(sign_in) =
                self.begin_session(&account.user, SessionProof::Password(&account.password), source).await?
            {
                self.limits.signed_in(email, &guess);
                self.rehash_outdated(&account, password, matches, source).await;
                return Ok(sign_in);
            }
        }
        Err(IssuerError::WrongPassword)
    }

    /// Counts a step of signing in with an OpenID provider.
    ///
    /// # Errors
    /// [`IssuerError::RateLimited`].
    pub fn openid_step(&self, source: &Source) -> Result<(), IssuerError> {
        self.limits.openid(source.ip(), self.issuer.clock.now())
    }

    /// Begins the session of a user who signed in with `proof`. `None` where the database, asked once more, knows the proof
    /// no longer, or the user is not active.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn begin_session(
        &self,
        user: &UserId,
        proof: SessionProof<'_>,
        source: &Source,
    ) -> Result<Option<SignIn>, IssuerError> {
        let now = self.issuer.clock.now();
        let session = UserSession {
            id: SessionId::from_uuid(rng::uuid_v7(now, &*self.issuer.random)?),
            user: user.clone(),
            created_at: now,
            expires_at: now.plus_seconds(SESSION_SECONDS),
            state: SessionState::Active,
            seal: None,
        };
        let keys = self.issuer.roots.sealing();
        let session = session.sealed(&keys);
        let refresh = OpaqueToken::from_bytes(Kind::Refresh, rng::bytes(&*self.issuer.random)?);
        let first = RefreshRow::new(&keys, refresh.hash(), session.id.clone(), None);
        let (step_up, step_up_row) = self.new_step_up(&session, now)?;
        source.acts_as(Actor::User(session.user.clone()));
        let event = proof.told(Event::done(Action::UserSignIn, source, now).on(session.target()));
        if !self.issuer.store.add_user_session(&session, &first, proof, Some(&step_up_row), &event).await? {
            return Ok(None);
        }
        self.end_excess(user, source, now).await;
        self.remember_network(user, source, now).await;
        let jti = rng::bytes(&*self.issuer.random)?;
        let access = self.issuer.mint_access(&session.user, &session.id, now, &jti)?;
        let pair = TokenPair { access, expires_in: ACCESS_SECONDS, refresh };
        Ok(Some(SignIn { pair, step_up }))
    }

    /// Ends the sessions beyond [`MOST_SESSIONS`], so that a user who signs in again and again without signing out has no more
    /// sessions than a person needs. The new session is good also where this fails; the next sign-in does it.
    async fn end_excess(&self, user: &UserId, source: &Source, now: UnixTime) {
        let event = Event::done(Action::SessionRevoke, source, now).with("more_than", u64::from(MOST_SESSIONS));
        match self.issuer.store.end_excess_sessions(user, MOST_SESSIONS, now, &event).await {
            Ok(0) => {}
            Ok(ended) => tracing::info!(user = user.as_str(), ended, "a user had too many sessions"),
            Err(error) => tracing::warn!(user = user.as_str(), %error, "a user's sessions were not bounded"),
        }
    }

    /// Hashes a password anew that was right just now, where its hash has another cost than new ones or an older pepper, or is of the text as it
    /// was typed. Only a caller who knows the password can see that it took longer; where it does not work, the next sign-in does it.
    async fn rehash_outdated(&self, account: &Account, password: Arc<PlainPassword>, matches: Match, source: &Source) {
        if matches == Match::Usual && !self.passwords.hasher().is_outdated(&account.password) {
            return;
        }
        let made = async {
            let new = self.rehash(password, &account.email).await?;
            let (roots, random) = (&self.issuer.roots, &*self.issuer.random);
            let seal = sealed::account(roots, random, &account.user, &account.email, &new)?;
            let event = Event::done(Action::PasswordRehash, source, self.issuer.clock.now()).on(&account.user);
            Ok::<_, IssuerError>(self.issuer.store.replace_hash(account, &new, &seal, &event).await?)
        };
        match made.await {
            Ok(true) => tracing::info!(user = account.user.as_str(), "a password was hashed anew"),
            Ok(false) => {} // another sign-in was first, or the password was changed
            Err(error) => tracing::warn!(user = account.user.as_str(), %error, "a password was not hashed anew"),
        }
    }

    /// Ends the session of a refresh token, used or not. A malformed one ends nothing, and is no error (RFC 7009 §2.2).
    ///
    /// # Errors
    /// [`IssuerError`] where the database does not answer.
    pub async fn sign_out(&self, token: &str, source: &Source) -> Result<(), IssuerError> {
        if let Some(token) = OpaqueToken::parse(Kind::Refresh, token) {
            let now = self.issuer.clock.now();
            let event = Event::done(Action::UserSignOut, source, now);
            self.issuer.store.revoke_session_of(&token.hash(), now, &event).await?;
        }
        Ok(())
    }

    /// The user of an access token. The database is asked at each use, so an ended session or an inactive user counts at
    /// once.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn signed_in(&self, access: &AccessToken, source: &Source) -> Result<SignedIn, IssuerError> {
        source.acts_as(Actor::User(access.user.clone()));
        let session = self.issuer.store.user_session(&access.session).await?;
        let session = session.filter(|session| session.user == access.user).ok_or(IssuerError::UserSessionOver)?;
        let like = &IssuerError::UserSessionOver;
        session.check_seal(&self.issuer.roots).map_err(|fault| IssuerError::edited("a session", fault, like))?;
        let user = self.issuer.store.user(&access.user).await?.ok_or(IssuerError::UserSessionOver)?;
        if user.state != UserState::Active {
            return Err(IssuerError::UserInactive);
        }
        if !session.is_live(self.issuer.clock.now()) {
            return Err(IssuerError::UserSessionOver);
        }
        Ok(SignedIn { user, session, source: source.clone() })
    }

    /// The account of a user: address and password. `None` for a user who has no password.
    ///
    /// # Errors
    /// [`IssuerError`] where the database does not answer.
    pub async fn account(&self, user: &UserId) -> Result<Option<Account>, IssuerError> {
        Ok(self.issuer.store.account(user).await?)
    }

    /// The account of a signed-in user who also shows its password.
    pub(super) async fn proved_account(
        &self,
        signed_in: &SignedIn,
        password: impl Into<Arc<PlainPassword>>,
    ) -> Result<Account, IssuerError> {
        let account = self.account(&signed_in.user.id).await?.ok_or(IssuerError::WrongPassword)?;
        // A stolen access token is no way around the limit on guesses.
        let (session, from) = (&signed_in.session.id, signed_in.source.ip());
        let guess = self.limits.confirm(&account.email, session, from, self.issuer.clock.now())?;
        if !self.matches(password, &account.email, account.password.clone()).await?.holds() {
            return Err(IssuerError::WrongPassword);
        }
        account.check_seal(&self.issuer.roots)?;
        self.limits.signed_in(&account.email, &guess);
        Ok(account)
    }

    pub(super) fn pair(
        &self,
        session: &UserSession,
        next: refresh::Successor,
        issued: UnixTime,
        now: UnixTime,
    ) -> Result<TokenPair, IssuerError> {
        let access = self.issuer.mint_access(&session.user, &session.id, issued, &next.jti)?;
        let ends = issued.seconds().saturating_add(ACCESS_SECONDS);
        Ok(TokenPair { access, expires_in: ends.saturating_sub(now.seconds()), refresh: next.token })
    }

    /// The hash of a password that is to be set, if it is fit for that. `field` is where the caller wrote it.
    pub(super) async fn hash(
        &self,
        password: PlainPassword,
        field: &'static str,
        email: &EmailAddress,
    ) -> Result<StoredPassword, IssuerError> {
        let salt = rng::bytes(&*self.issuer.random)?;
        let email = email.clone();
        let hashed = self.passwords.run(move |hasher, memory| {
            let local = email.as_str().split('@').next().unwrap_or_default();
            password.fit_to_set(&[email.as_str(), local]).map_err(|hint| IssuerError::WeakPassword { field, hint })?;
            Ok(hasher.hash(&password, &email, &salt, memory)?)
        });
        hashed.await?
    }

    /// A hash of an account's present password, for the address.
    pub(super) async fn rehash(
        &self,
        password: Arc<PlainPassword>,
        email: &EmailAddress,
    ) -> Result<StoredPassword, IssuerError> {
        let salt = rng::bytes(&*self.issuer.random)?;
        let email = email.clone();
        let hashed = self.passwords.run(move |hasher, memory| hasher.hash(&password, &email, &salt, memory));
        Ok(hashed.await??)
    }

    /// Whether the password fits; a row that can't be checked is an alarm, and fits nothing.
    pub(super) async fn matches(
        &self,
        password: impl Into<Arc<PlainPassword>>,
        email: &EmailAddress,
        stored: StoredPassword,
    ) -> Result<Match, IssuerError> {
        let (password, email) = (password.into(), email.clone());
        let matches =
            self.passwords.run(move |hasher, memory| hasher.matches(&password, &email, &stored, memory)).await?;
        matches.map_err(IssuerError::BrokenPassword)
    }

    /// Whether a mail to that address may be asked for from there, and whether there is anything that brings it.
    pub(super) fn limits_of_mail(
        &self,
        budget: Budget,
        email: &EmailAddress,
        source: &Source,
        now: UnixTime,
    ) -> Result<(), IssuerError> {
        if self.links == LinkDelivery::None {
            return Err(IssuerError::NoLinkDelivery);
        }
        self.limits.mail(budget, email, source.ip(), now)
    }

    /// Mail was written down, or its address was written to enough this hour.
    pub(super) fn mail_waits(&self, id: &MailId, email: &EmailAddress, is_sent: bool) {
        if is_sent {
            metrics::mail_queued();
            tracing::info!(id = id.as_str(), "mail is to be sent");
            self.mail.notify_one();
        } else {
            metrics::mail("over_limit");
            tracing::warn!(%email, "no more mail to this address in this hour");
        }
    }
}
