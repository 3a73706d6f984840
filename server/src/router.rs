//! Every route, in one list, and the state that the handlers share.

use crate::beneath::{self, SentTo};
use crate::bodies::Shares;
use crate::domain::account::registration::RegistrationMode;
use crate::domain::account::service::{AccountService, LinkDelivery, SignedIn};
use crate::domain::audit::{Action, Source};
use crate::domain::authenticate::Caller;
use crate::domain::grant::Renewable;
use crate::domain::idempotency::InProgress;
use crate::domain::issuer::Issuer;
use crate::domain::keys::last_use::{LastUse, LastUses, Way};
use crate::domain::openid::service::OpenidService;
use crate::domain::refusal::Refusal;
use crate::domain::request_limits::{RateKey, RequestLimits, RequestRates};
use crate::domain::signed::{self, BadIssuerUrl, IssuerVerifier};
use crate::domain::users::Admin;
use crate::middleware::{self, ClientAddress};
use crate::openapi::Doc;
use crate::routes::credentials::{self, Credential};
#[cfg(feature = "docs-ui")]
use crate::routes::docs;
use crate::routes::{
    api_keys, audit, auth, bearer, health, invitations, oauth, openapi, tickets, tools, users, well_known,
};
use crate::store::{IgnoredProxies, IgnoredProxy};
use crate::unbelieved::Unbelieved;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use bmap_protocol::check;
use bmap_protocol::fields::Fields;
use bmap_protocol::ids::ApiKeyId;
use bmap_protocol::received::UnverifiedSignature;
use bmap_protocol::refusal::Refusal as SignedRefusal;
use bmap_protocol::token::{Assurance, Subject};
use bmap_verifier::Principal;
use bytes::Bytes;
use http::Method;
use http::request::Parts;
use http_body_util::Full;
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Semaphore;

/// The state that the handlers share: one counted pointer, because every layer around a route gives its request one of
/// its own.
#[derive(Clone)]
pub struct App(Arc<Shared>);

/// The inside of an [`App`].
#[derive(Clone)]
pub struct Shared {
    /// The issuer at work.
    pub issuer: Arc<Issuer>,
    /// Accounts and their sessions.
    pub accounts: Arc<AccountService>,
    /// Sign-in with OpenID providers.
    pub openid: Arc<OpenidService>,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Arc<[IpNet]>,
    /// When and from where keys were used, before it is written.
    pub last_uses: Arc<LastUses>,
    /// Requests with an idempotency key that this process is at work on.
    pub in_progress: InProgress,
    /// How many requests each caller may make.
    pub limits: Arc<RequestLimits>,
    /// The bodies of each address that are held.
    pub bodies: Shares,
    /// Peers whose `X-Forwarded-For` is not believed.
    pub unbelieved: Arc<Unbelieved>,
    verifier: Arc<IssuerVerifier>,
    stopping: Arc<AtomicBool>,
}

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Any caller: it tells nothing that is not public and changes nothing.
    Open,
    /// Only with an API key or a signature, which the handler asks for before anything else that it does.
    Credential,
    /// Only with a user's access token, asked for in the same way.
    User,
    /// Only as an admin: with an admin's access token, or with an API key of an admin that administers, in any of its ways. The handler asks for it
    /// in the same way.
    Admin,
    /// Any caller may send it, and its own fields decide: a password, a refresh token, a link's token. None of these answers
    /// whether an address has an account.
    OwnProof,
}

/// One route.
pub struct Route {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: &'static str,
    /// Its path.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// Its documentation: what it takes, answers and refuses.
    pub doc: Doc,
    handler: MethodRouter<App>,
}

/// Who may call which route, for a layer that sees requests before their route does.
#[derive(Clone)]
pub struct AccessOfRoutes(Arc<HashMap<(&'static str, &'static str), Access>>);

impl AccessOfRoutes {
    fn new(routes: &[Route]) -> Self {
        Self(Arc::new(routes.iter().map(|route| ((route.path, route.method), route.access)).collect()))
    }

