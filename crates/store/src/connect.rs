//! Opening the database: the one place that knows which engine it is.

use super::address::{Address, Engine};
use super::batch_loader::BatchLoader;
use super::bounded::Pool;
use super::database::{Database, Loaders};
use super::schema::{Pending, Schema};
use super::{Result, primary, reach};
use crate::copy::mark;
use crate::keys::{api_keys, sessions, tickets};
use crate::nonces;
use crate::tools::{grants, tool};
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, Connection, Row};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Connections of one process.
const MAX_CONNECTIONS: u32 = 8;
/// Longest wait for a connection, the making of a new one included.
const ACQUIRE_TIME: Duration = Duration::from_secs(2);
/// Longest that a connection may take to say that it is alive.
const PROBE_TIME: Duration = Duration::from_millis(500);
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
        schema.must_be_here().await?;
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
                Box::pin(async move {
                    sqlx::raw_sql(SQLITE_SESSION).execute(&mut *connection).await?;
                    mark::refuse_connection(connection).await
                })
            }),
            Engine::Postgres => options
                .after_connect(|connection, _| {
                    Box::pin(async move {
                        sqlx::raw_sql(POSTGRES_SESSION).execute(&mut *connection).await?;
                        if is_read_only(connection).await? {
                            return Err(read_only());
                        }
                        mark::refuse_connection(connection).await?;
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
            keys: BatchLoader::reading(api_keys::KEYS_OR_OTHERS, api_keys::read_owned),
            tools: BatchLoader::reading(tool::SEVERAL, tool::read),
            tools_of_users: BatchLoader::reading(grants::SEVERAL, grants::read_of_user),
            sessions: BatchLoader::reading(sessions::SEVERAL, sessions::read),
            tickets: BatchLoader::taking(tickets::TAKE, tickets::read),
            nonces: BatchLoader::taking(address.engine.with_its_clock(nonces::USE), nonces::read),
        };
        Ok(Self {
            pool: Pool::new(pool, address.engine),
            engine: address.engine,
            tried: Arc::default(),
            told: Arc::default(),
            listens_at: Some(address.clone()).filter(|address| address.engine == Engine::Postgres),
            chain: None,
            loaders: Arc::new(loaders),
        })
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
