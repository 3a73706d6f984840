//! What verifiers are told of (profile §13), read in the order of its cursors; [`denials`] writes it.

pub(crate) mod denials;
pub(crate) mod waker;

use crate::portions::PORTION;
use crate::row::Columns;
use crate::{Database, Result};
use bmap_model::link;
use bmap_protocol::link::{Change, ChangeKind, NODE_SECONDS};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

/// Changes that are read at once, and more where one act has more.
pub const PAGE: u32 = 1_000;

/// Most nodes of one tool that are kept: its credential makes as many as its holder likes.
const NODES: i64 = 256;

/// A verifier with a live link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkNode {
    /// Its tool.
    pub tool: String,
    /// Its own id, made at its start.
    pub node: String,
    /// Changes up to this cursor are in force there.
    pub applied: i64,
    /// Seconds since its last word.
    pub silent: i64,
}

/// The live link.
impl Database {
    /// The newest cursor. Every change up to it is committed, and can be read.
    pub async fn link_cursor(&self) -> Result<i64> {
        let row = sqlx::query("SELECT sequence FROM audit_head WHERE id = 1").fetch_one(&self.pool).await?;
        Columns { table: "audit_head", row: &row }.number("sequence")
    }

    /// Changes behind a cursor in their order: [`PAGE`] of them if there are so many, and always all of an act. One act can end thousands of sessions,
    /// and what follows is asked for by its cursor. `None` where some of them were deleted, or the cursor is not of this database.
    pub async fn link_changes(&self, after: i64) -> Result<Option<Vec<Change>>> {
        let rows = sqlx::query(
            "SELECT cursor, kind, id, tool, of_kind, until, issued_until FROM link_changes WHERE cursor > $1 \
             ORDER BY cursor, kind, id, tool LIMIT $2",
        )
        .bind(after)
        .bind(i64::from(PAGE))
        .fetch_all(&self.pool)
        .await?;
        let mut changes: Vec<Change> = rows.iter().map(read).collect::<Result<_>>()?;
        if let Some(last) = changes.last().map(|change| change.cursor).filter(|_| changes.len() >= PAGE as usize) {
            let rows = sqlx::query(
                "SELECT cursor, kind, id, tool, of_kind, until, issued_until FROM link_changes WHERE cursor = $1 ORDER BY kind, id, tool",
            )
            .bind(last)
            .fetch_all(&self.pool)
            .await?;
            changes.retain(|change| change.cursor < last);
            changes.extend(rows.iter().map(read).collect::<Result<Vec<_>>>()?);
        }
        // Asked for behind the rows: what was deleted before they were read is known by now.
        let (forgotten, newest) = (self.link_forgotten().await?, self.link_cursor().await?);
        if after < forgotten || after > newest {
            return Ok(None);
        }
        Ok(Some(changes))
    }

