//! Every decision about accounts: registering, confirming, signing in, going on, signing out, changing the password.

use super::access::{ACCESS_SECONDS, AccessToken};
use super::email::EmailAddress;
use super::limits::Limits;
use super::opaque::{Kind, OpaqueToken};
use super::password::{Hasher, PlainPassword, StoredPassword};
use super::pool::PasswordPool;
use super::refresh::{self, Rotation, Salt, Used};
use super::{Account, Registration, UserSession};
use crate::clock::UnixMillis;
use crate::domain::audit::{Action, Actor, Event, Source};
use crate::domain::issuer::{Issuer, new_user};
use crate::domain::refusal::Refusal;
use crate::domain::session::{SessionId, SessionState};
use crate::domain::user::{User, UserName, UserState};
use crate::rng;
use crate::store::{Accounts, StoreError, UserSessions, Users};
use bmap_protocol::ids::UserId;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Life of a confirmation link, in seconds.
pub const CONFIRMATION_SECONDS: i64 = 24 * 3600;
/// Longest life of a session, in seconds, however often it is refreshed.
pub const SESSION_SECONDS: i64 = 30 * 86_400;

/// How a confirmation link gets to whoever reads that address's mail.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkDelivery {
    /// Not at all: nobody can register.
    #[default]
    None,
    /// Into the log: for development, where the log's reader is the one who registers.
    Log,
}

/// Accounts at work.
pub struct AccountService {
    pub(super) issuer: Arc<Issuer>,
    passwords: PasswordPool,
    limits: Limits,
    links: LinkDelivery,
}

/// What somebody who signed in, or goes on, is given.
#[derive(Debug)]
pub struct TokenPair {
    /// The access token.
    pub access: Zeroizing<String>,
    /// Seconds until it ends.
    pub expires_in: i64,
    /// The refresh token.
    pub refresh: OpaqueToken,
}

