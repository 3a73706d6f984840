//! The schema: which migrations the database has, and bringing it up to this program's.

use super::address::{Address, Engine};
use super::{Result, StoreError, append_only, reach};
use crate::copy::mark;
use crate::keys::issuer_keys;
use bmap_model::issuer_key::SealedIssuerKey;
use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};
use std::collections::HashMap;
use std::time::Duration;

/// This program's migrations, in their order.
static MIGRATOR: Migrator = sqlx::migrate!();

/// Where the database itself says which of them it has.
const TABLE: &str = "_sqlx_migrations";

/// Longest wait for a database server that is starting.
const START_TIME: Duration = Duration::from_secs(10);

/// A migration may take its time; but it waits for no lock longer than this, because every other statement waits behind
/// it.
const UNHURRIED: &str = "SET statement_timeout = 0; SET lock_timeout = '60s'";

/// Whether opening a database brings its schema up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// Pending migrations are applied.
    Apply,
    /// A schema that is behind is refused.
    Refuse,
}

/// A migration of this program's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number.
    pub version: i64,
    /// Its name.
    pub name: &'static str,
    /// Whether the database has it.
    pub is_applied: bool,
}

/// A database's schema, on a connection of its own.
#[derive(Debug)]
pub struct Schema {
    connection: AnyConnection,
    engine: Engine,
}

impl Schema {
    /// Opens it. A server that says that it is just starting is waited for; a port where nothing listens is not.
    ///
    /// # Errors
    /// [`StoreError`] if it can't be reached.
    pub async fn open(address: &Address) -> Result<Self> {
        sqlx::any::install_default_drivers();
        // A pool of one: it is what tries again while a server starts.
        let pool = AnyPoolOptions::new().max_connections(1).acquire_timeout(START_TIME);
        reach::readable(address)?;
        let mut connection = match AnyConnection::connect(address.expose()).await {
            Ok(connection) => connection,
            // Nothing listens there: that is no server that starts, so waiting for it would hide a wrong address.
            Err(error) if reach::is_refused(&error) => return Err(reach::explained(error)),
            Err(cause) if address.engine == Engine::Sqlite => {
                return Err(match address.sqlite_file() {
                    Some(file) => StoreError::File { file: file.to_owned(), cause },
                    None => cause.into(),
                });
            }
            Err(_) => {
                let pool = pool.connect(address.expose()).await.map_err(reach::explained)?;
                pool.acquire().await?.detach()
            }
        };
        if address.engine == Engine::Postgres {
            sqlx::raw_sql(UNHURRIED).execute(&mut connection).await?;
        }
        Ok(Self { connection, engine: address.engine })
    }

    /// The schema of a database that is not there: everything is pending.
    pub fn none() -> Vec<Step> {
        MIGRATOR
            .iter()
            .map(|known| Step { version: known.version, name: &known.description, is_applied: false })
            .collect()
    }

