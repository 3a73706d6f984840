//! The database that is copied: locked against all writers from the first read until it is marked as moved, in one transaction.

use super::cell::Cell;
use super::connection::Connection;
use super::mark::{MOVED, Moved};
use super::seals::{Seals, State};
use super::tables::{TABLES, Table};
use crate::address::{Address, Engine};
use crate::audit::log::{read as read_entry, read_kept};
use crate::keys::issuer_keys;
use crate::nonces::LONGEST;
use crate::schema::Schema;
use crate::{Result, StoreError, primary};
use bmap_model::audit::chain::{ChainKeys, Head, Mac};
use bmap_model::issuer_key::SealedIssuerKey;
use bmap_model::roots::Roots;
use sqlx::{AssertSqlSafe, Row};

/// No other process has the file open, and none can open it. In this order: the mode counts from the first look at the file.
const LOCK_SQLITE: &str =
    "PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 2000; BEGIN EXCLUSIVE";
/// Other programs that are connected to this database of PostgreSQL.
const OTHERS: &str = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() \
     AND pid <> pg_backend_pid() AND backend_type = 'client backend'";

/// The source of a copy. Dropped, it is free again and unchanged.
#[derive(Debug)]
pub struct Source {
    connection: Connection,
    seals: Option<Seals>,
    shown: String,
}

impl Source {
    /// Opens it as it is, and locks it.
    ///
    /// # Errors
    /// [`StoreError::InUse`] where another program has it open, [`StoreError::Behind`] for a schema that is not this program's.
    pub async fn open(address: &Address) -> Result<Self> {
        let mut schema = Schema::open(&address.as_it_is()).await?;
        if address.engine == Engine::Sqlite {
            schema.run(LOCK_SQLITE).await.map_err(in_use)?;
        }
        schema.must_be_current().await?;
        let mut connection = schema.into_connection();
        if address.engine == Engine::Postgres {
            primary::note(&mut connection).await;
        }
        let mut source =
            Self { connection: Connection::new(address.engine, connection), seals: None, shown: address.shown() };
        if address.engine == Engine::Postgres {
            source.must_be_alone().await?;
            let tables = TABLES.iter().map(|table| table.name).collect::<Vec<_>>().join(", ");
            let lock = format!(
                "SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = 0; SET synchronous_commit = on; \
                 BEGIN; LOCK TABLE {tables} IN EXCLUSIVE MODE"
            );
            source.connection.run(lock).await?;
            source.must_be_alone().await?;
        }
        if source.setting("grants_upgrade").await?.as_deref() == Some("pending") {
            return Err(StoreError::Behind { pending: 1 });
        }
        Ok(source)
    }

    /// Its address, without user and password.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// A process that connected meanwhile waits for the locks, and would go on behind them.
    async fn must_be_alone(&mut self) -> Result<()> {
        match self.connection.number(OTHERS.to_owned()).await? {
            0 => Ok(()),
            _ => Err(StoreError::InUse),
        }
    }