    /// Who may call it. A path without a route is open: its answer tells no more than that.
    pub fn of(&self, path: &str, method: &Method) -> Access {
        let listed = if method == Method::HEAD { "GET" } else { method.as_str() };
        self.0.get(&(path, listed)).copied().unwrap_or(Access::Open)
    }
}

/// Every route. Tests walk this list: one without a credential is on purpose (R24). `/openapi.json` is made of it.
pub fn routes() -> Vec<Route> {
    let route = |access| move |method, path, handler, doc| Route { method, path, access, doc, handler };
    let (open, credential) = (route(Access::Open), route(Access::Credential));
    let (user, own_proof) = (route(Access::User), route(Access::OwnProof));
    let admin = route(Access::Admin);
    #[cfg_attr(not(feature = "docs-ui"), expect(unused_mut, reason = "the page's routes are added below"))]
    let mut all = vec![
        open("GET", "/livez", get(health::live), health::live_doc()),
        open("GET", "/readyz", get(health::ready), health::ready_doc()),
        open("GET", "/healthz", get(health::ready), health::ready_doc()),
        open("GET", "/openapi.json", get(openapi::get), openapi::get_doc()),
        open("GET", "/.well-known/jwks.json", get(well_known::jwks::get), well_known::jwks::get_doc()),
        open(
            "GET",
            "/.well-known/oauth-authorization-server",
            get(well_known::oauth_authorization_server::get),
            well_known::oauth_authorization_server::get_doc(),
        ),
        credential("POST", "/oauth/token", post(oauth::token::post), oauth::token::post_doc()),
        credential("POST", "/tickets", post(tickets::post), tickets::post_doc()),
        own_proof("POST", "/auth/register", post(auth::register::post), auth::register::post_doc()),
        own_proof("GET", "/auth/confirm", get(auth::confirm::page), auth::confirm::page_doc()),
        own_proof("POST", "/auth/confirm", post(auth::confirm::post), auth::confirm::post_doc()),
        own_proof("POST", "/auth/login", post(auth::login::post), auth::login::post_doc()),
        own_proof("POST", "/auth/refresh", post(auth::refresh::post), auth::refresh::post_doc()),
        own_proof("POST", "/auth/logout", post(auth::logout::post), auth::logout::post_doc()),
        user("POST", "/auth/step-up", post(auth::step_up::post), auth::step_up::post_doc()),
        own_proof("GET", "/auth/invitation", get(auth::invitation::page), auth::invitation::page_doc()),
        own_proof("POST", "/auth/invitation", post(auth::invitation::post), auth::invitation::post_doc()),
        own_proof("POST", "/api-keys/revoke", post(api_keys::revoke::post), api_keys::revoke::post_doc()),
        user("GET", "/api-keys", get(api_keys::get), api_keys::get_doc()),
        user("POST", "/api-keys", post(api_keys::post), api_keys::post_doc()),
        user("GET", "/api-keys/{id}", get(api_keys::id::get), api_keys::id::get_doc()),
        user("PATCH", "/api-keys/{id}", patch(api_keys::id::patch), api_keys::id::patch_doc()),
        user("DELETE", "/api-keys/{id}", delete(api_keys::id::delete), api_keys::id::delete_doc()),
        user("POST", "/api-keys/{id}/regenerate", post(api_keys::regenerate::post), api_keys::regenerate::post_doc()),
        open("GET", "/auth/openid", get(auth::openid::get), auth::openid::get_doc()),
        own_proof("GET", "/auth/openid/{provider}", get(auth::openid::start::get), auth::openid::start::get_doc()),
        own_proof(
            "GET",
            "/auth/openid/{provider}/callback",
            get(auth::openid::callback::get),
            auth::openid::callback::get_doc(),
        ),
        own_proof("POST", "/auth/openid/token", post(auth::openid::token::post), auth::openid::token::post_doc()),
        user("POST", "/auth/openid/{provider}/link", post(auth::openid::link::post), auth::openid::link::post_doc()),
        user("DELETE", "/auth/openid/{provider}", delete(auth::openid::link::delete), auth::openid::link::delete_doc()),
        user(
            "POST",
            "/auth/openid/{provider}/password",
            post(auth::openid::confirmed::password),
            auth::openid::confirmed::password_doc(),
        ),
        user(
            "POST",
            "/auth/openid/{provider}/deactivate",
            post(auth::openid::confirmed::deactivate),
            auth::openid::confirmed::deactivate_doc(),
        ),
        user("GET", "/auth/me", get(auth::me::get), auth::me::get_doc()),
        user("POST", "/auth/password", post(auth::password::post), auth::password::post_doc()),
        user("POST", "/auth/deactivate", post(auth::deactivate::post), auth::deactivate::post_doc()),
        user("GET", "/auth/sessions", get(auth::sessions::get), auth::sessions::get_doc()),
        user("DELETE", "/auth/sessions", delete(auth::sessions::delete_others), auth::sessions::delete_others_doc()),
        user("DELETE", "/auth/sessions/{id}", delete(auth::sessions::delete), auth::sessions::delete_doc()),
        own_proof("POST", "/auth/password/reset", post(auth::password::reset::ask), auth::password::reset::ask_doc()),
        own_proof("GET", "/auth/password/reset", get(auth::password::reset::page), auth::password::reset::page_doc()),
        own_proof(
            "POST",
            "/auth/password/reset/confirm",
            post(auth::password::reset::confirm),
            auth::password::reset::confirm_doc(),
        ),
        user("POST", "/auth/email", post(auth::email::post), auth::email::post_doc()),
        own_proof("GET", "/auth/email/confirm", get(auth::email::confirm::page), auth::email::confirm::page_doc()),
        own_proof("POST", "/auth/email/confirm", post(auth::email::confirm::post), auth::email::confirm::post_doc()),
        user("GET", "/auth/audit", get(audit::get_own), audit::get_own_doc()),
        admin("GET", "/audit", get(audit::get), audit::get_doc()),
        admin("POST", "/invitations", post(invitations::post), invitations::post_doc()),
        admin("GET", "/users", get(users::get), users::get_doc()),
        admin("GET", "/users/{id}", get(users::user::get), users::user::get_doc()),
        admin("POST", "/users/{id}/deactivate", post(users::deactivate::post), users::deactivate::post_doc()),
        admin("POST", "/users/{id}/activate", post(users::activate::post), users::activate::post_doc()),
        admin("PUT", "/users/{id}/role", put(users::role::put), users::role::put_doc()),
        admin("GET", "/tools", get(tools::get), tools::get_doc()),
        admin("POST", "/tools", post(tools::post), tools::post_doc()),
        admin("GET", "/tools/{id}", get(tools::id::get), tools::id::get_doc()),
        admin("PATCH", "/tools/{id}", patch(tools::id::patch), tools::id::patch_doc()),
        admin("GET", "/tools/{id}/grants", get(tools::grants::get), tools::grants::get_doc()),
        admin("POST", "/tools/{id}/grants", post(tools::grants::post), tools::grants::post_doc()),
        admin("DELETE", "/tools/{id}/grants/{user}", delete(tools::grants::delete), tools::grants::delete_doc()),
    ];
    #[cfg(feature = "docs-ui")]
    all.extend([
        open("GET", "/docs", get(docs::redirect), docs::redirect_doc()),
        open("GET", "/docs/", get(docs::page), docs::page_doc()),
        open("GET", "/docs/{file}", get(docs::asset), docs::asset_doc()),
    ]);
    all
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl App {
    /// The state that the handlers share, for an issuer.
    ///
    /// # Errors
    /// [`BadIssuerUrl`].
    pub fn new(issuer: Arc<Issuer>, trusted_proxies: Vec<IpNet>) -> Result<Self, BadIssuerUrl> {
        let verifier = Arc::new(signed::verifier(&issuer)?);
        let accounts = Arc::new(AccountService::new(Arc::clone(&issuer), LinkDelivery::None));
        let limits = Arc::new(RequestLimits::new(RequestRates::default()));
        let openid = Arc::new(OpenidService::none(Arc::clone(&issuer)));
        Ok(Self(Arc::new(Shared {
            issuer,
            accounts,
            openid,
            trusted_proxies: trusted_proxies.into(),
            last_uses: Arc::default(),
            in_progress: InProgress::default(),
            limits,
            bodies: Shares::default(),
            unbelieved: Arc::default(),
            verifier,
            stopping: Arc::default(),
        })))
    }

    /// The same, where links get to their readers: without this no user can register.
    #[must_use]
    pub fn with_links(self, links: LinkDelivery) -> Self {
        self.with_accounts(links, RegistrationMode::default())
    }

    /// The same, with another registration mode.
    #[must_use]
    pub fn with_accounts(mut self, links: LinkDelivery, registration: RegistrationMode) -> Self {
        let accounts = AccountService::new(Arc::clone(&self.issuer), links).with_registration(registration);
        Arc::make_mut(&mut self.0).accounts = Arc::new(accounts);
        self
    }

    /// The same, with other limits on requests.
    #[must_use]
    pub fn with_rates(mut self, rates: RequestRates) -> Self {
        Arc::make_mut(&mut self.0).limits = Arc::new(RequestLimits::new(rates));
        self
    }

    /// The same, with OpenID providers to sign in with.
    #[must_use]
    pub fn with_openid(mut self, openid: OpenidService) -> Self {
        Arc::make_mut(&mut self.0).openid = Arc::new(openid);
        self
    }

    /// The routes with their middleware.
    pub fn router(&self) -> Router {
        let places = Arc::new(Semaphore::new(middleware::MAX_AT_ONCE));
        let router = routes().into_iter().fold(Router::new(), |router, route| match route.access {
            Access::Open => router.route(route.path, route.handler),
            _ => {
                let bounded = from_fn_with_state(Arc::clone(&places), middleware::bounded_number);
                router.route(route.path, route.handler.layer(bounded))
            }
        });
        let around = |router| middleware::around(router, self, AccessOfRoutes::new(&routes())).with_state(self.clone());
        beneath::routes(beneath::path_of(&self.issuer.url), around(router), around(Router::new()))
    }

    /// A peer sent an `X-Forwarded-For` that is not believed: once an hour it is named in the log, and noted for the doctor.
    pub fn note_unbelieved(&self, peer: IpAddr) {
        let now = self.issuer.clock.now();
        if let Some(peer) = self.unbelieved.note(peer, now) {
            let store = self.issuer.store.clone();
            tokio::spawn(async move {
                if let Err(error) = store.note_ignored_proxy(&IgnoredProxy { peer, seen_at: now }).await {
                    tracing::warn!(%peer, %error, "a proxy that is not believed was not noted");
                }
            });
        }
    }

    /// From now on `/readyz` says that the process is going down.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Whether it is going down.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// The caller with an API key, by any of the four ways (profile §4, §7). `action` is the act that it asks for.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn caller(&self, head: &Parts, body: &Bytes, action: Action) -> Result<Caller, Refusal> {
        let caller = self.proved_caller(head, body, action).await?;
        self.count(RateKey::Key(&caller.key.id))?;
        Ok(caller)
    }

    async fn proved_caller(&self, head: &Parts, body: &Bytes, action: Action) -> Result<Caller, Refusal> {
        let source = source(head, action);
        let (caller, way) = match credentials::find(&head.headers)? {
            Credential::Secret(way, presented) => (self.issuer.caller_by_secret(&presented, &source).await?, way),
            Credential::Signature => match self.verify(head, body, &source).await?.principal() {
                Principal::ApiKey(grant) => {
                    let key = self.issuer.open_key(&grant.id).await?;
                    (self.issuer.caller(key, &source)?, Way::Signature)
                }
                _ => return Err(Refusal::BadCredential),
            },
        };
        let source_address = caller.source.ip();
        self.last_uses.note(&caller.key.id, LastUse { at: self.issuer.clock.now(), address: source_address, way });
        Ok(caller)
    }

    /// The admin who is calling: signed in, or with an API key of its own that administers, by whichever of the four ways.
    ///
    /// # Errors
    /// [`Refusal`]; for a known caller who is no admin [`Refusal::NotAdmin`].
    pub async fn admin(&self, head: &Parts, body: &Bytes, action: Action) -> Result<Admin, Refusal> {
        if !bearer::is_shown(&head.headers) {
            let caller = self.caller(head, body, action).await?;
            return self.issuer.admin(caller.user, Some(&caller.key), &caller.source);
        }
        let signed_in = bearer::signed_in(self, head, action).await?;
        self.issuer.admin(signed_in.user, None, &signed_in.source)
    }

    /// The admin who is signed in, for an act that needs a step-up; the route demands it when it has read the request.
    ///
    /// # Errors
    /// [`Refusal`]; [`Refusal::NotAdmin`] for any other user, and [`Refusal::SignedInAdminOnly`] for an API key, which never has a step-up.
    pub async fn signed_in_admin(
        &self,
        head: &Parts,
        body: &Bytes,
        action: Action,
    ) -> Result<(Admin, SignedIn), Refusal> {
        if !bearer::is_shown(&head.headers) {
            let caller = self.caller(head, body, action).await?;
            self.issuer.admin(caller.user, Some(&caller.key), &caller.source)?;
            return Err(Refusal::SignedInAdminOnly);
        }
        let signed_in = bearer::signed_in(self, head, action).await?;
        let admin = self.issuer.admin(signed_in.user.clone(), None, &signed_in.source)?;
        Ok((admin, signed_in))
    }

    /// The verified token that a request was signed with, which must be the one that it asks to renew.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn renewable(
        &self,
        head: &Parts,
        body: &Bytes,
        subject: &str,
        source: &Source,
    ) -> Result<Renewable, Refusal> {
        let verified = self.verify(head, body, source).await?;
        let claims = verified.claims().ok_or(Refusal::OtherSubject)?;
        match (&claims.subject, claims.assurance) {
            (Subject::User(user), Assurance::User) => self.count(RateKey::User(user))?,
            _ => self.count(RateKey::Key(&claims.client_id))?,
        }
        let signed_with = check::authorization(&Fields::of(&head.headers))?.ok_or(Refusal::OtherSubject)?;
        if signed_with.compact() != subject {
            return Err(Refusal::OtherSubject);
        }
        signed::renewable(claims)
    }

    async fn verify(&self, head: &Parts, body: &Bytes, source: &Source) -> Result<bmap_verifier::Verified, Refusal> {
        let body = Full::new(body.clone());
        // A signature covers the path that the client sent.
        let as_sent = head.extensions.get::<SentTo>().map(|sent| {
            let mut head = head.clone();
            head.uri = sent.0.clone();
            head
        });
        let head = as_sent.as_ref().unwrap_or(head);
        match self.verifier.verify(head, body, Some(address(head)), &*self.issuer).await {
            Ok((verified, _)) => Ok(verified),
            Err(refusal) => {
                if let SignedRefusal::InvalidSignature(_) = refusal
                    && let Ok(signature) = UnverifiedSignature::parse(&Fields::of(&head.headers))
                    && let Ok(id) = ApiKeyId::parse(signature.key_id)
                {
                    self.issuer.note_attempt(&id, source).await?;
                }
                Err(refusal.into())
            }
        }
    }
}

/// The caller's address, which `middleware.rs` put there; without it, one that no CIDR list allows.
pub fn address(head: &Parts) -> IpAddr {
    head.extensions.get::<ClientAddress>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.0)
}

/// Where the request comes from, which `middleware.rs` put there: for the audit log, and for notes on the caller. `action` is
/// the route's act.
pub fn source(head: &Parts, action: Action) -> Source {
    let source = head.extensions.get::<Source>().cloned().unwrap_or_else(|| Source::request(None, ""));
    source.does(action);
    source
}
