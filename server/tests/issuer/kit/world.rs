//! A server of one's own.

use crate::actors::Host;
use crate::database::TestDatabase;
use bmap_issuer::account::service::LinkDelivery;
use bmap_issuer::issuer::{Issuer, Lives, NewApiKey, new_api_key, new_user};
use bmap_issuer::keys::form::KeyChange;
use bmap_issuer::keys::manager::{Manager, Right};
use bmap_issuer::mail::mailer::Mailer;
use bmap_issuer::mail::worker::MailWorker;
use bmap_issuer::openid::provider::Provider;
use bmap_issuer::openid::service::OpenidService;
use bmap_listener::{ConnectionLimits, Listener};
use bmap_model::account::password::PasswordCost;
use bmap_model::api_key::{KeyScope, ToolSet};
use bmap_model::audit::{Action, Event, Source};
use bmap_model::clock::{MachineClock, ManualClock, UnixTime, WallClock};
use bmap_model::rng::SystemRandom;
use bmap_model::scope::Scopes;
use bmap_model::stored_origin::StoredOrigin;
use bmap_model::tool::{Access, CallerKinds, Tool, ToolOrigins};
use bmap_model::tool_grant::{Giver, ToolGrant};
use bmap_model::user::UserName;
use bmap_outbound::Outbound;
use bmap_protocol::ids::{Issuer as IssuerUrl, ToolId, UserId};
use bmap_protocol::keys::RootSecret;
use bmap_protocol::origin::Origin;
use bmap_protocol::seal::SigningKind;
use bmap_protocol::token::Assurance;
use bmap_server::http::app::App;
use bmap_store::Given;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::sync::oneshot;

/// The page that the host's key registers.
pub(crate) const PAGE: &str = "https://shop.example";
/// The tool that everything is about, and another one.
pub(crate) const TOOL: &str = "places";
pub(crate) const OTHER_TOOL: &str = "postcards";

/// Something to be recorded, where a test is not about what is.
pub(crate) fn event() -> Event {
    Event::done(Action::Request, &Source::system(), UnixTime(1_795_000_000_000))
}

/// An origin, for a row.
pub(crate) fn stored(origin: &str) -> StoredOrigin {
    StoredOrigin::of_row(origin).unwrap()
}

/// A request from this machine, where a test calls what is behind the routes.
pub(crate) fn source() -> Source {
    Source::request(Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), "req_of_a_test")
}

/// A running server. Its clock shows the time of its start, as the database's does, and stands still until it is moved.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) app: App,
    /// Sends mail when it is told to; what it sends goes to the log.
    pub(crate) worker: MailWorker,
    pub(crate) database: TestDatabase,
    /// Where the log stood when this server began.
    log_start: usize,
    stop: Option<oneshot::Sender<()>>,
}

