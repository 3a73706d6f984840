//! The audit log. It is appended to in the transaction of whatever it records.

use crate::audit::filter::{FLOOR_OF_USER, SqlFilter, Value};
use crate::bounded::Transaction;
use crate::keys::{sessions, tickets};
use crate::link::denials;
use crate::many::{places, portions};
use crate::row::Columns;
use crate::{Database, Result, StoreError};
use bmap_model::audit::Event;
use bmap_model::audit::chain::{ChainKeys, Content, Head, Mac, Row};
use bmap_model::audit::kept::KeptKey;
use bmap_model::audit::query::Filter;
use bmap_model::session::Session;
use bmap_model::ticket::RecordedTicket;
use bmap_protocol::ids::UserId;
use sqlx::any::{AnyQueryResult, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe};

/// Writes of many callers at once, with their entries of the audit log.
#[derive(Debug, Default)]
pub struct Batch {
    /// Tickets, each with its own entry in the audit log and the answer to its request.
    pub tickets: Vec<RecordedTicket>,
    /// Sessions that begin.
    pub sessions: Vec<Session>,
    /// Entries, behind those of the tickets.
    pub events: Vec<Event>,
}

impl Batch {
    /// Whether there is nothing to be written.
    pub fn is_empty(&self) -> bool {
        self.tickets.is_empty() && self.sessions.is_empty() && self.events.is_empty()
    }
}

/// The columns that a row is written to, in the order of [`bind`].
const COLUMNS: usize = 15;

/// The audit log. Everything else in this module that takes an [`Event`] appends it in the transaction of its change: both are
/// done, or neither.
impl Database {
    /// Appends events, in this order and in one transaction.
    pub async fn append(&self, events: &[Event]) -> Result<()> {
        let mut transaction = self.pool.begin().await?;
        self.record_all(&mut transaction, &events.iter().collect::<Vec<_>>()).await?;
        Ok(transaction.commit().await?)
    }

    /// Writes a batch: one transaction. For each ticket, whether it is there: where an answer to its request is kept already,
    /// nothing of it is.
    pub async fn write(&self, batch: &Batch) -> Result<Vec<bool>> {
        let mut transaction = self.pool.begin().await?;
        let is_added = tickets::add(&mut transaction, &batch.tickets).await?;
        sessions::add(&mut transaction, &batch.sessions).await?;
        let added = batch.tickets.iter().zip(&is_added).filter(|(_, added)| **added);
        let events: Vec<&Event> = added.map(|(new, _)| &new.event).chain(&batch.events).collect();
        let cursor = self.record_all(&mut transaction, &events).await?;
        denials::deny_late(&mut transaction, cursor, &batch.sessions).await?;
        transaction.commit().await?;
        Ok(is_added)
    }

    /// The log's own record of its last entry; `None` where that can't be read.
    pub async fn audit_head(&self) -> Result<Option<Head>> {
        let row = sqlx::query("SELECT sequence, mac FROM audit_head WHERE id = 1").fetch_optional(&self.pool).await?;
        Ok(row.and_then(|row| read_head(&row).ok()))
    }

