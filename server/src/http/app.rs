//! The state that the handlers share.

use super::layers::bodies::Shares;
use super::layers::unbelieved::Unbelieved;
use bmap_issuer::account::registration_mode::RegistrationMode;
use bmap_issuer::account::service::{AccountService, LinkDelivery};
use bmap_issuer::issuer::Issuer;
use bmap_issuer::keys::last_use::LastUses;
use bmap_issuer::link::hub::LinkHub;
use bmap_issuer::openid::service::OpenidService;
use bmap_issuer::request_limits::{RequestLimits, RequestRates};
use bmap_issuer::signed::{self, BadIssuerUrl, IssuerVerifier};
use bmap_model::idempotency::InProgress;
use bmap_store::IgnoredProxy;
use ipnet::IpNet;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// Changes for verifiers with a live link.
    pub link: Arc<LinkHub>,
    pub(super) verifier: Arc<IssuerVerifier>,
    stopping: Arc<AtomicBool>,
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
        let link = Arc::new(LinkHub::start(issuer.store.clone()));
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
            link,
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

    /// From now on `/readyz` says that the process is going down. Feeds of verifiers end: they go on at another issuer, or at the next process.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.link.stop();
    }

    /// Whether it is going down.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}