/// A password's hash in a fraction of a millisecond: a third of all work of these tests was hashing.
const QUICK: PasswordCost = PasswordCost { memory: 64, passes: 2, lanes: 1 };

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(Vec::new()).await
    }

    /// A server that believes these proxies.
    pub(crate) async fn with(trusted_proxies: Vec<ipnet::IpNet>) -> Self {
        Self::with_openid(trusted_proxies, Vec::new(), Vec::new()).await
    }

    /// A server whose issuer has a path.
    pub(crate) async fn beneath(path: &str) -> Self {
        Self::of(path, Vec::new(), Vec::new(), Vec::new(), QUICK).await
    }

    /// A server whose passwords cost what they cost in use: where it is asked how long something takes, or what hashing holds up.
    pub(crate) async fn with_slow_passwords(trusted_proxies: Vec<ipnet::IpNet>) -> Self {
        Self::of("", trusted_proxies, Vec::new(), Vec::new(), PasswordCost::default()).await
    }

    /// A server whose issuer has a path, with these OpenID providers.
    pub(crate) async fn beneath_with_openid(path: &str, providers: Vec<Provider>) -> Self {
        Self::of(path, Vec::new(), providers, vec![Origin::parse(PAGE).unwrap()], QUICK).await
    }

    /// A server with these OpenID providers and the pages that people sign in from.
    pub(crate) async fn with_openid(
        trusted_proxies: Vec<ipnet::IpNet>,
        providers: Vec<Provider>,
        origins: Vec<Origin>,
    ) -> Self {
        Self::of("", trusted_proxies, providers, origins, QUICK).await
    }

    async fn of(
        path: &str,
        trusted_proxies: Vec<ipnet::IpNet>,
        providers: Vec<Provider>,
        origins: Vec<Origin>,
        cost: PasswordCost,
    ) -> Self {
        bmap_server::install_crypto_providers();
        let (database, store) = TestDatabase::migrated().await;
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), ConnectionLimits::total(4096)).await.unwrap();
        let address = listener.local_address().unwrap();
        let log_start = crate::log::end();
        let url = IssuerUrl::parse(&format!("http://{address}{path}")).unwrap();
        let clock = Arc::new(ManualClock::at(UnixTime(MachineClock.now().seconds() * 1000)));
        let epoch = RootSecret::from_bytes([7; 32]).epoch(1);
        let issuer = Issuer::open(url, store, epoch, clock.clone(), Arc::new(SystemRandom), Lives::default());
        let issuer = Arc::new(issuer.await.unwrap().with_password_cost(cost));
        issuer.self_test().unwrap();
        crate::log::start();
        let app = App::new(Arc::clone(&issuer), trusted_proxies).unwrap().with_links(LinkDelivery::Log);
        let openid = OpenidService::new(Arc::clone(&issuer), &Outbound::new().unwrap(), providers, origins);
        let app = app.with_openid(openid.unwrap());
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(listener.serve(app.router(), async move {
            let _ = stopped.await;
        }));
        let worker = MailWorker::new(Arc::clone(&issuer), Mailer::Log, app.accounts.mail());
        let world = Self { address, issuer, clock, app, worker, database, log_start, stop: Some(stop) };
        world.add_tool(TOOL, ToolOrigins::AnyRegistered).await;
        world.add_tool(OTHER_TOOL, ToolOrigins::AnyRegistered).await;
        world
    }

    /// The log since this server began, of it and of those that run beside it.
    pub(crate) fn log(&self) -> String {
        crate::log::text_from(self.log_start)
    }

    /// Another server beside this one, until the test ends.
    pub(crate) async fn serve(&self, app: &App) -> SocketAddr {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), ConnectionLimits::total(64)).await.unwrap();
        let address = listener.local_address().unwrap();
        tokio::spawn(listener.serve(app.router(), std::future::pending()));
        address
    }

    pub(crate) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    pub(crate) async fn add_tool(&self, id: &str, origins: ToolOrigins) {
        let tool = Tool {
            id: ToolId::parse(id).unwrap(),
            base_url: stored("https://tools.example"),
            origins,
            min_assurance: Assurance::Origin,
            scopes: Scopes::parse("search route").unwrap(),
            required_scopes: Scopes::default(),
            access: Access::Granted,
            callers: CallerKinds::parse("page direct user").unwrap(),
            open_scopes: Scopes::default(),
            policy: Default::default(),
            created_at: self.clock.now(),
            seal: None,
        };
        self.issuer.store.add_tool(&tool.sealed(&self.issuer.roots.sealing()), &event()).await.unwrap();
    }

    /// A grant of every scope of a tool, as an operator gives it.
    pub(crate) async fn grant(&self, user: &UserId, tool: &str) {
        self.grant_until(user, tool, "search route", None).await;
    }

    pub(crate) async fn grant_until(&self, user: &UserId, tool: &str, scopes: &str, ends_at: Option<UnixTime>) {
        let grant = ToolGrant {
            tool: ToolId::parse(tool).unwrap(),
            user: user.clone(),
            scopes: Scopes::parse(scopes).unwrap(),
            ends_at,
            given_by: Giver::Operator,
            given_at: self.clock.now(),
            seal: None,
        };
        let grant = grant.sealed(&self.issuer.roots.sealing());
        assert_ne!(self.issuer.store.give_grant(&grant, None, &event()).await.unwrap(), Given::NoSuchTool);
    }

    pub(crate) async fn take_grant(&self, user: &UserId, tool: &str) {
        let tool = ToolId::parse(tool).unwrap();
        assert!(self.issuer.store.revoke_grant(&tool, user, None, &event()).await.unwrap());
    }

    /// A tool as `change` makes it.
    pub(crate) async fn change_tool(&self, id: &str, change: impl FnOnce(&mut Tool)) {
        let before = self.issuer.store.tool(&ToolId::parse(id).unwrap()).await.unwrap().unwrap();
        let mut after = before.clone();
        change(&mut after);
        let after = after.sealed(&self.issuer.roots.sealing());
        assert!(self.issuer.store.change_tool(&before, &after, &event()).await.unwrap());
    }

    /// A host with a key for both tools and its page.
    pub(crate) async fn host(&self) -> Host<'_> {
        self.host_with(SigningKind::HmacSha256, Self::scope()).await
    }

    pub(crate) fn scope() -> KeyScope {
        KeyScope {
            tools: ToolSet::Only(vec![ToolId::parse(TOOL).unwrap(), ToolId::parse(OTHER_TOOL).unwrap()]),
            origins: vec![stored(PAGE)],
            ..KeyScope::default()
        }
    }

    pub(crate) async fn host_with(&self, signing: SigningKind, scope: KeyScope) -> Host<'_> {
        let now = self.clock.now();
        // Names are unique; a time and the number of users so far make one.
        let number = self.issuer.store.users().await.unwrap().len();
        let name = UserName::parse(&format!("host {number}")).unwrap();
        let user = new_user(name.clone(), now, &SystemRandom).unwrap();
        self.issuer.store.add_user(&user, &event()).await.unwrap();
        let new = NewApiKey { owner: user.id.clone(), name, signing, scope: &scope };
        let (key, secret) = new_api_key(&self.issuer.roots, now, &SystemRandom, new).unwrap();
        self.issuer.store.add_api_key(&key, &scope, &event()).await.unwrap();
        for tool in self.issuer.store.tools().await.unwrap() {
            if scope.tools.contains(&tool.id) {
                self.grant(&user.id, tool.id.as_str()).await;
            }
        }
        Host { world: self, user: user.id, id: key.id, secret, signing }
    }

    /// Gives a key the capability to administer, or takes it, as the operator does on the machine.
    pub(crate) async fn administer(&self, host: &Host<'_>, administer: bool) {
        let operator = Manager { right: Right::Operator, source: Source::command_line() };
        let change = KeyChange { administer: Some(administer), ..KeyChange::default() };
        self.issuer.keys().change(&operator, &host.id, &change, None).await.unwrap();
    }

    /// The issuer's own key, out of its row: for tokens that only the issuer could have signed.
    pub(crate) fn signing_key(&self) -> jsonwebtoken::EncodingKey {
        use base64ct::{Base64UrlUnpadded, Encoding};
        let row = &self.issuer.public_keys[0];
        let bound = format!("bmap/1/issuer-key\n{}\n{}", row.kid, row.public_key);
        let seed =
            bmap_protocol::seal::open(&self.issuer.roots.sealing().kek(), row.epoch, bound.as_bytes(), &row.sealed);
        let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
        der.extend_from_slice(&seed.unwrap());
        assert_eq!(Base64UrlUnpadded::encode_string(self.issuer.signer.public_key()), row.public_key);
        jsonwebtoken::EncodingKey::from_ed_der(&der)
    }

    /// The server's time.
    pub(crate) fn clock_now(&self) -> UnixTime {
        self.clock.now()
    }

    /// Milliseconds since 1970 on the server's clock.
    pub(crate) fn clock_millis(&self) -> i64 {
        self.clock.now().0
    }

    /// Seconds since 1970 on the server's clock.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.clock.now().seconds()).unwrap()
    }
}
