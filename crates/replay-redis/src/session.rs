//! One checked connection: nothing is recorded on another one.

use crate::fault::StoreFault;
use crate::options::Options;
use crate::scripts::{Names, Scripts, fault};
use crate::server::{self, Checked};
use bmap_verifier::replay::Record;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, cmd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// Longest that a connection may take to be there and checked.
pub(crate) const CONNECT: Duration = Duration::from_secs(1);
/// Longest that the replicas have for the marker, milliseconds; within [`CONNECT`].
const REPLICATE: u32 = 500;

/// What does not change for a store.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) options: Options,
    pub(crate) client: Client,
    pub(crate) scripts: Scripts,
    pub(crate) names: Names,
}

/// What the process knows from its connections before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Before {
    /// The latest second until which requests were refused. A store that says less has lost writes.
    pub(crate) forgot_until: i64,
    /// The `run_id` of a primary that was without its replicas for a time: another one may have been primary meanwhile, and what it recorded is not
    /// there.
    pub(crate) without_replicas: Option<String>,
}

/// One checked connection.
#[derive(Debug)]
pub(crate) struct Session {
    connection: MultiplexedConnection,
    /// The marker's `run` and `forgot`.
    pub(crate) run_id: String,
    forgot_text: String,
    pub(crate) forgot_until: i64,
    evicted: u64,
    waiting: AtomicU32,
    /// Records that were given up and not answered yet. Answers come in the order of the commands, so an answer says that none is left.
    lost: AtomicU32,
    ended: OnceLock<StoreFault>,
}

/// What the server decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Recorded,
    Replayed,
    /// Over by the store's time.
    Over {
        now: i64,
    },
    /// Signed too far ahead of the store's time.
    Ahead {
        now: i64,
    },
    /// Over the share of its key.
    Limited {
        seconds: i64,
    },
}

impl Session {
    /// Connects and checks.
    pub(crate) async fn connect(store: &Store, before: Before) -> Result<Self, StoreFault> {
        let connecting = async {
            let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
            let connection = store.client.get_multiplexed_async_connection_with_config(&config).await;
            let connection = connection.map_err(|error| fault(&error))?;
            let server = server::check(&connection, store.options.servers).await?;
            Self::adopt(store, connection, server, before).await
        };
        let session = timeout(CONNECT, connecting).await.map_err(|_| StoreFault::Slow { deadline: CONNECT })??;
        // A server on which each record would be late is none. The first answer may be: the server has to read the script.
        match session.probe(store).await {
            Err(StoreFault::Slow { .. }) => session.probe(store).await?,
            outcome => outcome?,
        }
        Ok(session)
    }

    async fn adopt(
        store: &Store,
        mut connection: MultiplexedConnection,
        server: Checked,
        before: Before,
    ) -> Result<Self, StoreFault> {
        let Checked { run_id, evicted, replicas } = server;
        let numbers = [evicted.to_string(), store.options.pause().to_string(), before.forgot_until.to_string()];
        let [evicted_text, pause, seen] = &numbers;
        let anew = if before.without_replicas.as_ref() == Some(&run_id) { "1" } else { "0" };
        let arguments = [run_id.as_str(), evicted_text, pause, seen, anew];
        let arguments = arguments.map(str::as_bytes);
        let adopted = store.scripts.adopt.run(&connection, &[&store.names.marker], &arguments).await;
        let (forgot_until, anew) = adopted.map_err(|error| fault(&error))?;
        if anew != 0 {
            tracing::warn!(
                "replay store: another server, or one that may have lost records: requests signed until {forgot_until} are refused"
            );
        }
        if replicas > 0 {
            // A former primary that wakes up believes in its replicas for a second. They do not answer it.
            let mut wait = cmd("WAIT");
            let have: u64 =
                wait.arg(replicas).arg(REPLICATE).query_async(&mut connection).await.map_err(|error| fault(&error))?;
            if have < replicas {
                return Err(StoreFault::NoReplicas);
            }
        }
        Ok(Self {
            connection,
            run_id,
            forgot_text: forgot_until.to_string(),
            forgot_until,
            evicted,
            waiting: AtomicU32::new(0),
            lost: AtomicU32::new(0),
            ended: OnceLock::new(),
        })
    }