    /// Changes that are kept at this second, in their order.
    pub async fn live_link_changes(&self, now_seconds: i64) -> Result<Vec<Change>> {
        let rows = sqlx::query(
            "SELECT cursor, kind, id, tool, of_kind, until, issued_until FROM link_changes WHERE until > $1 ORDER BY cursor, kind, id, tool",
        )
        .bind(now_seconds)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read).collect()
    }

    /// Notes that a node is there, and what is in force at it; whether there is room for it among [`NODES`] of its tool. An older word changes
    /// nothing but the time.
    pub async fn note_link_node(&self, tool: &str, node: &str, applied: i64) -> Result<bool> {
        if self.put_link_node(tool, node, applied).await? {
            return Ok(true);
        }
        let silent = self
            .engine
            .with_its_clock("DELETE FROM link_nodes WHERE tool = $1 AND seen_at <= {now} - CAST($2 AS BIGINT)");
        sqlx::query(AssertSqlSafe(silent)).bind(tool).bind(NODE_SECONDS).execute(&self.pool).await?;
        self.put_link_node(tool, node, applied).await
    }

    async fn put_link_node(&self, tool: &str, node: &str, applied: i64) -> Result<bool> {
        let sql = self.engine.with_its_clock(
            "INSERT INTO link_nodes (tool, node, applied, seen_at) SELECT $1, $2, CAST($3 AS BIGINT), {now} \
             WHERE (SELECT COUNT(*) FROM link_nodes WHERE tool = $1 AND node <> $2) < CAST($4 AS BIGINT) \
             ON CONFLICT (tool, node) DO UPDATE SET \
             applied = CASE WHEN excluded.applied > link_nodes.applied THEN excluded.applied ELSE link_nodes.applied END, \
             seen_at = excluded.seen_at",
        );
        let done =
            sqlx::query(AssertSqlSafe(sql)).bind(tool).bind(node).bind(applied).bind(NODES).execute(&self.pool).await?;
        Ok(done.rows_affected() > 0)
    }

    /// The nodes that were heard of in the last [`NODE_SECONDS`].
    pub async fn link_nodes(&self) -> Result<Vec<LinkNode>> {
        let sql = self.engine.with_its_clock(
            "SELECT tool, node, applied, {now} - seen_at AS silent FROM link_nodes WHERE seen_at > {now} - $1 ORDER BY tool, node",
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(NODE_SECONDS).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                let columns = Columns { table: "link_nodes", row };
                Ok(LinkNode {
                    tool: columns.text("tool")?,
                    node: columns.text("node")?,
                    applied: columns.number("applied")?,
                    silent: columns.number("silent")?,
                })
            })
            .collect()
    }

    /// The newest cursor of the changes that are limited to a tool, by tool; under the empty name that of the changes for all.
    pub async fn newest_link_changes(&self) -> Result<Vec<(String, i64)>> {
        let rows = sqlx::query("SELECT tool, MAX(cursor) AS newest FROM link_changes GROUP BY tool")
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| {
                let columns = Columns { table: "link_changes", row };
                Ok((columns.text("tool")?, columns.number("newest")?))
            })
            .collect()
    }

    /// Deletes changes whose tokens have ended, and nodes that were not heard of for an hour; how many.
    pub async fn delete_ended_link_changes(&self, now_seconds: i64) -> Result<u64> {
        let silent = self.engine.with_its_clock("DELETE FROM link_nodes WHERE seen_at < {now} - 3600");
        sqlx::query(AssertSqlSafe(silent)).execute(&self.pool).await?;
        let mut deleted = 0_u64;
        loop {
            let mut transaction = self.pool.begin().await?;
            // The oldest ones, up to the first that is still kept: so what is left has no gap.
            let row = sqlx::query(
                "SELECT MAX(cursor) AS highest FROM (SELECT cursor FROM link_changes WHERE cursor < COALESCE( \
                 (SELECT MIN(cursor) FROM link_changes WHERE until >= $1), $2) ORDER BY cursor LIMIT $3) AS ended",
            )
            .bind(now_seconds)
            .bind(i64::MAX)
            .bind(PORTION)
            .fetch_one(&mut *transaction)
            .await?;
            let Some(highest) = row.try_get::<Option<i64>, _>("highest")? else { return Ok(deleted) };
            // Before a row goes, no cursor before it is taken any more.
            sqlx::query(
                "UPDATE settings SET value = CAST($1 AS TEXT) WHERE name = 'link_forgotten_until' AND CAST(value AS BIGINT) < $1",
            )
            .bind(highest)
            .execute(&mut *transaction)
            .await?;
            let done = sqlx::query("DELETE FROM link_changes WHERE cursor <= $1")
                .bind(highest)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            deleted = deleted.saturating_add(done.rows_affected());
        }
    }

    async fn link_forgotten(&self) -> Result<i64> {
        let row =
            sqlx::query("SELECT CAST(value AS BIGINT) AS forgotten FROM settings WHERE name = 'link_forgotten_until'")
                .fetch_one(&self.pool)
                .await?;
        Columns { table: "settings", row: &row }.number("forgotten")
    }
}

fn read(row: &AnyRow) -> Result<Change> {
    let columns = Columns { table: "link_changes", row };
    let kind: ChangeKind = columns.parsed("kind", link::kind_of)?;
    let (tool, of) = (columns.text("tool")?, columns.text("of_kind")?);
    Ok(Change {
        cursor: columns.number("cursor")?,
        kind,
        id: columns.text("id")?,
        until: if link::denies(kind) { columns.number("until")? } else { 0 },
        tool: Some(tool).filter(|tool| !tool.is_empty()),
        of: link::kind_of(&of),
        issued_until: columns.optional_number("issued_until")?,
    })
}
