//! The database that is written: empty at first, then marked as half copied until everything is there. Each page of rows is one transaction
//! with the note of how far the copy is, so a copy that was killed goes on behind its last page.

use super::cell::Cell;
use super::connection::Connection;
use super::mark::{COPIED, Copied, UNFINISHED};
use super::tables::{TABLES, Table};
use crate::address::{Address, Engine};
use crate::many::portions;
use crate::schema::Schema;
use crate::{Result, StoreError};
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;

/// What a commit acknowledges is on the disk, before the source is marked as moved.
const SQLITE: &str = "PRAGMA locking_mode = EXCLUSIVE; PRAGMA busy_timeout = 2000; PRAGMA journal_mode = WAL; \
     PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON";
const POSTGRESQL: &str =
    "SET synchronous_commit = on; SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '10min'";
/// One copy at a time; the number is the word `bmap copy` and means nothing to others.
const ALONE: &str = "SELECT CAST(CASE WHEN pg_try_advisory_lock(7092449823) THEN 1 ELSE 0 END AS BIGINT)";

/// Rows that the migrations put in. They are replaced by the source's.
const OF_MIGRATIONS: [&str; 5] =
    ["nonces_forgotten_until", "nonces_server", "grants_upgrade", "link_forgotten_until", "readiness"];

/// How far a copy is: the value of the mark in its target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The copy's id.
    pub copy: String,
    /// The source, without user and password.
    pub from: String,
    /// The installation's id, by which its source is known again.
    pub installation: Option<String>,
    /// The last entry of the source's audit log at the beginning: a source that was used since has another.
    pub audit: String,
    /// The table that is being copied; `None` when all are there.
    pub table: Option<String>,
    /// The key of the last row of that table that is there.
    pub(crate) after: Vec<Cell>,
}

/// What a target holds.
#[derive(Debug)]
pub enum Holding {
    /// Nothing.
    Nothing,
    /// A half-finished copy.
    Unfinished(Box<Progress>),
    /// A finished copy, which may be in use by now.
    Finished(Copied),
    /// Something else, which stays as it is; a table with rows, or one that is not of this program.
    Other(String),
}

/// The target of a copy.
#[derive(Debug)]
pub struct Target {
    schema: Option<Schema>,
    connection: Option<Connection>,
    engine: Engine,
    shown: String,
}

impl Target {
    /// Opens it, and changes nothing but that an SQLite file is made where there is none, for its owner alone.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::InUse`] where another copy or program is at it.
    pub async fn open(address: &Address) -> Result<Self> {
        if let Some(file) = address.missing_file() {
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
            made.map_err(|cause| StoreError::File { file: file.to_owned(), cause: sqlx::Error::Io(cause) })?;
        }
        let mut schema = Schema::open(address).await?;
        match address.engine {
            Engine::Sqlite => schema.run(SQLITE).await?,
            Engine::Postgres => {
                schema.run(POSTGRESQL).await?;
                if schema.number(ALONE).await? != 1 {
                    return Err(StoreError::InUse);
                }
            }
        }
        Ok(Self { schema: Some(schema), connection: None, engine: address.engine, shown: address.shown() })
    }

