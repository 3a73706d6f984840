//! Answers that are kept for requests that are sent again.

use crate::bounded::InTransaction;
use crate::row::Columns;
use crate::{Database, Result, StoreError};
use bmap_model::clock::UnixTime;
use bmap_model::idempotency::{Attempt, KEPT_SECONDS, SealedAnswer};
use sqlx::any::AnyRow;

/// The thing that [`crate::StoreError::Taken`] names where another process kept an answer to the same request first.
pub const ANSWER: &str = "answer to this request";

/// Answers that are kept for requests that are sent again. They are written with the change that they tell of.
impl Database {
    /// The answer that is kept for an idempotency key of a caller.
    pub async fn kept_answer(&self, attempt: &Attempt, now: UnixTime) -> Result<Option<SealedAnswer>> {
        let row = sqlx::query(
            "SELECT caller, key_hash, request_hash, epoch, sealed, expires_at FROM idempotent_answers \
             WHERE caller = $1 AND key_hash = $2 AND expires_at > $3",
        )
        .bind(attempt.caller.as_str())
        .bind(attempt.key.as_str())
        .bind(now.0)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(read).transpose()
    }

    /// Whether a caller has fewer than `most` answers kept.
    pub async fn has_room_for_answer(&self, caller: &str, most: i64, now: UnixTime) -> Result<bool> {
        // The row at the limit, if there is one: nothing is counted beyond it.
        let row = sqlx::query(
            "SELECT key_hash FROM idempotent_answers WHERE caller = $1 AND expires_at > $2 \
             ORDER BY key_hash LIMIT 1 OFFSET $3",
        )
        .bind(caller)
        .bind(now.0)
        .bind(most.saturating_sub(1))
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.is_none())
    }

    /// Deletes rows that have ended; how many.
    pub async fn delete_ended_answers(&self, now: UnixTime) -> Result<u64> {
        let sql = "DELETE FROM idempotent_answers WHERE (caller, key_hash) IN \
                   (SELECT caller, key_hash FROM idempotent_answers WHERE expires_at < $1 LIMIT $2)";
        self.delete_before(sql, now.0).await
    }
}

pub(crate) fn read(row: &AnyRow) -> Result<SealedAnswer> {
    let columns = Columns { table: "idempotent_answers", row };
    let expires_at = columns.time("expires_at")?;
    Ok(SealedAnswer {
        attempt: Attempt {
            session: None,
            caller: columns.text("caller")?,
            key: columns.text("key_hash")?,
            request: columns.text("request_hash")?,
        },
        epoch: columns.epoch("epoch")?,
        sealed: columns.text("sealed")?,
        created_at: expires_at.plus_seconds(-KEPT_SECONDS),
        expires_at,
    })
}

/// Keeps an answer, if there is one to keep, in the transaction of the change that it tells of.
pub(crate) async fn keep(inside: &mut InTransaction, answer: Option<&SealedAnswer>) -> Result<()> {
    match answer {
        Some(answer) if !keep_first(inside, answer).await? => Err(StoreError::Taken { what: ANSWER }),
        _ => Ok(()),
    }
}

/// The same; `false`, and the transaction goes on, where an answer to that request is kept already.
pub(crate) async fn keep_first(inside: &mut InTransaction, answer: &SealedAnswer) -> Result<bool> {
    sqlx::query("DELETE FROM idempotent_answers WHERE caller = $1 AND key_hash = $2 AND expires_at <= $3")
        .bind(answer.attempt.caller.as_str())
        .bind(answer.attempt.key.as_str())
        .bind(answer.created_at.0)
        .execute(&mut *inside)
        .await?;
    let kept = sqlx::query(
        "INSERT INTO idempotent_answers (caller, key_hash, request_hash, epoch, sealed, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (caller, key_hash) DO NOTHING",
    )
    .bind(answer.attempt.caller.as_str())
    .bind(answer.attempt.key.as_str())
    .bind(answer.attempt.request.as_str())
    .bind(i64::from(answer.epoch))
    .bind(answer.sealed.as_str())
    .bind(answer.expires_at.0)
    .execute(&mut *inside)
    .await?;
    Ok(kept.rows_affected() > 0)
}
