//! Mail that waits to be sent.

use crate::bounded::InTransaction;
use crate::error::taken;
use crate::row::Columns;
use crate::{Database, Result};
use bmap_model::audit::Event;
use bmap_model::clock::UnixTime;
use bmap_model::mail::job::{MailId, SealedMailJob};
use sqlx::Row;

/// A mail that a worker has claimed.
#[derive(Clone, Debug)]
pub struct ClaimedMail {
    /// Its id.
    pub id: MailId,
    /// The epoch that it is sealed in.
    pub epoch: u32,
    /// The job, sealed.
    pub sealed: String,
    /// How often it was in hand, this time counted.
    pub attempts: i64,
    /// When it is of no use any more.
    pub expires_at: UnixTime,
}

const HOUR: i64 = 3_600_000;
/// How many hours later a notice is due at most.
const NOTICE_HOURS: i64 = 24;

/// Writes a mail down in a transaction; `false`, and it is not there, where its address was written to enough this hour
/// ([`Budget`](bmap_model::mail::budget::Budget)).
pub(crate) async fn queue(inside: &mut InTransaction, mail: &SealedMailJob) -> Result<bool> {
    if count(inside, mail, mail.created_at.0.div_euclid(HOUR)).await? > mail.budget.per_hour() {
        return Ok(false);
    }
    insert(inside, mail, mail.created_at.0, mail.expires_at.0).await?;
    Ok(true)
}

/// Writes down a notice that is not to be lost: where its address was written to enough this hour, it is due in the next hour that has room,
/// up to a day later; `false`, and it is not there, where none has.
pub(crate) async fn queue_notice(inside: &mut InTransaction, mail: &SealedMailJob) -> Result<bool> {
    let first = mail.created_at.0.div_euclid(HOUR);
    for later in 0..NOTICE_HOURS {
        let hour = first.saturating_add(later);
        if count(inside, mail, hour).await? > mail.budget.per_hour() {
            continue;
        }
        let due_at = hour.saturating_mul(HOUR).max(mail.created_at.0);
        let waits = due_at.saturating_sub(mail.created_at.0);
        insert(inside, mail, due_at, mail.expires_at.0.saturating_add(waits)).await?;
        return Ok(true);
    }
    Ok(false)
}

/// Counts a mail to its address in an hour; how many that makes.
async fn count(inside: &mut InTransaction, mail: &SealedMailJob, hour: i64) -> Result<i64> {
    let row = sqlx::query(
        "INSERT INTO mail_counts (recipient, hour, mails) VALUES ($1, $2, 1) \
         ON CONFLICT (recipient, hour) DO UPDATE SET mails = mail_counts.mails + 1 RETURNING mails",
    )
    .bind(mail.recipient.as_str())
    .bind(hour)
    .fetch_one(&mut *inside)
    .await?;
    Ok(row.try_get::<i64, _>("mails")?)
}

async fn insert(inside: &mut InTransaction, mail: &SealedMailJob, due_at: i64, expires_at: i64) -> Result<()> {
    sqlx::query(
        "INSERT INTO outbox (id, epoch, sealed, created_at, expires_at, due_at, attempts) \
         VALUES ($1, $2, $3, $4, $5, $6, 0)",
    )
    .bind(mail.id.as_str())
    .bind(i64::from(mail.epoch))
    .bind(mail.sealed.as_str())
    .bind(mail.created_at.0)
    .bind(expires_at)
    .bind(due_at)
    .execute(&mut *inside)
    .await
    .map_err(taken("mail"))?;
    Ok(())
}

/// Writes word of a change down, in its transaction; whether it is there. A change is made whether or not.
pub(crate) async fn queue_word(inside: &mut InTransaction, word: Option<&SealedMailJob>) -> Result<bool> {
    match word {
        Some(word) => queue(inside, word).await,
        None => Ok(false),
    }
}