/// Who is signed in, by whatever way.
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
        let passwords = PasswordPool::new(Hasher::new(issuer.roots.clone()));
        Self { issuer, passwords, limits: Limits::default(), links }
    }

    /// Registers: keeps address and password until the link is followed. An address that has an account is answered alike
    /// and costs the same, so that nobody learns by this who has one (R31).
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn register(
        &self,
        email: &EmailAddress,
        password: PlainPassword,
        source: &Source,
    ) -> Result<(), Refusal> {
        if self.links == LinkDelivery::None {
            return Err(Refusal::NoLinkDelivery);
        }
        let now = self.issuer.clock.now();
        self.limits.register(email, source.ip(), now)?;
        let password = self.hash(password, email).await?;
        let token = OpaqueToken::from_bytes(Kind::Confirmation, rng::bytes(&*self.issuer.random)?);
        let expires_at = now.plus_seconds(CONFIRMATION_SECONDS);
        let registration = Registration { email: email.clone(), password, expires_at };
        // Alike whether or not the address has an account; and without the address, which may be anybody's.
        let event = Event::done(Action::UserRegister, source, now);
        self.issuer.store.add_registration(&token.hash(), &registration, &event).await?;
        if self.issuer.store.account_by_email(email).await?.is_some() {
            // Nobody gets the link of this one, so it ends unused.
            tracing::info!(%email, "registration of an address that has an account");
        } else {
            let link = format!("{}/auth/confirm?token={}", self.issuer.url, *token.reveal());
            tracing::info!(%email, "development: confirm this address at {link}");
        }
        Ok(())
    }

    /// Makes the account of a confirmed address. The link works once.
    ///
    /// # Errors
    /// [`Refusal::UnknownConfirmation`] for one that was never made, was used or has ended.
    pub async fn confirm(&self, token: &str, source: &Source) -> Result<(), Refusal> {
        let token = OpaqueToken::parse(Kind::Confirmation, token).ok_or(Refusal::UnknownConfirmation)?;
        let now = self.issuer.clock.now();
        // Its name is its id: a name of somebody's choice could be one that an operator gives out.
        let placeholder = UserName::parse("new").map_err(|_| Refusal::Signing)?;
        let mut user = new_user(placeholder, now, &*self.issuer.random)?;
        user.name = UserName::parse(user.id.as_str()).map_err(|_| Refusal::Signing)?;
        let event = Event::done(Action::UserConfirm, source, now).by(Actor::User(user.id.clone())).on(&user.id);
        match self.issuer.store.confirm_registration(&token.hash(), &user, &event).await {
            Ok(true) => Ok(()),
            // Another link for the same address was followed before.
            Ok(false) | Err(StoreError::Taken { .. }) => Err(Refusal::UnknownConfirmation),
            Err(error) => Err(error.into()),
        }
    }

    /// Signs in. Unknown addresses, wrong passwords and users that are not active are one answer at one price (R31).
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn sign_in(
        &self,
        email: &EmailAddress,
        password: PlainPassword,
        source: &Source,
    ) -> Result<TokenPair, Refusal> {
        self.limits.sign_in(email, source.ip(), self.issuer.clock.now())?;
        let account = self.issuer.store.account_by_email(email).await?;
        let stored = match &account {
            Some(account) => {
                source.is_about(&account.user);
                account.password.clone()
            }
            None => self.passwords.hasher().decoy(email)?,
        };
        let matches = self.matches(password, email, stored).await?;
        let account = account.filter(|account| matches && account.user_state == UserState::Active);
        let account = account.ok_or(Refusal::WrongPassword)?;
        let now = self.issuer.clock.now();
        let session = UserSession {
            id: SessionId::from_uuid(rng::uuid_v7(now, &*self.issuer.random)?),
            user: account.user.clone(),
            created_at: now,
            expires_at: now.plus_seconds(SESSION_SECONDS),
            state: SessionState::Active,
        };
        let refresh = OpaqueToken::from_bytes(Kind::Refresh, rng::bytes(&*self.issuer.random)?);
        source.acts_as(Actor::User(session.user.clone()));
        let event = Event::done(Action::UserSignIn, source, now).on(session.target()).with("by", "password");
        // The database asks once more: a password that was changed meanwhile begins no session.
        if !self.issuer.store.add_user_session(&session, &refresh.hash(), &account.password, &event).await? {
            return Err(Refusal::WrongPassword);
        }
        self.limits.signed_in(email);
        let jti = rng::bytes(&*self.issuer.random)?;
        let access = self.issuer.mint_access(&session.user, &session.id, now, &jti)?;
        Ok(TokenPair { access, expires_in: ACCESS_SECONDS, refresh })
    }

    /// Goes on with a session: one successor for each token, the same for everybody within the grace; after it, the token
    /// is somebody else's copy, and the session ends (R38, R39).
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn refresh(&self, token: &str, source: &Source) -> Result<TokenPair, Refusal> {
        let presented = OpaqueToken::parse(Kind::Refresh, token).ok_or(Refusal::UnknownRefreshToken)?;
        let now = self.issuer.clock.now();
        let used = Used { at: now, salt: Salt::from_bytes(rng::bytes(&*self.issuer.random)?) };
        let next = refresh::successor(&self.issuer.roots.sealing(), &presented, &used.salt)?;
        let rotation = Rotation { presented: presented.hash(), successor: next.token.hash(), used };
        let event = Event::done(Action::SessionRefresh, source, now);
        let rotated = self.issuer.store.rotate(&rotation, &event).await?.ok_or(Refusal::UnknownRefreshToken)?;
        source.is_about(rotated.session.target());
        if rotated.user_state != UserState::Active {
            return Err(Refusal::UserInactive);
        }
        if !rotated.session.is_live(now) {
            return Err(Refusal::UserSessionOver);
        }
        let session = rotated.session;
        if rotated.used == rotation.used {
            return self.pair(&session, next, now, now);
        }
        if !rotated.used.is_within_grace(now) {
            tracing::warn!(session = session.id.as_str(), "a used refresh token came back: its session is ended");
            let event = Event::done(Action::SessionRevoke, source, now).by(Actor::System);
            let event = event.with("reason", "a used refresh token came back");
            self.issuer.store.revoke_user_session(&session.id, now, &event).await?;
            return Err(Refusal::RefreshReused);
        }
        // The epoch that made the successor is the newest, or was until a moment ago.
        for epoch in self.issuer.roots.all() {
            let next = refresh::successor(&epoch, &presented, &rotated.used.salt)?;
            if Some(next.token.hash()) == rotated.successor {
                return self.pair(&session, next, rotated.used.at, now);
            }
        }
        // Its root secret is not at hand any more; whoever holds the successor goes on with it.
        Err(Refusal::UnknownRefreshToken)
    }

    /// Ends the session of a refresh token, used or not. A text that is none ends nothing, and says nothing (RFC 7009 §2.2).
    ///
    /// # Errors
    /// [`Refusal`] where the database does not answer.
    pub async fn sign_out(&self, token: &str, source: &Source) -> Result<(), Refusal> {
        if let Some(token) = OpaqueToken::parse(Kind::Refresh, token) {
            let now = self.issuer.clock.now();
            let event = Event::done(Action::UserSignOut, source, now);
            self.issuer.store.revoke_session_of(&token.hash(), now, &event).await?;
        }
        Ok(())
    }

    /// Who holds an access token. The database is asked at each use, so an ended session or an inactive user counts at once.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn signed_in(&self, access: &AccessToken, source: &Source) -> Result<SignedIn, Refusal> {
        source.acts_as(Actor::User(access.user.clone()));
        let session = self.issuer.store.user_session(&access.session).await?;
        let session = session.filter(|session| session.user == access.user).ok_or(Refusal::UserSessionOver)?;
        let user = self.issuer.store.user(&access.user).await?.ok_or(Refusal::UserSessionOver)?;
        if user.state != UserState::Active {
            return Err(Refusal::UserInactive);
        }
        if !session.is_live(self.issuer.clock.now()) {
            return Err(Refusal::UserSessionOver);
        }
        Ok(SignedIn { user, session, source: source.clone() })
    }

    /// The account of a user: address and password. `None` for a user who has no password.
    ///
    /// # Errors
    /// [`Refusal`] where the database does not answer.
    pub async fn account(&self, user: &UserId) -> Result<Option<Account>, Refusal> {
        Ok(self.issuer.store.account(user).await?)
    }

    /// Changes the password of whoever is signed in, and ends every other session; how many.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn change_password(
        &self,
        signed_in: &SignedIn,
        current: PlainPassword,
        new: PlainPassword,
    ) -> Result<u64, Refusal> {
        let account = self.proved_account(signed_in, current).await?;
        let new = self.hash(new, &account.email).await?;
        let now = self.issuer.clock.now();
        let event = Event::done(Action::PasswordChange, &signed_in.source, now).on(&account.user);
        let ended = self.issuer.store.change_password(&account, &new, &signed_in.session.id, now, &event).await?;
        self.limits.signed_in(&account.email);
        ended.ok_or(Refusal::WrongPassword)
    }

    /// The account of whoever is signed in and also knows its password.
    pub(super) async fn proved_account(
        &self,
        signed_in: &SignedIn,
        password: PlainPassword,
    ) -> Result<Account, Refusal> {
        let account = self.account(&signed_in.user.id).await?.ok_or(Refusal::WrongPassword)?;
        // A stolen access token is no way around the limit on guesses.
        self.limits.sign_in(&account.email, signed_in.source.ip(), self.issuer.clock.now())?;
        if !self.matches(password, &account.email, account.password.clone()).await? {
            return Err(Refusal::WrongPassword);
        }
        Ok(account)
    }

    fn pair(
        &self,
        session: &UserSession,
        next: refresh::Successor,
        issued: UnixMillis,
        now: UnixMillis,
    ) -> Result<TokenPair, Refusal> {
        let access = self.issuer.mint_access(&session.user, &session.id, issued, &next.jti)?;
        let ends = issued.seconds().saturating_add(ACCESS_SECONDS);
        Ok(TokenPair { access, expires_in: ends.saturating_sub(now.seconds()), refresh: next.token })
    }

    async fn hash(&self, password: PlainPassword, email: &EmailAddress) -> Result<StoredPassword, Refusal> {
        let salt = rng::bytes(&*self.issuer.random)?;
        let email = email.clone();
        let hashed = self.passwords.run(move |hasher, memory| {
            let local = email.as_str().split('@').next().unwrap_or_default();
            password.fit_to_set(&[email.as_str(), local]).map_err(|hint| Refusal::WeakPassword { hint })?;
            Ok(hasher.hash(&password, &email, &salt, memory)?)
        });
        hashed.await?
    }

    /// Whether the password fits; a row that can't be checked is an alarm, and fits nothing.
    async fn matches(
        &self,
        password: PlainPassword,
        email: &EmailAddress,
        stored: StoredPassword,
    ) -> Result<bool, Refusal> {
        let email = email.clone();
        let matches =
            self.passwords.run(move |hasher, memory| hasher.matches(&password, &email, &stored, memory)).await?;
        matches.map_err(Refusal::BrokenPassword)
    }
}