    /// Its address, without user and password.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Looks at what it holds.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn holding(&mut self) -> Result<Holding> {
        let corrupt = |_| StoreError::Corrupt { table: "settings", column: "value" };
        let schema = self.schema.as_mut().ok_or(StoreError::InUse)?;
        let tables = schema.tables().await?;
        let has = |name: &str| tables.iter().any(|table| table == name);
        let mut settings = HashMap::new();
        if has("settings") && has("_sqlx_migrations") {
            settings = schema.settings().await?;
            if let Some(value) = settings.get(UNFINISHED) {
                return Ok(Holding::Unfinished(serde_json::from_str(value).map_err(corrupt)?));
            }
            if let Some(value) = settings.get(COPIED) {
                return Ok(Holding::Finished(serde_json::from_str(value).map_err(corrupt)?));
            }
        }
        // A table of another program's could have the name of one of ours, and the migrations would end in the middle.
        let ours =
            |name: &String| has("_sqlx_migrations") && (Table::place(name).is_some() || name == "_sqlx_migrations");
        if let Some(other) = tables.iter().find(|name| !ours(name)) {
            return Ok(Holding::Other(other.clone()));
        }
        if let Some(name) = settings.keys().find(|name| !OF_MIGRATIONS.contains(&name.as_str())) {
            return Ok(Holding::Other(format!("settings {name}")));
        }
        for table in TABLES.iter().filter(|table| has(table.name) && !matches!(table.name, "settings" | "audit_head")) {
            if schema
                .number(format!("SELECT COUNT(*) FROM (SELECT 1 AS one FROM {} LIMIT 1) AS rows", table.name))
                .await?
                > 0
            {
                return Ok(Holding::Other(table.name.to_owned()));
            }
        }
        Ok(Holding::Nothing)
    }

    /// Brings the schema up, and goes on to write.
    async fn writing(&mut self) -> Result<&mut Connection> {
        if let Some(mut schema) = self.schema.take() {
            schema.bring_up(|_| ()).await?;
            self.connection = Some(Connection::new(self.engine, schema.into_connection()));
        }
        self.connection.as_mut().ok_or(StoreError::InUse)
    }

    async fn begin(&mut self) -> Result<&mut Connection> {
        let begin = match self.engine {
            Engine::Sqlite => "BEGIN IMMEDIATE",
            Engine::Postgres => "BEGIN",
        };
        let connection = self.writing().await?;
        connection.run(begin).await?;
        Ok(connection)
    }

    /// Takes an empty target for a copy: from here on no process serves it.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::InUse`] where another process put something in since it was looked at.
    pub async fn claim(&mut self, progress: &Progress) -> Result<()> {
        let engine = self.engine;
        let connection = self.begin().await?;
        if engine == Engine::Postgres {
            let tables = TABLES.iter().map(|table| table.name).collect::<Vec<_>>().join(", ");
            connection.run(format!("LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")).await?;
        }
        for table in TABLES.iter().filter(|table| !matches!(table.name, "settings" | "audit_head")) {
            if connection.number(table.count()).await? > 0 {
                return Err(StoreError::InUse);
            }
        }
        // Those that the migrations put in; `nonces_server` stays, and is noted anew.
        connection.execute(sqlx::query("DELETE FROM settings WHERE name <> 'nonces_server'")).await?;
        connection.execute(sqlx::query("UPDATE settings SET value = '' WHERE name = 'nonces_server'")).await?;
        if connection.execute(sqlx::query("DELETE FROM audit_head WHERE sequence = 0")).await? != 1 {
            return Err(StoreError::InUse);
        }
        let mark = sqlx::query("INSERT INTO settings (name, value) VALUES ($1, $2)").bind(UNFINISHED);
        connection.execute(mark.bind(text(progress)?)).await?;
        connection.run("COMMIT").await
    }

    /// Writes rows and how far the copy is with them: both, or neither.
    pub(crate) async fn write(&mut self, table: &Table, rows: &[Vec<Cell>], progress: &Progress) -> Result<()> {
        if self.engine == Engine::Postgres
            && let Some(row) = rows.iter().find(|cells| cells.iter().any(Cell::has_zero))
        {
            return Err(StoreError::ZeroInText { row: table.named(table.key(row)) });
        }
        let connection = self.begin().await?;
        for portion in portions(rows) {
            let insert = sqlx::query(AssertSqlSafe(table.insert(portion.len())));
            let insert = portion.iter().flatten().fold(insert, |query, cell| cell.bind(query));
            connection.execute(insert).await?;
        }
        self.note(progress).await
    }

    async fn note(&mut self, progress: &Progress) -> Result<()> {
        let connection = self.writing().await?;
        let noted =
            sqlx::query("UPDATE settings SET value = $1 WHERE name = $2").bind(text(progress)?).bind(UNFINISHED);
        if connection.execute(noted).await? != 1 {
            return Err(StoreError::InUse);
        }
        connection.run("COMMIT").await
    }

    /// How many rows a table has that were carried.
    pub(crate) async fn count(&mut self, table: &Table) -> Result<i64> {
        self.writing().await?.number(table.count()).await
    }

    /// The first of these rows that the target does not have with equal values.
    pub(crate) async fn lacking<'r>(&mut self, table: &Table, rows: &'r [Vec<Cell>]) -> Result<Option<&'r Vec<Cell>>> {
        let connection = self.writing().await?;
        for portion in portions(rows) {
            let query = sqlx::query(AssertSqlSafe(table.by_keys(portion.len())));
            let query = portion.iter().flat_map(|cells| table.key(cells)).fold(query, |query, cell| cell.bind(query));
            let mut found = HashMap::with_capacity(portion.len());
            for row in connection.fetch_all(query).await? {
                let cells = table.cells(&row)?;
                found.insert(table.key(&cells).to_vec(), cells);
            }
            if let Some(row) = portion.iter().find(|cells| found.get(table.key(cells)) != Some(*cells)) {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// Takes the mark away: from here on it may be served.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn finish(&mut self, copied: &Copied) -> Result<()> {
        let connection = self.begin().await?;
        connection.execute(sqlx::query("DELETE FROM settings WHERE name = $1").bind(UNFINISHED)).await?;
        let mark = sqlx::query("INSERT INTO settings (name, value) VALUES ($1, $2)").bind(COPIED);
        connection.execute(mark.bind(text(copied)?)).await?;
        connection.run("COMMIT").await?;
        // So that the first plans are not those for empty tables. The copy is finished, also where this is not.
        if let Err(error) = connection.run_long("ANALYZE").await {
            tracing::warn!("the target was not analyzed: {error}");
        }
        Ok(())
    }

    /// Closes it.
    pub async fn close(self) {
        if let Some(connection) = self.connection {
            connection.close().await;
        }
        if let Some(schema) = self.schema {
            schema.close().await;
        }
    }
}

fn text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|_| StoreError::Corrupt { table: "settings", column: "value" })
}