    /// Every migration of this program's, in order.
    ///
    /// # Errors
    /// [`StoreError::Newer`] for a database that a newer program has been at, [`StoreError::Altered`] for one whose
    /// migrations were others.
    pub async fn steps(&mut self) -> Result<Vec<Step>> {
        let applied = match self.connection.list_applied_migrations(TABLE).await {
            Ok(applied) => applied,
            Err(MigrateError::Execute(error)) if is_missing_table(&error) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        for migration in &applied {
            match MIGRATOR.iter().find(|known| known.version == migration.version) {
                Some(known) if known.checksum == migration.checksum => {}
                Some(_) => return Err(StoreError::Altered { version: migration.version }),
                None => {
                    let known = MIGRATOR.iter().map(|known| known.version).max().unwrap_or_default();
                    return Err(StoreError::Newer { found: migration.version, known });
                }
            }
        }
        let mut steps = Self::none();
        for step in &mut steps {
            step.is_applied = applied.iter().any(|migration| migration.version == step.version);
        }
        Ok(steps)
    }

    /// The issuer's own keys, also of a schema that is behind; none where there is no schema yet.
    ///
    /// # Errors
    /// [`StoreError`] where the database does not answer.
    pub async fn issuer_keys(&mut self) -> Result<Vec<SealedIssuerKey>> {
        match sqlx::query(issuer_keys::LIVE).fetch_all(&mut self.connection).await {
            Ok(rows) => rows.iter().map(issuer_keys::read).collect(),
            Err(error) if is_missing_table(&error) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// The installation's id, also of a schema that is behind; `None` where there is none yet.
    ///
    /// # Errors
    /// [`StoreError`] where the database does not answer.
    pub async fn installation(&mut self, setting: &str) -> Result<Option<String>> {
        let found = sqlx::query("SELECT value FROM settings WHERE name = $1").bind(setting);
        match found.fetch_optional(&mut self.connection).await {
            Ok(row) => Ok(row.map(|row| row.try_get("value")).transpose()?),
            Err(error) if is_missing_table(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Applies the pending migrations, one by one, and says so; how many. Two programs may do this at once.
    ///
    /// # Errors
    /// [`StoreError`]. Each migration is whole or not there.
    pub async fn bring_up(&mut self, mut applied: impl FnMut(&Step)) -> Result<usize> {
        let pending: Vec<Step> = self.steps().await?.into_iter().filter(|step| !step.is_applied).collect();
        for step in &pending {
            if let Err(error) = MIGRATOR.run_to(step.version, &mut self.connection).await {
                // SQLite has no lock for this: another program may have been first, and then it is done.
                let done = self.steps().await?.into_iter().any(|now| now.version == step.version && now.is_applied);
                if !done {
                    return Err(error.into());
                }
            }
            applied(step);
        }
        append_only::guard(&mut self.connection, self.engine).await?;
        Ok(pending.len())
    }

    /// Refuses a schema that is behind.
    ///
    /// # Errors
    /// [`StoreError::Behind`].
    pub async fn must_be_current(&mut self) -> Result<()> {
        match self.steps().await?.iter().filter(|step| !step.is_applied).count() {
            0 => Ok(()),
            pending => Err(StoreError::Behind { pending }),
        }
    }

    /// Refuses a database that was moved away, or that holds a half-finished copy; also of a schema that is behind.
    ///
    /// # Errors
    /// [`StoreError::Moved`], [`StoreError::CopyUnfinished`].
    pub async fn must_be_here(&mut self) -> Result<()> {
        match sqlx::query(mark::ASK).fetch_all(&mut self.connection).await {
            Ok(rows) => mark::refuse(&rows),
            Err(error) if is_missing_table(&error) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Statements without values, and without an answer.
    pub(crate) async fn run(&mut self, sql: &'static str) -> Result<()> {
        Ok(sqlx::raw_sql(sql).execute(&mut self.connection).await.map(|_| ())?)
    }

    /// The one number of a statement.
    pub(crate) async fn number(&mut self, sql: impl Into<String>) -> Result<i64> {
        let row = sqlx::query(AssertSqlSafe(sql.into())).fetch_one(&mut self.connection).await?;
        Ok(row.try_get(0)?)
    }

    /// The tables that are there, whoever made them.
    pub(crate) async fn tables(&mut self) -> Result<Vec<String>> {
        let sql = match self.engine {
            Engine::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
            Engine::Postgres => {
                "SELECT CAST(table_name AS TEXT) AS name FROM information_schema.tables WHERE table_schema = current_schema()"
            }
        };
        let rows = sqlx::query(sql).fetch_all(&mut self.connection).await?;
        Ok(rows.iter().map(|row| row.try_get("name")).collect::<std::result::Result<_, _>>()?)
    }

    /// All settings.
    pub(crate) async fn settings(&mut self) -> Result<HashMap<String, String>> {
        let rows = sqlx::query("SELECT name, value FROM settings").fetch_all(&mut self.connection).await?;
        let pair = |row: &AnyRow| Ok::<_, sqlx::Error>((row.try_get("name")?, row.try_get("value")?));
        Ok(rows.iter().map(pair).collect::<std::result::Result<_, _>>()?)
    }

    /// The connection, for another use.
    pub(crate) fn into_connection(self) -> AnyConnection {
        self.connection
    }

    /// Closes the connection.
    pub async fn close(self) {
        // Its work is done.
        let _ = self.connection.close().await;
    }
}

/// A database that has never been migrated: `42P01` is PostgreSQL's undefined_table.
fn is_missing_table(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(cause) = error else { return false };
    cause.code().as_deref() == Some("42P01") || cause.message().contains("no such table")
}
