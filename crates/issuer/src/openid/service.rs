//! Every decision about signing in with a provider: going there, coming back, swapping the page's code, linking, unlinking.

use super::connection::{Connection, MailJob};
use super::provider::Provider;
use super::return_to::{Failure, ReturnTo};
use crate::account::notice::StoredNotice;
use crate::account::service::{AccountService, SignIn, SignedIn};
use crate::error::IssuerError;
use crate::issuer::{Issuer, user_created};
use crate::openid::fault::ProviderFault;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_model::account::SessionProof;
use bmap_model::account::email::EmailAddress;
use bmap_model::account::opaque::{Kind, OpaqueToken};
use bmap_model::audit::{Action, Actor, Event, Source};
use bmap_model::clock::UnixTime;
use bmap_model::mail::job::Why;
use bmap_model::openid::flow::{CODE_SECONDS, FLOW_SECONDS, Flow, FlowKey, Intent, SealedCode, SealedFlow, Vouched};
use bmap_model::openid::pkce::Challenge;
use bmap_model::openid::provider_name::ProviderName;
use bmap_model::openid::{Identity, IdentityKey};
use bmap_model::rng;
use bmap_model::user::UserState;
use bmap_outbound::{Outbound, OutboundError};
use bmap_protocol::ids::UserId;
use bmap_protocol::origin::Origin;
use bmap_store::{StoreError, Unlinked};
use std::sync::Arc;
use url::Url;
use zeroize::Zeroizing;

/// So long after a sign-in its session links identities, in seconds: an attacker who gets hold of a user's tokens later
/// can't add a way in that stays.
pub const LINK_SECONDS: i64 = 900;
/// Longest code that a provider may give us.
const MAX_CODE: usize = 2048;

/// Providers at work.
#[derive(Debug)]
pub struct OpenidService {
    pub(super) issuer: Arc<Issuer>,
    connections: Vec<Connection>,
    origins: Vec<Origin>,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Issuer({}, …)", self.url)
    }
}

/// Why sign-in with a provider is off for every user.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum Unusable {
    /// The issuer's own URL is neither https nor on this machine: a cookie that binds a sign-in to its browser would travel in
    /// the clear.
    #[error("sign-in with OpenID providers needs an issuer URL that is https, or http on this machine's loopback")]
    InsecureIssuer,
    /// The client for a provider with authorities of its own can't be made.
    #[error("an OpenID provider: {0}")]
    Client(#[from] OutboundError),
}

/// A sign-in that begins.
#[derive(Debug)]
pub struct Begun {
    /// Where the browser goes.
    pub to: Url,
    /// The token that binds it to this browser: for its cookie.
    pub browser: OpaqueToken,
}

/// The parameters of a page that sends a browser.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// Its purpose.
    pub intent: Intent,
    /// Where the browser is to go on.
    pub return_to: &'a str,
    /// The page's PKCE challenge.
    pub challenge: &'a str,
}

/// The parameters that a browser brings back from a provider.
#[derive(Clone, Debug)]
pub struct Return {
    /// `state`, which it took there.
    pub state: String,
    /// `code`, if the provider agreed.
    pub code: Option<String>,
    /// `error`, if it did not.
    pub error: Option<String>,
    /// `iss`, the provider that sends it back (RFC 9207).
    pub iss: Option<String>,
}

/// Where a browser goes on that came back.
#[derive(Debug)]
pub struct WayOn {
    /// The page, with a code or a failure in the fragment.
    pub to: String,
    /// Why it is a failure.
    pub refused: Option<IssuerError>,
}

