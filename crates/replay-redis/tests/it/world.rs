//! Tools with verifiers, and the servers that they share.

use crate::actors::{credential, now, tool};
use bmap_protocol::check::Window;
use bmap_replay_redis::{Options, RedisReplayStore, Servers, StartError, State};
use bmap_test_kit::folder::root;
use bmap_test_kit::redis::{Flavor, RedisServer};
use bmap_verifier::{Policy, Refusal, SystemClock, ToolKeys, UnixTime, Verifier};
use bytes::Bytes;
use http::request::Parts;
use http_body_util::Empty;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Nothing ahead, and not five seconds: what follows a change of the primary is over sooner.
pub(crate) const WINDOW: Window = Window { past: 60, future: 0 };
/// Seconds for which requests are refused after a change of one server.
pub(crate) const PAUSE: i64 = 1;

/// A tool: one process with its verifier.
pub(crate) struct Tool {
    pub(crate) store: RedisReplayStore,
    verifier: Verifier<ToolKeys, RedisReplayStore>,
    /// By how much its clock is wrong, seconds.
    ahead: i64,
}

pub(crate) fn options(at: SocketAddr) -> Options {
    let mut options = Options::new(&format!("redis://{at}/"), tool(), WINDOW).unwrap();
    options.servers = Servers::Single;
    // Two cores run servers, verifiers and the rest of the tests: what is late is tested where it is tested.
    options.deadline = Duration::from_millis(500);
    options
}

impl Tool {
    pub(crate) async fn try_start(options: Options) -> Result<Self, StartError> {
        let store = RedisReplayStore::connect(options).await?;
        let (credential, mut policy) = (credential(), Policy::default());
        policy.window = WINDOW;
        let verifier = Verifier::with_store(credential, policy, store.clone());
        Ok(Self { store, verifier, ahead: 0 })
    }

    /// At one server that is all there is.
    pub(crate) async fn start(at: SocketAddr) -> Self {
        Self::try_start(options(at)).await.unwrap()
    }

    /// As [`Tool::start`], when the time that follows a new store is over.
    pub(crate) async fn started(at: SocketAddr) -> Self {
        let tool = Self::start(at).await;
        tool.past_the_rule().await;
        tool
    }

    /// The same with a clock that is wrong by so many seconds.
    pub(crate) fn ahead(self, ahead: i64) -> Self {
        Self { ahead, ..self }
    }

    /// The refusal that the tool's verifier decides on, by its own clock.
    pub(crate) async fn decide(&self, request: &Parts) -> Result<(), Refusal> {
        let ahead = self.ahead;
        let clock = move || UnixTime::from_millis(SystemClock.now().millis() + ahead * 1000);
        self.verifier.verify(request, Empty::<Bytes>::new(), None, &clock).await.map(|_| ())
    }

    pub(crate) fn forgot_until(&self) -> i64 {
        match self.store.status().state {
            State::Ready { forgot_until } => forgot_until,
            State::Refusing(fault) => panic!("{fault}"),
        }
    }

    /// Waits until a request that is signed now is not refused for its time.
    pub(crate) async fn past_the_rule(&self) {
        let until = self.forgot_until();
        while now() <= until {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// How long it took until the store takes records; 10 s at most.
    pub(crate) async fn ready_within(&self) -> Duration {
        eventually(|| self.store.is_ready()).await
    }
}

/// Waits for 10 s at most; how long it took.
pub(crate) async fn eventually(holds: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(10), "it does not come");
        sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}

/// The configuration that the documentation shows: the block of `docs/replay.md` below this heading.
pub(crate) fn documented(heading: &str) -> String {
    let text = std::fs::read_to_string(root().join("docs/replay.md")).unwrap();
    let (_, below) = text.split_once(heading).unwrap_or_else(|| panic!("docs/replay.md has no {heading}"));
    let (_, block) = below.split_once("```conf\n").unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

pub(crate) const ONE_SERVER: &str = "### One server";
pub(crate) const WITH_REPLICAS: &str = "### A primary with replicas";

/// One server, as documented.
pub(crate) fn single(flavor: Flavor) -> RedisServer {
    RedisServer::start(flavor, &documented(ONE_SERVER))
}

/// Runs a story to its end.
pub(crate) fn run(story: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(story);
}

/// Each story on both servers, where they are installed; those behind `redis alone` on one of them.
macro_rules! on_both {
    ($($(#[$attribute:meta])* $story:ident)* $(; redis alone $($other:ident)*)?) => {
        mod at_redis {
            $(#[test] $(#[$attribute])* fn $story() { crate::world::at(bmap_test_kit::redis::Flavor::Redis, super::$story) })*
            $($(#[test] fn $other() { crate::world::at(bmap_test_kit::redis::Flavor::Redis, super::$other) })*)?
        }
        mod at_valkey {
            $(#[test] $(#[$attribute])* fn $story() { crate::world::at(bmap_test_kit::redis::Flavor::Valkey, super::$story) })*
        }
    };
}
pub(crate) use on_both;

/// Runs a story where its server is installed.
pub(crate) fn at<F: Future<Output = ()>>(flavor: Flavor, story: impl FnOnce(Flavor) -> F) {
    if flavor.is_here() {
        run(story(flavor));
    }
}
