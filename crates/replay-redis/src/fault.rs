//! Why there is no store to record in: what to set, or what to wait for.

use std::time::Duration;

/// Why a store did not start.
///
/// ```
/// use bmap_replay_redis::{Options, StartError};
/// use bmap_verifier::protocol::{check::Window, ids::ToolId};
///
/// let error = Options::new("http://redis.internal/", ToolId::parse("geo")?, Window::DEFAULT).unwrap_err();
/// assert!(matches!(error, StartError::Url { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The URL, or the certificates beside it, are not usable. The URL is not shown: it may hold a password.
    #[error("the replay store's URL: {why}")]
    Url {
        /// The client's reason.
        why: String,
    },
    /// The server can't be used.
    #[error("replay store: {0}")]
    Store(#[from] StoreFault),
}

/// Why records are refused at this moment. All of them answer 503 `replay_store_unavailable`.
///
/// ```
/// use bmap_replay_redis::StoreFault;
///
/// let fault = StoreFault::Evicts { policy: "allkeys-lru".to_owned() };
/// assert_eq!(fault.to_string(), "maxmemory-policy is allkeys-lru, which deletes records: set it to noeviction");
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreFault {
    /// No connection, or one that ended.
    #[error("no connection: {why}")]
    Unreachable {
        /// The system's or the client's reason.
        why: String,
    },
    /// An answer did not come in time.
    #[error("no answer within {deadline:?}")]
    Slow {
        /// The time that it had.
        deadline: Duration,
    },
    /// More records than [`crate::Options::in_flight`] wait for their answers.
    #[error("{limit} records wait for their answers")]
    Busy {
        /// The limit.
        limit: u32,
    },
    /// The server refused a command: a password, a permission (`NOPERM`), no memory (`OOM`), no disk (`MISCONF`).
    #[error("the server refused with {code}: {detail}")]
    Refused {
        /// The first word of the server's error.
        code: String,
        /// The rest of it.
        detail: String,
    },
    /// An answer has another form than the command's.
    #[error("the server's answer to {to} is not understood")]
    Unexpected {
        /// The command.
        to: &'static str,
    },
    /// The server is a replica: writes go to another one.
    #[error("the server is {role} and not a primary")]
    NotPrimary {
        /// The `role` of `INFO`.
        role: String,
    },
    /// The server deletes records when its memory is full: set `maxmemory-policy noeviction`.
    #[error("maxmemory-policy is {policy}, which deletes records: set it to noeviction")]
    Evicts {
        /// What it is set to.
        policy: String,
    },
    /// The server deleted keys to make room since the connection began: some may have been records.
    #[error("the server evicted keys: {keys} by now")]
    Evicted {
        /// How many it counts.
        keys: u64,
    },
    /// A primary that has lost its replicas would go on: set `min-replicas-to-write`, or say [`crate::Servers::Single`].
    #[error(
        "min-replicas-to-write is {set}, but {least} is needed with {servers} servers; or say that there is one server"
    )]
    TooFewToWrite {
        /// What it is set to. 0: not set, or `min-replicas-max-lag` is not.
        set: u64,
        /// The least: half of the servers, rounded down.
        least: u64,
        /// The primary and its replicas that are connected; at least 2.
        servers: u64,
    },
    /// A primary that has lost its replicas would go on for too long: set `min-replicas-max-lag`.
    #[error("min-replicas-max-lag is {set} s, but at most {most} s are counted with")]
    Lag {
        /// What it is set to, seconds.
        set: u64,
        /// [`crate::Servers::Replicated`]'s `max_lag`, seconds.
        most: u64,
    },
    /// Fewer replicas follow the primary than `min-replicas-to-write`.
    #[error("too few replicas follow the primary")]
    NoReplicas,
    /// The server is a node of a cluster, or another kind of server: see `docs/replay.md`.
    #[error("the server's mode is {mode}: a cluster or a sentinel holds no records")]
    Mode {
        /// The `redis_mode` of `INFO`; Valkey's `server_mode`.
        mode: String,
    },
    /// The server lacks what the scripts use.
    #[error("the server is version {found}: {least} is needed")]
    TooOld {
        /// The `redis_version` of `INFO`.
        found: String,
        /// The least.
        least: &'static str,
    },
    /// The marker is gone, is another one, or the server's clock went back: the connection is checked again.
    #[error("the store is not as this connection saw it")]
    Changed,
}
