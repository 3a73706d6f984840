//! Opening the database: the one place that knows which engine it is.

use super::address::{Address, Engine};
use super::batch_loader::BatchLoader;
use super::bounded::Pool;
use super::schema::{Pending, Schema};
use super::{
    Result, StoreError, primary, reach, sql_api_keys, sql_nonces, sql_sessions, sql_tickets, sql_tool_grants, sql_tools,
};
use crate::domain::audit::chain::ChainKeys;
use crate::domain::keys::OwnedKey;
use crate::domain::session::Session;
use crate::domain::ticket::Ticket;
use crate::domain::tool::Tool;
use crate::domain::tool_grant::ToolOfUser;
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, Connection, Row};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// The database, SQLite or PostgreSQL, behind the traits of this module.
#[derive(Clone, Debug)]
pub struct Database {
    pub(super) pool: Pool,
    pub(super) engine: Engine,
    /// When the database was last tried, and whether it let itself be written.
    pub(super) tried: Arc<Mutex<Option<(Instant, bool)>>>,
    /// The keys that its audit log is chained with.
    pub(super) chain: Option<ChainKeys>,
    /// The look-ups of requests.
    pub(super) loaders: Arc<Loaders>,
}

/// The look-ups of every request of a key or a token.
#[derive(Debug)]
pub(super) struct Loaders {
    pub(super) keys: BatchLoader<OwnedKey>,
    pub(super) tools: BatchLoader<Tool>,
    pub(super) tools_of_users: BatchLoader<ToolOfUser>,
    pub(super) sessions: BatchLoader<Session>,
    pub(super) tickets: BatchLoader<Ticket>,
    pub(super) nonces: BatchLoader<()>,
}

/// Connections of one process.
const MAX_CONNECTIONS: u32 = 8;
/// Longest wait for a connection, the making of a new one included.
const ACQUIRE_TIME: Duration = Duration::from_secs(2);
/// Longest that a connection may take to say that it is alive.
const PROBE_TIME: Duration = Duration::from_millis(500);
/// Longest wait at the end, for connections that are in use.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// Settings of every SQLite connection. With `FULL` an acknowledged change survives a power cut; with `NORMAL` it may
/// not.
const SQLITE_SESSION: &str =
    "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;";

/// Settings of every PostgreSQL connection: deadlines; how the server finds out that we are gone, so that it frees our locks;
/// and the settings that the statements of this module rely on, whatever the server's defaults are.
const POSTGRES_SESSION: &str = "SET statement_timeout = 5000; SET lock_timeout = 4000; \
    SET idle_in_transaction_session_timeout = 20000; \
    SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3; \
    SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED; \
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

impl Database {
    /// Opens the SQLite file, makes it if there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError`] if the file can't be opened or a migration fails.
    pub async fn open_sqlite(file: &Path) -> Result<Self> {
        Self::open(&Address::file(file), Pending::Apply).await
    }

    /// Opens the database.
    ///
    /// # Errors
    /// [`StoreError`] if it can't be reached, a migration fails, or its schema is not this program's.
    pub async fn open(address: &Address, pending: Pending) -> Result<Self> {
        let mut schema = Schema::open(address).await?;
        match pending {
            Pending::Apply => {
                let applied = |step: &super::schema::Step| tracing::info!(step.version, step.name, "migration applied");
                schema.bring_up(applied).await?;
            }
            Pending::Refuse => schema.must_be_current().await?,
        }
        let options = AnyPoolOptions::new().max_connections(MAX_CONNECTIONS).acquire_timeout(ACQUIRE_TIME);
        // sqlx's own test has no deadline; where one is needed, it is below.
        let options = options.test_before_acquire(false);
        let options = match address.engine {
            Engine::Sqlite => options.after_connect(|connection, _| {
                Box::pin(async move { sqlx::raw_sql(SQLITE_SESSION).execute(connection).await.map(|_| ()) })
            }),
            Engine::Postgres => options
                .after_connect(|connection, _| {
                    Box::pin(async move {
                        sqlx::raw_sql(POSTGRES_SESSION).execute(&mut *connection).await?;
                        if is_read_only(connection).await? {
                            return Err(read_only());
                        }
                        primary::note(connection).await;
                        Ok(())
                    })
                })
                .before_acquire(|connection, _| Box::pin(async move { Ok(!is_read_only(connection).await?) }))
                // A statement that was given up on is waited for here, before sqlx does so without a deadline.
                .after_release(|connection, _| {
                    Box::pin(async move { in_time(connection.ping()).await.map(|()| true) })
                }),
        };
        let pool = options.connect(address.expose()).await.map_err(reach::explained)?;
        schema.close().await;
        let loaders = Loaders {
            keys: BatchLoader::reading(sql_api_keys::KEYS_OR_OTHERS, sql_api_keys::read_owned),
            tools: BatchLoader::reading(sql_tools::SEVERAL, sql_tools::read),
            tools_of_users: BatchLoader::reading(sql_tool_grants::SEVERAL, sql_tool_grants::read_of_user),
            sessions: BatchLoader::reading(sql_sessions::SEVERAL, sql_sessions::read),
            tickets: BatchLoader::taking(sql_tickets::TAKE, sql_tickets::read),
            nonces: BatchLoader::taking(address.engine.with_its_clock(sql_nonces::USE), sql_nonces::read),
        };
        Ok(Self {
            pool: Pool::new(pool, address.engine),
            engine: address.engine,
            tried: Arc::default(),
            chain: None,
            loaders: Arc::new(loaders),
        })
    }

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

/// Whether this node takes no writes, which also says whether it answers at all. A node that was demoted, or is a standby, may
/// be behind: a key that was revoked could still be good there, so nothing is read from it either (F10).
async fn is_read_only(connection: &mut AnyConnection) -> std::result::Result<bool, sqlx::Error> {
    let row = in_time(sqlx::query("SHOW transaction_read_only").fetch_one(connection)).await?;
    Ok(row.try_get::<String, _>(0)? != "off")
}

/// A connection that says nothing is no connection (F11).
async fn in_time<T>(
    answer: impl Future<Output = std::result::Result<T, sqlx::Error>>,
) -> std::result::Result<T, sqlx::Error> {
    let silent = || sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the connection does not answer"));
    timeout(PROBE_TIME, answer).await.unwrap_or_else(|_| Err(silent()))
}

fn read_only() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "this node of the database takes no writes"))
}

/// Turns a broken uniqueness rule into [`StoreError::Taken`].
pub(super) fn taken(what: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |error| match &error {
        sqlx::Error::Database(cause) if cause.is_unique_violation() => StoreError::Taken { what },
        _ => StoreError::Database(error),
    }
}
