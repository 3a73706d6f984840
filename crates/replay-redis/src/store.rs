//! The store that a verifier calls.

use crate::fault::{StartError, StoreFault};
use crate::keeper::{self, Shared};
use crate::options::Options;
use crate::recent::Recent;
use crate::scripts::{Names, Scripts};
use crate::session::{Answer, Before, Session, Store};
use crate::status::{State, Status};
use bmap_protocol::refusal::Refusal;
use bmap_verifier::replay::Record;
use bmap_verifier::{Fresh, ReplayStore};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::AbortHandle;

/// The store that all verifiers of a tool share. A clone is the same store: one is for the verifier, others say how it is.
///
/// ```no_run
/// # async fn start(tool: bmap_verifier::protocol::ids::ToolId) -> Result<(), bmap_replay_redis::StartError> {
/// use bmap_replay_redis::{Options, RedisReplayStore, Servers};
/// use bmap_verifier::protocol::check::Window;
///
/// let mut options = Options::new("redis://127.0.0.1:6379/", tool, Window::DEFAULT)?;
/// options.servers = Servers::Single;
/// let store = RedisReplayStore::connect(options).await?;
/// assert!(store.is_ready());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RedisReplayStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    keeper: AbortHandle,
    recent: Recent,
    accepted: AtomicU64,
    replayed: AtomicU64,
    unavailable: AtomicU64,
    refused: AtomicU64,
}

impl RedisReplayStore {
    /// Connects, and checks the server. From then on a task of the runtime that this is called in keeps a checked connection, until the last clone
    /// is dropped: it is tried each second, and made anew when it is lost.
    ///
    /// # Errors
    /// [`StartError`]: there is no usable server. End the process then, or try again: without a store nothing may be let in.
    pub async fn connect(options: Options) -> Result<Self, StartError> {
        let client = options.client()?;
        let (names, recent) = (Names::new(options.tool()), Recent::new(options.recent));
        let store = Store { options, client, scripts: Scripts::new(), names };
        let session = Session::connect(&store, Before::default()).await?;
        let shared = Arc::new(Shared::new(store, session));
        let keeper = tokio::spawn(keeper::keep(Arc::clone(&shared))).abort_handle();
        let [accepted, replayed, unavailable, refused] = [const { AtomicU64::new(0) }; 4];
        Ok(Self(Arc::new(Inner { shared, keeper, recent, accepted, replayed, unavailable, refused })))
    }

    /// Whether records are taken, for a readiness probe.
    pub fn is_ready(&self) -> bool {
        matches!(self.0.shared.state(), State::Ready { .. })
    }

    /// What the store says of itself.
    pub fn status(&self) -> Status {
        let Inner { shared, accepted, replayed, unavailable, refused, .. } = &*self.0;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Status {
            state: shared.state(),
            accepted: count(accepted),
            replayed: count(replayed),
            unavailable: count(unavailable),
            refused: count(refused),
            in_flight: shared.session().map_or(0, |session| session.in_flight()),
            connections: shared.connections(),
        }
    }
}

impl RedisReplayStore {
    /// Records a first use, without a verifier's proof that its request is fresh: by the server's clock it must not be over.
    ///
    /// # Errors
    /// [`Refusal::Replayed`], [`Refusal::BeforeStart`], [`Refusal::ClockUnreliable`] or [`Refusal::ClockSkew`] where this machine's clock differs
    /// from the server's, [`Refusal::RateLimited`], [`Refusal::ReplayStoreUnavailable`].
    pub async fn record_now(&self, record: &Record) -> Result<(), Refusal> {
        let outcome = self.0.record(record).await;
        let counter = match outcome {
            Ok(()) => &self.0.accepted,
            Err(Refusal::Replayed) => &self.0.replayed,
            Err(Refusal::ReplayStoreUnavailable) => &self.0.unavailable,
            Err(_) => &self.0.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        outcome
    }
}

impl Inner {
    /// Records a first use. The server is asked first, and this process's own memory last, at the moment at which the request is accepted: a
    /// refused request leaves nothing there.
    async fn record(&self, record: &Record) -> Result<(), Refusal> {
        if self.recent.contains(record) {
            return Err(Refusal::Replayed);
        }
        let options = &self.shared.store.options;
        let session = self.shared.session().map_err(|_| Refusal::ReplayStoreUnavailable)?;
        // The verifier asked for `forgot_until` a moment ago. This is the rule of the very connection that the record goes to.
        let (created, forgot_until) = (options.created(record.until), session.forgot_until);
        if created <= forgot_until {
            return Err(Refusal::BeforeStart { created, forgot_until });
        }
        match session.record(&self.shared.store, record).await {
            Ok(Answer::Recorded) if self.recent.insert(record) => Ok(()),
            Ok(Answer::Recorded | Answer::Replayed) => Err(Refusal::Replayed),
            Ok(Answer::Over { now }) => {
                let until = record.until;
                tracing::warn!(
                    "a request that this machine's clock let through was over by the store's at {until}, which shows {now}"
                );
                Err(Refusal::ClockUnreliable { now: until, seen: now })
            }
            Ok(Answer::Ahead { now }) => Err(Refusal::ClockSkew { created, now }),
            Ok(Answer::Limited { seconds }) => {
                Err(Refusal::RateLimited { retry_after: u32::try_from(seconds).unwrap_or(1).max(1) })
            }
            Err(fault) => {
                if !matches!(fault, StoreFault::Busy { .. }) {
                    self.shared.look();
                }
                tracing::debug!("replay store: not recorded: {fault}");
                Err(Refusal::ReplayStoreUnavailable)
            }
        }
    }
}

impl ReplayStore for RedisReplayStore {
    async fn record(&self, record: Record, _: Fresh) -> Result<(), Refusal> {
        self.record_now(&record).await
    }

    fn forgot_until(&self) -> Option<i64> {
        Some(self.0.shared.forgot_until())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}