    /// Entries in their order, from the one after `after`; `None` for one that can't be read.
    pub async fn audit_rows(&self, after: i64, limit: u32) -> Result<Vec<Option<Row>>> {
        let rows = sqlx::query(
            "SELECT sequence, epoch, at, action, outcome, actor, actor_id, actor_user, target, target_id, target_user, \
             address, request_id, detail, mac FROM audit_log WHERE sequence > $1 ORDER BY sequence LIMIT $2",
        )
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(|row| read(row).ok()).collect())
    }

    /// Rows that are there, but for those after `to`.
    pub async fn audit_count(&self, to: i64) -> Result<i64> {
        // A sequence that is no number, which SQLite takes, is not after `to` either.
        let row = sqlx::query(
            "SELECT COUNT(*) - (SELECT COUNT(*) FROM audit_log WHERE sequence > $1 AND sequence <= $2) AS counted \
             FROM audit_log",
        )
        .bind(to)
        .bind(i64::MAX)
        .fetch_one(&self.pool)
        .await?;
        Columns { table: "audit_log", row: &row }.number("counted")
    }

    /// The number of the newest entry; 0 in an empty log.
    pub async fn newest_audit_row(&self) -> Result<i64> {
        let row =
            sqlx::query("SELECT COALESCE(MAX(sequence), 0) AS newest FROM audit_log").fetch_one(&self.pool).await?;
        Columns { table: "audit_log", row: &row }.number("newest")
    }

    /// Entries from `floor` to before `before` that the filter lets through, newest first.
    pub async fn audit_rows_before(&self, filter: &Filter, before: i64, floor: i64, limit: u32) -> Result<Vec<Row>> {
        // A page that is asked for from a place that is not there yet holds the newest.
        let filter = SqlFilter::of(filter);
        let mut query = sqlx::query(AssertSqlSafe(filter.text)).bind(before).bind(floor).bind(i64::from(limit));
        for value in filter.values {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Number(number) => query.bind(number),
            };
        }
        query.fetch_all(&self.pool).await?.iter().map(read).collect()
    }

    /// The sequence of that one of a user's own entries with `entries - 1` others between it and `before`; `None` where there are
    /// fewer.
    pub async fn audit_floor_of(&self, user: &UserId, before: i64, entries: i64) -> Result<Option<i64>> {
        let query = sqlx::query(FLOOR_OF_USER).bind(user.as_str()).bind(before).bind(entries);
        let row = query.fetch_optional(&self.pool).await?;
        row.map(|row| Columns { table: "audit_log", row: &row }.number("sequence")).transpose()
    }

    /// The chain's keys of older epochs, as they were kept.
    pub async fn audit_keys(&self) -> Result<Vec<KeptKey>> {
        let rows = sqlx::query("SELECT epoch, sealed_epoch, sealed FROM audit_keys").fetch_all(&self.pool).await?;
        rows.iter().map(read_kept).collect()
    }

    /// Keeps the chain's key of an older epoch, in the place of the one that was kept before.
    pub async fn keep_audit_key(&self, kept: &KeptKey) -> Result<()> {
        sqlx::query(
            "INSERT INTO audit_keys (epoch, sealed_epoch, sealed) VALUES ($1, $2, $3) \
             ON CONFLICT (epoch) DO UPDATE SET sealed_epoch = excluded.sealed_epoch, sealed = excluded.sealed",
        )
        .bind(i64::from(kept.epoch))
        .bind(i64::from(kept.sealed_epoch))
        .bind(kept.sealed.as_str())
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

impl Database {
    /// Whose changes are recorded from now on, in a chain with these keys. Without, nothing that is recorded can be changed.
    #[must_use]
    pub fn recording(mut self, keys: ChainKeys) -> Self {
        self.chain = Some(keys);
        self
    }

    /// Records an event: the last statement of the transaction that makes it true.
    pub(crate) async fn record(&self, transaction: &mut Transaction, event: &Event) -> Result<()> {
        self.record_all(transaction, &[event]).await.map(|_| ())
    }

    /// Ends a transaction of one change: recorded and committed where it changed a row, and otherwise given up. Whether it did.
    pub(crate) async fn commit_if_changed(
        &self,
        mut transaction: Transaction,
        done: &AnyQueryResult,
        event: &Event,
    ) -> Result<bool> {
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        self.record(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Records several, in this order, with what they mean to verifiers; the sequence of the last.
    pub(crate) async fn record_all(&self, transaction: &mut Transaction, events: &[&Event]) -> Result<i64> {
        let key = self.chain.as_ref().ok_or(StoreError::NotRecording)?.newest();
        let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
        if count == 0 {
            return Ok(0);
        }
        // A transaction that appends at the same time waits here, until this one is over. The update comes last in a
        // transaction, so one that holds this row waits for nothing.
        let before = sqlx::query("UPDATE audit_head SET sequence = sequence + $1 WHERE id = 1 RETURNING sequence, mac")
            .bind(count)
            .fetch_one(&mut **transaction)
            .await?;
        let mut head = read_head(&before)?;
        head.sequence = head.sequence.saturating_sub(count);
        let mut rows = Vec::with_capacity(events.len());
        for event in events {
            let (row, next) = key.next(&head, Content::from(*event));
            rows.push(row);
            head = next;
        }
        for rows in portions(&rows) {
            let query = rows.iter().fold(sqlx::query(AssertSqlSafe(insert(rows.len()))), bind);
            query.execute(&mut **transaction).await?;
        }
        sqlx::query("UPDATE audit_head SET mac = $1 WHERE id = 1")
            .bind(head.mac.to_text())
            .execute(&mut **transaction)
            .await?;
        let mut told = false;
        for (event, row) in events.iter().zip(&rows) {
            told |= denials::tell(transaction, row.sequence, event).await?;
        }
        if told {
            self.wake(transaction).await?;
        }
        Ok(head.sequence)
    }
}

/// The statement for so many rows.
fn insert(rows: usize) -> String {
    format!(
        "INSERT INTO audit_log (sequence, epoch, at, action, outcome, actor, actor_id, actor_user, target, target_id, \
         target_user, address, request_id, detail, mac) VALUES {}",
        places(rows, COLUMNS)
    )
}

fn bind<'q>(query: Query<'q, Any, sqlx::any::AnyArguments>, row: &'q Row) -> Query<'q, Any, sqlx::any::AnyArguments> {
    let query = query.bind(row.sequence).bind(row.epoch).bind(row.content.at);
    row.content.texts().into_iter().fold(query, |query, text| query.bind(text)).bind(row.mac.as_str())
}

pub(crate) fn read_head(row: &AnyRow) -> Result<Head> {
    let columns = Columns { table: "audit_head", row };
    Ok(Head { sequence: columns.number("sequence")?, mac: columns.parsed("mac", Mac::parse)? })
}

pub(crate) fn read_kept(row: &AnyRow) -> Result<KeptKey> {
    let columns = Columns { table: "audit_keys", row };
    Ok(KeptKey {
        epoch: columns.epoch("epoch")?,
        sealed_epoch: columns.epoch("sealed_epoch")?,
        sealed: columns.text("sealed")?,
    })
}

pub(crate) fn read(row: &AnyRow) -> Result<Row> {
    let columns = Columns { table: "audit_log", row };
    Ok(Row {
        sequence: columns.number("sequence")?,
        epoch: columns.number("epoch")?,
        content: Content {
            at: columns.number("at")?,
            action: columns.text("action")?,
            outcome: columns.text("outcome")?,
            actor: columns.text("actor")?,
            actor_id: columns.optional_text("actor_id")?,
            actor_user: columns.optional_text("actor_user")?,
            target: columns.optional_text("target")?,
            target_id: columns.optional_text("target_id")?,
            target_user: columns.optional_text("target_user")?,
            address: columns.optional_text("address")?,
            request_id: columns.optional_text("request_id")?,
            detail: columns.text("detail")?,
        },
        mac: columns.text("mac")?,
    })
}