    /// The value of a setting.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn setting(&mut self, name: &str) -> Result<Option<String>> {
        let asked = sqlx::query("SELECT value FROM settings WHERE name = $1").bind(name);
        let rows = self.connection.fetch_all(asked).await?;
        Ok(rows.first().map(|row| row.try_get("value")).transpose()?)
    }

    /// Where it was moved to, if it was.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn moved(&mut self) -> Result<Option<Moved>> {
        let corrupt = |_| StoreError::Corrupt { table: "settings", column: "value" };
        let value = self.setting(MOVED).await?;
        value.map(|value| serde_json::from_str(&value).map_err(corrupt)).transpose()
    }

    /// The issuer's own keys, by which the root secrets are told to be the right ones.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn issuer_keys(&mut self) -> Result<Vec<SealedIssuerKey>> {
        let rows = self.connection.fetch_all(sqlx::query(issuer_keys::LIVE)).await?;
        rows.iter().map(issuer_keys::read).collect()
    }

    /// Begins to check seals, those of the audit log behind this entry.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn check_with(&mut self, roots: &Roots, head: Head) -> Result<()> {
        let rows = sqlx::query("SELECT epoch, sealed_epoch, sealed FROM audit_keys");
        let rows = self.connection.fetch_all(rows).await?;
        let kept = rows.iter().filter_map(|row| read_kept(row).ok());
        let chain = kept.fold(ChainKeys::new(roots.clone()), |keys, kept| match kept.open(roots) {
            Some(key) => keys.and_kept(kept.epoch, &key),
            None => keys,
        });
        self.seals = Some(Seals::new(roots.clone(), chain, head));
        Ok(())
    }

    /// The entry of the audit log with that number, or the last one; `None` where there is none that can be read.
    pub(crate) async fn entry(&mut self, sequence: Option<i64>) -> Result<Option<Head>> {
        let rows = sqlx::query(
            "SELECT sequence, epoch, at, action, outcome, actor, actor_id, actor_user, target, target_id, target_user, \
             address, request_id, detail, mac FROM audit_log WHERE sequence <= $1 ORDER BY sequence DESC LIMIT 1",
        )
        .bind(sequence.unwrap_or(i64::MAX));
        let rows = self.connection.fetch_all(rows).await?;
        let entry = rows.first().and_then(|row| read_entry(row).ok());
        Ok(entry.and_then(|entry| Some(Head { sequence: entry.sequence, mac: Mac::parse(&entry.mac)? })))
    }

    /// A page of a table's rows in the order of their keys, behind `after`, each with the answer about its seal.
    pub(crate) async fn page(
        &mut self,
        table: &'static Table,
        after: &[Cell],
        most: i64,
    ) -> Result<Vec<(Vec<Cell>, State)>> {
        let sql = table.page(after.is_empty());
        let query = after.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, cell| cell.bind(query));
        let rows = self.connection.fetch_all(query.bind(most)).await.map_err(|error| match error {
            StoreError::Database(cause @ (sqlx::Error::Decode(_) | sqlx::Error::AnyDriverError(_))) => {
                StoreError::Unreadable { table: table.name, cause }
            }
            error => error,
        })?;
        let mut page = Vec::with_capacity(rows.len());
        for row in rows {
            let cells = table.cells(&row)?;
            let state = match &mut self.seals {
                Some(seals) => seals.ask(table.seal, &row)?,
                None => State::Unasked,
            };
            page.push((cells, state));
        }
        Ok(page)
    }

    /// How many rows of a table are carried.
    pub(crate) async fn count(&mut self, table: &Table) -> Result<i64> {
        self.connection.number(table.count()).await
    }

    /// Marks it as moved and lets it go. From here on no process serves it.
    ///
    /// # Errors
    /// [`StoreError`]; then it is not marked, unless the server of PostgreSQL went away in this moment.
    pub async fn mark_moved(&mut self, moved: &Moved) -> Result<()> {
        if self.connection.engine == Engine::Postgres {
            self.must_be_alone().await?;
        }
        let value =
            serde_json::to_string(moved).map_err(|_| StoreError::Corrupt { table: "settings", column: "value" })?;
        let mark = "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.connection.execute(sqlx::query(mark).bind(MOVED).bind(value)).await?;
        self.connection.run("COMMIT").await
    }

    /// Takes the mark away. What the target did since the copy is not known here, so every request that was signed until now counts as used
    /// (profile §5, after a restart).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reopen(&mut self) -> Result<()> {
        let until = self.connection.engine.with_its_clock(&format!("{{now}} + {LONGEST}"));
        let forget = format!(
            "UPDATE settings SET value = CAST({until} AS TEXT) \
             WHERE name = 'nonces_forgotten_until' AND CAST(value AS BIGINT) < {until}"
        );
        self.connection.execute(sqlx::query(AssertSqlSafe(forget))).await?;
        self.connection.execute(sqlx::query("DELETE FROM settings WHERE name = $1").bind(MOVED)).await?;
        self.connection.run("COMMIT").await
    }

    /// Closes it.
    pub async fn close(self) {
        self.connection.close().await;
    }
}

/// SQLite says "busy" or "locked" where another program has the file open.
fn in_use(error: StoreError) -> StoreError {
    let StoreError::Database(sqlx::Error::Database(cause)) = &error else { return error };
    if cause.message().contains("locked") { StoreError::InUse } else { error }
}