impl OpenidService {
    /// Providers for an issuer, whose pages are on these origins.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn new(
        issuer: Arc<Issuer>,
        outbound: &Outbound,
        providers: Vec<Provider>,
        origins: Vec<Origin>,
    ) -> Result<Self, Unusable> {
        let own = Url::parse(issuer.url.as_str()).map_err(|_| Unusable::InsecureIssuer)?;
        let own = Origin::parse(&own.origin().ascii_serialization()).map_err(|_| Unusable::InsecureIssuer)?;
        if !providers.is_empty() && own.scheme() != "https" && !own.is_loopback() {
            return Err(Unusable::InsecureIssuer);
        }
        let connect = |provider: Provider| {
            let outbound = match &provider.authorities {
                Some(authorities) => Outbound::trusting(authorities)?,
                None => outbound.clone(),
            };
            Ok(Connection::new(provider, outbound))
        };
        let connections = providers.into_iter().map(connect).collect::<Result<_, Unusable>>()?;
        Ok(Self { issuer, connections, origins })
    }

    /// No provider, and no page.
    pub fn none(issuer: Arc<Issuer>) -> Self {
        Self { issuer, connections: Vec::new(), origins: Vec::new() }
    }

    /// The configured providers, by name.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.connections.iter().map(Connection::provider)
    }

    /// The pages that people sign in from.
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// Whether cookies travel in TLS alone.
    pub fn is_secure(&self) -> bool {
        self.issuer.url.as_str().starts_with("https:")
    }

    /// Sends a browser to a provider. One that is on its way with another tab keeps its cookie.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn begin(&self, name: &str, wish: Wish<'_>, browser: Option<OpaqueToken>) -> Result<Begun, IssuerError> {
        let connection = self.connection(name)?;
        let return_to =
            ReturnTo::parse(wish.return_to, &self.origins).ok_or(IssuerError::Malformed { field: "return_to" })?;
        let challenge = Challenge::parse(wish.challenge).ok_or(IssuerError::Malformed { field: "code_challenge" })?;
        let metadata = connection.metadata(&self.issuer.clock).await?;
        let random = &*self.issuer.random;
        let browser = match browser {
            Some(browser) => browser,
            None => OpaqueToken::from_bytes(Kind::Browser, rng::bytes(random)?),
        };
        let state = OpaqueToken::from_bytes(Kind::SignInState, rng::bytes(random)?);
        let flow = Flow {
            intent: wish.intent,
            nonce: Base64UrlUnpadded::encode_string(&rng::bytes::<32>(random)?).into(),
            verifier: Base64UrlUnpadded::encode_string(&rng::bytes::<32>(random)?).into(),
            return_to: return_to.as_str().to_owned(),
            challenge: challenge.as_str().to_owned(),
        };
        let key = FlowKey { state: state.hash(), browser: browser.hash(), provider: name.to_owned() };
        let ends = self.issuer.clock.now().plus_seconds(FLOW_SECONDS);
        let row = SealedFlow::seal(&self.issuer.roots.sealing(), rng::bytes(random)?, key, ends, &flow)?;
        let redirect_uri = self.redirect_uri(&connection.provider().name);
        let job = MailJob {
            redirect_uri: &redirect_uri,
            state: state.reveal().to_string(),
            nonce: &flow.nonce,
            verifier: &flow.verifier,
            is_fresh: matches!(flow.intent, Intent::Confirm | Intent::StepUp),
        };
        let to = connection.authorization_url(&metadata, job)?;
        self.issuer.store.add_openid_flow(&row).await?;
        Ok(Begun { to, browser })
    }

    /// Takes a browser back: where it goes on, with a code for its page or with a failure.
    ///
    /// # Errors
    /// [`IssuerError::UnknownSignIn`] where this browser began no such sign-in with this provider, or came back before: then
    /// there is no page to tell.
    pub async fn take_back(
        &self,
        name: &str,
        browser: Option<OpaqueToken>,
        returned: Return,
        source: &Source,
    ) -> Result<WayOn, IssuerError> {
        let connection = self.connection(name)?;
        let state = OpaqueToken::parse(Kind::SignInState, &returned.state).ok_or(IssuerError::UnknownSignIn)?;
        // A victim who was talked into following an attacker's link has another cookie, or none (T28).
        let browser = browser.ok_or(IssuerError::UnknownSignIn)?;
        let key = FlowKey { state: state.hash(), browser: browser.hash(), provider: name.to_owned() };
        let row = self.issuer.store.take_openid_flow(&key, self.issuer.clock.now()).await?;
        let row = row.ok_or(IssuerError::UnknownSignIn)?;
        let (flow, sent) = (row.open(&self.issuer.roots)?, row.expires_at.plus_seconds(-FLOW_SECONDS));
        let return_to =
            ReturnTo::parse(&flow.return_to, &self.origins).ok_or(IssuerError::Malformed { field: "return_to" })?;
        Ok(match self.vouch(connection, (&flow, sent), returned, source).await {
            Ok(code) => WayOn { to: return_to.with_code(&code.reveal()), refused: None },
            Err(refusal) => {
                let is_denied = matches!(refusal, IssuerError::ProviderDenied);
                let failure = if is_denied { Failure::AccessDenied } else { Failure::SignInFailed };
                WayOn { to: return_to.with_failure(failure), refused: Some(refusal) }
            }
        })
    }

    /// Checks the provider's ID token, and makes a code for the user that it names.
    async fn vouch(
        &self,
        connection: &Connection,
        (flow, sent): (&Flow, UnixTime),
        returned: Return,
        source: &Source,
    ) -> Result<OpaqueToken, IssuerError> {
        let provider = connection.provider();
        let metadata = connection.metadata(&self.issuer.clock).await?;
        // Before anything else of it is believed: another provider may have sent the browser here (RFC 9207 §2.4).
        match &returned.iss {
            Some(iss) if iss != provider.issuer.as_str() => return Err(IssuerError::MixedUp),
            None if metadata.sends_iss => return Err(IssuerError::MixedUp),
            _ => {}
        }
        match returned.error.as_deref() {
            Some("access_denied") => return Err(IssuerError::ProviderDenied),
            Some(_) => return Err(IssuerError::ProviderError),
            None => {}
        }
        let code = returned.code.filter(|code| code.len() <= MAX_CODE).ok_or(IssuerError::ProviderError)?;
        let redirect_uri = self.redirect_uri(&provider.name);
        let compact = connection.swap(&metadata, &redirect_uri, code, &flow.verifier).await?;
        let token = connection.verify(&self.issuer.clock, &metadata, &flow.nonce, &compact).await?;
        if matches!(flow.intent, Intent::Confirm | Intent::StepUp) {
            token.must_be_fresh(sent, flow.intent == Intent::StepUp).map_err(ProviderFault::IdToken)?;
        }
        let key = IdentityKey { issuer: provider.issuer.as_str().to_owned(), subject: token.subject };
        let known = match flow.intent {
            Intent::SignIn | Intent::Confirm | Intent::StepUp => self.known(&key).await?,
            // A row without a seal may be linked anew; whether it may is asked when the page's code is swapped.
            Intent::Link => self.issuer.store.openid_identity(&key).await?,
        };
        match known {
            Some((identity, UserState::Deactivated { .. })) => {
                source.is_about(&identity.user);
                return Err(IssuerError::UserInactive);
            }
            None if flow.intent == Intent::SignIn && !provider.sign_up => return Err(IssuerError::SignUpOff),
            _ => {}
        }
        let challenge = Challenge::parse(&flow.challenge).ok_or(IssuerError::UnknownSignIn)?;
        let vouched = Vouched { key, email: token.email, intent: flow.intent, challenge };
        let random = &*self.issuer.random;
        let code = OpaqueToken::from_bytes(Kind::SignInCode, rng::bytes(random)?);
        let ends = self.issuer.clock.now().plus_seconds(CODE_SECONDS);
        let row = SealedCode::seal(&self.issuer.roots.sealing(), rng::bytes(random)?, code.hash(), ends, &vouched)?;
        self.issuer.store.add_openid_code(&row).await?;
        Ok(code)
    }

    /// Swaps a page's code for a session. An unknown identity becomes a new user. It never becomes the user of an account
    /// with the same address, because a stranger may have registered that address before its owner came.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn redeem(
        &self,
        accounts: &AccountService,
        code: &str,
        verifier: &Zeroizing<String>,
        source: &Source,
    ) -> Result<SignIn, IssuerError> {
        let vouched = self.vouched(code, verifier, Intent::SignIn).await?;
        let provider = self.providers().find(|provider| provider.issuer.as_str() == vouched.key.issuer);
        let provider = provider.ok_or(IssuerError::UnknownSignInCode)?;
        let store = &self.issuer.store;
        let user = match self.known(&vouched.key).await? {
            Some((identity, _)) => identity.user,
            None if !provider.sign_up => return Err(IssuerError::SignUpOff),
            None => {
                let user = accounts.new_person()?;
                let identity = self.identity(&vouched, user.id.clone(), None);
                let event = user_created(&user, source).by(Actor::User(user.id.clone()));
                let event = event.with("by", "openid").with("provider", &provider.name);
                match store.add_openid_user(&user, &identity, &event).await {
                    Ok(()) => user.id,
                    // Another request with the same identity came at the same time, and was first.
                    Err(StoreError::Taken { .. }) => {
                        self.known(&vouched.key).await?.ok_or(IssuerError::UnknownSignInCode)?.0.user
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        };
        let email = self.free_address(vouched.email, &user).await?;
        source.is_about(&user);
        let proof = SessionProof::Openid { provider: &provider.name, key: &vouched.key, email: email.as_ref() };
        accounts.begin_session(&user, proof, source).await?.ok_or(IssuerError::UserInactive)
    }

    /// Links an identity to the signed-in user: another way to sign in. Only the page that began it, for the user who is
    /// signed in there, can end it.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn link(
        &self,
        accounts: &AccountService,
        signed_in: &SignedIn,
        name: &str,
        code: &str,
        verifier: &Zeroizing<String>,
    ) -> Result<Identity, IssuerError> {
        let provider = self.connection(name)?.provider();
        if self.issuer.clock.now() >= signed_in.session.created_at.plus_seconds(LINK_SECONDS) {
            return Err(IssuerError::InvalidState { hint: "Sign in anew first: this session began too long ago." });
        }
        let vouched = self.vouched(code, verifier, Intent::Link).await?;
        if vouched.key.issuer != provider.issuer.as_str() {
            return Err(IssuerError::UnknownSignInCode);
        }
        let user = signed_in.user.id.clone();
        let email = self.free_address(vouched.email.clone(), &user).await?;
        let identity = self.identity(&vouched, user, email);
        let event = Event::done(Action::OpenidLink, &signed_in.source, identity.created_at);
        let event = event.on(&identity.user).with("provider", &provider.name);
        let word = match accounts.account(&identity.user).await? {
            Some(account) => {
                accounts.notice(&account.email, Why::ProviderLinked { provider: provider.name.clone() })?
            }
            None => None,
        };
        match self.issuer.store.add_openid_identity(&identity, StoredNotice::job(word.as_ref()), &event).await {
            Ok(is_told) => {
                accounts.notice_waits(word.as_ref(), is_told);
                Ok(identity)
            }
            Err(StoreError::Taken { .. }) => Err(IssuerError::InvalidState {
                hint: "It is linked to another user, or this user has another one of that provider.",
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// Unlinks the signed-in user from a provider.
    ///
    /// # Errors
    /// [`IssuerError`], among them that there would be no way to sign in any more.
    pub async fn unlink(&self, signed_in: &SignedIn, name: &str) -> Result<(), IssuerError> {
        let provider = self.connection(name)?.provider();
        let ways: Vec<&str> = self.providers().map(|provider| provider.issuer.as_str()).collect();
        let store = &self.issuer.store;
        let event = Event::done(Action::OpenidUnlink, &signed_in.source, self.issuer.clock.now());
        let event = event.on(&signed_in.user.id).with("provider", &provider.name);
        match store.remove_openid_identity(&signed_in.user.id, provider.issuer.as_str(), &ways, &event).await? {
            Unlinked::Done => Ok(()),
            Unlinked::NotThere => Err(IssuerError::NotFound { what: "identity" }),
            Unlinked::LastWay => Err(IssuerError::InvalidState { hint: "It is the only way to sign in that is left." }),
        }
    }

    /// The identities of a user.
    ///
    /// # Errors
    /// [`IssuerError`] where the database does not answer.
    pub async fn identities(&self, user: &UserId) -> Result<Vec<Identity>, IssuerError> {
        Ok(self.issuer.store.openid_identities(user).await?)
    }

    /// The sign-in that a page's code stands for. A code is used up by the first caller that presents it, right or
    /// wrong.
    pub(super) async fn vouched(
        &self,
        code: &str,
        verifier: &Zeroizing<String>,
        intent: Intent,
    ) -> Result<Vouched, IssuerError> {
        let code = OpaqueToken::parse(Kind::SignInCode, code).ok_or(IssuerError::UnknownSignInCode)?;
        let row = self.issuer.store.take_openid_code(&code.hash(), self.issuer.clock.now()).await?;
        let vouched = row.ok_or(IssuerError::UnknownSignInCode)?.open(&self.issuer.roots)?;
        let is_good = vouched.intent == intent && vouched.challenge.is_of(verifier);
        is_good.then_some(vouched).ok_or(IssuerError::UnknownSignInCode)
    }

    fn identity(&self, vouched: &Vouched, user: UserId, email: Option<EmailAddress>) -> Identity {
        let created_at = self.issuer.clock.now();
        let identity = Identity { key: vouched.key.clone(), user, email, created_at, signed_in_at: None, seal: None };
        identity.sealed(&self.issuer.roots.sealing())
    }

    /// The user of an identity here. A row that was put in, or pointed to another user, by hand signs no user in, and makes no new user
    /// either (T13).
    pub(super) async fn known(&self, key: &IdentityKey) -> Result<Option<(Identity, UserState)>, IssuerError> {
        let found = self.issuer.store.openid_identity(key).await?;
        if let Some((identity, _)) = &found {
            let checked = identity.check_seal(&self.issuer.roots);
            checked.map_err(|fault| IssuerError::edited("an identity", fault, &IssuerError::UnknownSignInCode))?;
        }
        Ok(found)
    }

    /// The address, unless another user's account has it: the address that is shown beside a user is never another
    /// user's.
    async fn free_address(
        &self,
        email: Option<EmailAddress>,
        user: &UserId,
    ) -> Result<Option<EmailAddress>, IssuerError> {
        let Some(email) = email else { return Ok(None) };
        let account = self.issuer.store.account_by_email(&email).await?;
        Ok(Some(email).filter(|_| account.is_none_or(|account| account.user == *user)))
    }

    pub(super) fn connection(&self, name: &str) -> Result<&Connection, IssuerError> {
        let found = self.connections.iter().find(|connection| connection.provider().name.as_str() == name);
        found.ok_or(IssuerError::NotFound { what: "OpenID provider" })
    }

    /// One for each provider: an answer that comes back there can only be to a request to that one (RFC 9700 §4.4.2).
    fn redirect_uri(&self, name: &ProviderName) -> String {
        format!("{}/auth/openid/{}/callback", self.issuer.url, name.as_str())
    }
}