    /// Records a first use, within the deadline.
    pub(crate) async fn record(&self, store: &Store, record: &Record) -> Result<Answer, StoreFault> {
        if let Some(fault) = self.ended.get() {
            return Err(fault.clone());
        }
        let options = &store.options;
        let mut place = Place::take(self, options.in_flight)?;
        let (name, count) = (store.names.record(record), store.names.count(record));
        let numbers = [record.until, options.longest(), options.per_key.into()].map(|number| number.to_string());
        let [until, longest, per_key] = &numbers;
        let arguments = [&self.run_id, &self.forgot_text, until, longest, per_key].map(|text| text.as_bytes());
        let keys = [&store.names.marker, &name, &count].map(Vec::as_slice);
        let running = store.scripts.record.run(&self.connection, &keys, &arguments);
        let deadline = options.deadline();
        let answer = timeout(deadline, running).await.map_err(|_| StoreFault::Slow { deadline })?;
        place.answered();
        match self.understood(answer)? {
            (1, _) => Ok(Answer::Recorded),
            (2, _) => Ok(Answer::Replayed),
            (3, now) => Ok(Answer::Over { now }),
            (4, now) => Ok(Answer::Ahead { now }),
            (5, seconds) => Ok(Answer::Limited { seconds }),
            _ => Err(self.end(StoreFault::Unexpected { to: "EVALSHA" })),
        }
    }

    /// Whether a record would be taken, and in time.
    pub(crate) async fn probe(&self, store: &Store) -> Result<(), StoreFault> {
        let arguments = [self.run_id.as_bytes(), self.forgot_text.as_bytes()];
        let keys = [store.names.marker.as_slice()];
        let running = store.scripts.probe.run(&self.connection, &keys, &arguments);
        let deadline = store.options.deadline();
        match self.understood(timeout(deadline, running).await.map_err(|_| StoreFault::Slow { deadline })?)? {
            (1, _) => Ok(()),
            _ => Err(StoreFault::Unexpected { to: "EVALSHA" }),
        }
    }

    /// Whether the server's settings still hold.
    pub(crate) async fn check(&self, store: &Store) -> Result<(), StoreFault> {
        let check = server::check(&self.connection, store.options.servers);
        let Checked { run_id, evicted, .. } =
            timeout(CONNECT, check).await.map_err(|_| StoreFault::Slow { deadline: CONNECT })??;
        if evicted != self.evicted {
            return Err(StoreFault::Evicted { keys: evicted });
        }
        if run_id == self.run_id { Ok(()) } else { Err(StoreFault::Changed) }
    }

    /// A script's answer. An error of the server, and a marker that is not this connection's, end the session.
    fn understood(&self, answer: Result<(i64, i64), RedisError>) -> Result<(i64, i64), StoreFault> {
        match answer {
            Ok((0, _)) => Err(self.end(StoreFault::Changed)),
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.end(fault(&error))),
        }
    }

    /// Takes no record from now on. The first fault counts.
    fn end(&self, fault: StoreFault) -> StoreFault {
        self.ended.get_or_init(|| fault).clone()
    }

    /// Why it takes no records any more.
    pub(crate) fn ended(&self) -> Option<&StoreFault> {
        self.ended.get()
    }

    /// Records that are sent and not answered.
    pub(crate) fn in_flight(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed).saturating_add(self.lost.load(Ordering::Relaxed))
    }
}

/// A record's place among those in flight.
struct Place<'a> {
    session: &'a Session,
    answered: bool,
}

impl<'a> Place<'a> {
    fn take(session: &'a Session, limit: u32) -> Result<Self, StoreFault> {
        session.waiting.fetch_add(1, Ordering::Relaxed);
        // From here on it is given back by `drop`, and as answered: it was not sent.
        let mut place = Self { session, answered: true };
        if session.in_flight() > limit {
            return Err(StoreFault::Busy { limit });
        }
        place.answered = false;
        Ok(place)
    }

    fn answered(&mut self) {
        self.answered = true;
        self.session.lost.store(0, Ordering::Relaxed);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.session.lost.fetch_add(1, Ordering::Relaxed);
        }
        self.session.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