/// Mail that waits to be sent.
impl Database {
    /// Writes a mail down; `false`, and it is not there, where its address was written to enough this hour.
    pub async fn queue_mail(&self, mail: &SealedMailJob, event: &Event) -> Result<bool> {
        let mut transaction = self.pool.begin().await?;
        if !queue(&mut transaction, mail).await? {
            return Ok(false);
        }
        self.record(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Takes some mails in hand that are due, the longest due first. Until `lease_end` no other worker gets them, and after it any
    /// may.
    pub async fn claim_mail(
        &self,
        claim: &str,
        now: UnixTime,
        lease_end: UnixTime,
        most: i64,
    ) -> Result<Vec<ClaimedMail>> {
        let due = sqlx::query("SELECT id, due_at FROM outbox WHERE due_at <= $1 ORDER BY due_at LIMIT $2")
            .bind(now.0)
            .bind(most)
            .fetch_all(&self.pool)
            .await?;
        let mut claimed = Vec::new();
        for row in &due {
            let columns = Columns { table: "outbox", row };
            // Of those who saw it due at that time, one writes the row; for the others it is due at another time by then.
            let row = sqlx::query(
                "UPDATE outbox SET due_at = $1, claim = $2, attempts = attempts + 1 WHERE id = $3 AND due_at = $4 \
                 RETURNING id, epoch, sealed, attempts, expires_at",
            )
            .bind(lease_end.0)
            .bind(claim)
            .bind(columns.text("id")?)
            .bind(columns.time("due_at")?.0)
            .fetch_optional(&self.pool)
            .await?;
            let Some(row) = &row else { continue };
            let columns = Columns { table: "outbox", row };
            claimed.push(ClaimedMail {
                id: columns.parsed("id", MailId::parse)?,
                epoch: columns.epoch("epoch")?,
                sealed: columns.text("sealed")?,
                attempts: row.try_get("attempts")?,
                expires_at: columns.time("expires_at")?,
            });
        }
        Ok(claimed)
    }

    /// Deletes a mail that is sent or given up; whether it still was in that hand.
    pub async fn finish_mail(&self, id: &MailId, claim: &str) -> Result<bool> {
        let done = sqlx::query("DELETE FROM outbox WHERE id = $1 AND claim = $2")
            .bind(id.as_str())
            .bind(claim)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Puts a mail back until then; whether it still was in that hand.
    pub async fn put_mail_back(&self, id: &MailId, claim: &str, due_at: UnixTime) -> Result<bool> {
        let done = sqlx::query("UPDATE outbox SET due_at = $1, claim = NULL WHERE id = $2 AND claim = $3")
            .bind(due_at.0)
            .bind(id.as_str())
            .bind(claim)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// How many mails wait, or are claimed by a worker.
    pub async fn mail_waiting(&self) -> Result<i64> {
        let row = sqlx::query("SELECT COUNT(*) AS waiting FROM outbox").fetch_one(&self.pool).await?;
        Ok(row.try_get("waiting")?)
    }

    /// When the oldest of these was asked for.
    pub async fn oldest_mail(&self) -> Result<Option<UnixTime>> {
        let row = sqlx::query("SELECT MIN(created_at) AS oldest FROM outbox").fetch_one(&self.pool).await?;
        Columns { table: "outbox", row: &row }.optional_time("oldest")
    }

    /// Deletes counts of hours that are over; how many.
    pub async fn delete_old_mail_counts(&self, now: UnixTime) -> Result<u64> {
        let sql = "DELETE FROM mail_counts WHERE (recipient, hour) IN \
                   (SELECT recipient, hour FROM mail_counts WHERE hour < $1 LIMIT $2)";
        self.delete_before(sql, now.0.div_euclid(HOUR)).await
    }

    /// Deletes mail whose time was over an hour ago, which no worker took in hand: none is configured any more. How many.
    pub async fn delete_ended_mail(&self, now: UnixTime) -> Result<u64> {
        let sql = "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE expires_at < $1 LIMIT $2)";
        self.delete_before(sql, now.0.saturating_sub(HOUR)).await
    }
}
