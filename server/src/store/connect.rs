//! Opening the database: the one place that knows which engine it is.

use super::bounded::Pool;
use super::{Result, StoreError};
use sqlx::any::AnyPoolOptions;
use std::path::Path;
use std::time::Duration;

/// The database, SQLite or PostgreSQL, behind the traits of this module.
#[derive(Clone, Debug)]
pub struct Database {
    pub(super) pool: Pool,
}

/// What every SQLite connection is told. `FULL` survives a power cut with what was acknowledged; `NORMAL` may not.
const PRAGMAS: &str =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON;";

impl Database {
    /// Opens the SQLite file, makes it if there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError`] if the file can't be opened or a migration fails.
    pub async fn open_sqlite(file: &Path) -> Result<Self> {
        let mut url = String::from("sqlite://");
        for byte in file.as_os_str().as_encoded_bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => url.push(char::from(*byte)),
                other => url.push_str(&format!("%{other:02X}")),
            }
        }
        url.push_str("?mode=rwc");
        Self::open(&url).await
    }

    /// Opens the database at a URL (`sqlite:` or `postgres:`) and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError`] if it can't be reached or a migration fails.
    pub async fn open(url: &str) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let is_sqlite = url.starts_with("sqlite:");
        let pool = AnyPoolOptions::new()
            .max_connections(8)
            .acquire_timeout(Duration::from_secs(5))
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if is_sqlite {
                        sqlx::raw_sql(PRAGMAS).execute(&mut *connection).await?;
                    }
                    Ok(())
                })
            })
            .connect(url)
            .await?;
        sqlx::migrate!().run(&pool).await?;
        Ok(Self { pool: Pool(pool) })
    }

    /// Closes every connection, so that SQLite folds its log into the file.
    pub async fn close(&self) {
        self.pool.0.close().await;
    }
}

/// Turns a broken uniqueness rule into [`StoreError::Taken`].
pub(super) fn taken(what: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |error| match &error {
        sqlx::Error::Database(cause) if cause.is_unique_violation() => StoreError::Taken { what },
        _ => StoreError::Database(error),
    }
}
