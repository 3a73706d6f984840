//! The database at work: its connections, and the look-ups that requests share. `connect` opens it, and the files of this folder add
//! what it can do.

use super::address::{Address, Engine};
use super::batch_loader::BatchLoader;
use super::bounded::Pool;
use bmap_model::audit::chain::ChainKeys;
use bmap_model::keys::OwnedKey;
use bmap_model::session::Session;
use bmap_model::ticket::Ticket;
use bmap_model::tool::Tool;
use bmap_model::tool_grant::ToolOfUser;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};

/// Longest wait at the end, for connections that are in use.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// The database, SQLite or PostgreSQL, behind one set of functions.
#[derive(Clone, Debug)]
pub struct Database {
    pub(crate) pool: Pool,
    pub(crate) engine: Engine,
    /// When the database was last tried, and whether it let itself be written.
    pub(crate) tried: Arc<Mutex<Option<(Instant, bool)>>>,
    /// Woken when this process has committed a change that verifiers are told of.
    pub(crate) told: Arc<watch::Sender<u64>>,
    /// Where other processes of PostgreSQL say that they have.
    pub(crate) listens_at: Option<Address>,
    /// The keys that its audit log is chained with.
    pub(crate) chain: Option<ChainKeys>,
    /// The look-ups of requests.
    pub(crate) loaders: Arc<Loaders>,
}

/// The look-ups of every request of a key or a token.
#[derive(Debug)]
pub(crate) struct Loaders {
    pub(crate) keys: BatchLoader<OwnedKey>,
    pub(crate) tools: BatchLoader<Tool>,
    pub(crate) tools_of_users: BatchLoader<ToolOfUser>,
    pub(crate) sessions: BatchLoader<Session>,
    pub(crate) tickets: BatchLoader<Ticket>,
    pub(crate) nonces: BatchLoader<()>,
}

impl Database {
    /// Connections that are open, and how many of them have nothing to do.
    pub fn connections(&self) -> (u32, usize) {
        self.pool.size()
    }

    /// Closes every connection, so that SQLite folds its log into the file.
    pub async fn close(&self) {
        if timeout(CLOSE_TIME, self.pool.close()).await.is_err() {
            tracing::warn!("a connection to the database was still in use");
        }
    }
}
