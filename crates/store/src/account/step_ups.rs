//! Step-ups, and the keys that a user looks through after a password was set.

use crate::account::outbox::queue_notice;
use crate::bounded::InTransaction;
use crate::row::{Columns, epoch_of, mac_of};
use crate::{Database, Result, StoreError};
use bmap_model::account::SessionProof;
use bmap_model::account::key_review::{Given, GivenKey, ReviewRow, Span};
use bmap_model::account::opaque::TokenHash;
use bmap_model::account::step_up::{StepUpRow, SteppedUp};
use bmap_model::audit::{Event, Target};
use bmap_model::clock::UnixTime;
use bmap_model::session::SessionId;
use bmap_model::user::UserName;
use bmap_protocol::ids::{ApiKeyId, UserId};
use sqlx::any::AnyRow;

/// Keys that are shown at most: a user has no more that are not revoked.
const MOST_GIVEN: i64 = 100;

/// Uses a step-up up and queues its notices, in the transaction of the act; without one, the act is the operator's. Of two acts with one
/// step-up, one waits here for the other and finds the row gone.
pub(crate) async fn beside(inside: &mut InTransaction, stepped_up: Option<&SteppedUp>) -> Result<()> {
    let Some(SteppedUp { hash, user, session, at, notices, .. }) = stepped_up else { return Ok(()) };
    let used = sqlx::query(
        "DELETE FROM step_ups WHERE hash = $1 AND user_id = $2 AND session_id = $3 AND expires_at > $4 AND EXISTS \
         (SELECT 1 FROM user_sessions s WHERE s.id = $3 AND s.revoked_at IS NULL AND s.expires_at > $4)",
    )
    .bind(hash.as_str())
    .bind(user.as_str())
    .bind(session.as_str())
    .bind(at.0)
    .execute(&mut *inside)
    .await?;
    if used.rows_affected() == 0 {
        return Err(StoreError::StepUp);
    }
    for (to, mail) in notices {
        if !queue_notice(inside, mail).await? {
            tracing::warn!(email = %to, "a notice is not mailed: too many wait for this address");
        }
    }
    Ok(())
}

/// Notes that a key was made or given a new secret over HTTP.
pub(crate) async fn note_given(
    inside: &mut InTransaction,
    key: &ApiKeyId,
    given: Given,
    stepped_up: Option<&SteppedUp>,
) -> Result<()> {
    let Some(SteppedUp { at, address, .. }) = stepped_up else { return Ok(()) };
    sqlx::query(
        "INSERT INTO secrets_given (key_id, act, given_at, address) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (key_id) DO UPDATE SET act = excluded.act, given_at = excluded.given_at, address = excluded.address",
    )
    .bind(key.as_str())
    .bind(given.as_str())
    .bind(at.0)
    .bind(address.map(|address| address.to_string()))
    .execute(&mut *inside)
    .await?;
    Ok(())
}

/// Adds a step-up, in the transaction of what proved the user.
pub(crate) async fn insert_step_up(inside: &mut InTransaction, row: &StepUpRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO step_ups (hash, user_id, session_id, expires_at, epoch, seal) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(row.hash.as_str())
    .bind(row.user.as_str())
    .bind(row.session.as_str())
    .bind(row.expires_at.0)
    .bind(epoch_of(&row.seal))
    .bind(mac_of(&row.seal))
    .execute(&mut *inside)
    .await?;
    Ok(())
}

/// Adds the token that the answer to a reset revokes keys with, in the transaction of the reset.
pub(crate) async fn insert_review(inside: &mut InTransaction, row: &ReviewRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO key_reviews (hash, user_id, since, until, expires_at, epoch, seal) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(row.hash.as_str())
    .bind(row.span.user.as_str())
    .bind(row.span.since.0)
    .bind(row.span.until.0)
    .bind(row.expires_at.0)
    .bind(epoch_of(&row.seal))
    .bind(mac_of(&row.seal))
    .execute(&mut *inside)
    .await?;
    Ok(())
}

/// One-use tokens of users who entered their password a moment ago.
impl Database {
    /// Adds one; `false` if the proof does not hold any more, or the session has ended.
    pub async fn add_step_up(
        &self,
        row: &StepUpRow,
        proof: SessionProof<'_>,
        now: UnixTime,
        event: &Event,
    ) -> Result<bool> {
        let mut transaction = self.pool.begin().await?;
        // The proof's row first, then the session's, as a change of the password writes them: of the two, one waits for the other.
        let known = match proof {
            SessionProof::Password(password) => {
                sqlx::query("UPDATE accounts SET signed_in_at = $1 WHERE user_id = $2 AND password = $3")
                    .bind(now.0)
                    .bind(row.user.as_str())
                    .bind(password.phc.as_str())
            }
            SessionProof::Openid { key, .. } => sqlx::query(
                "UPDATE openid_identities SET signed_in_at = $1 WHERE user_id = $2 AND issuer = $3 AND subject = $4",
            )
            .bind(now.0)
            .bind(row.user.as_str())
            .bind(key.issuer.as_str())
            .bind(key.subject.as_str()),
        };
        let known = known.execute(&mut *transaction).await?;
        let session = sqlx::query(
            "UPDATE user_sessions SET user_id = user_id WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL \
             AND expires_at > $3",
        )
        .bind(row.session.as_str())
        .bind(row.user.as_str())
        .bind(now.0)
        .execute(&mut *transaction)
        .await?;
        if known.rows_affected() == 0 || session.rows_affected() == 0 {
            return Ok(false);
        }
        insert_step_up(&mut transaction, row).await?;
        self.record(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// The one with that hash, if it was not used.
    pub async fn step_up(&self, token: &TokenHash) -> Result<Option<StepUpRow>> {
        let row =
            sqlx::query("SELECT hash, user_id, session_id, expires_at, epoch, seal FROM step_ups WHERE hash = $1")
                .bind(token.as_str())
                .fetch_optional(&self.pool)
                .await?;
        row.as_ref().map(read_step_up).transpose()
    }

    /// Uses one up in a transaction of its own, with its notices. [`StoreError::StepUp`](crate::StoreError::StepUp) if it was used or its
    /// session has ended.
    pub async fn use_step_up(&self, stepped_up: &SteppedUp) -> Result<()> {
        let mut transaction = self.pool.begin().await?;
        beside(&mut transaction, Some(stepped_up)).await?;
        Ok(transaction.commit().await?)
    }

    /// Deletes those that have ended; how many.
    pub async fn delete_ended_step_ups(&self, now: UnixTime) -> Result<u64> {
        let sql = "DELETE FROM step_ups WHERE hash IN (SELECT hash FROM step_ups WHERE expires_at < $1 LIMIT $2)";
        self.delete_before(sql, now.0).await
    }
}

/// Which keys were made or given a new secret when.
impl Database {
    /// When a link that was mailed to the user's address last set the password; else when the user was made.
    pub async fn mailbox_proved_at(&self, user: &UserId) -> Result<UnixTime> {
        let row = sqlx::query(
            "SELECT COALESCE(a.reset_at, u.created_at) AS proved_at FROM users u \
             LEFT JOIN accounts a ON a.user_id = u.id WHERE u.id = $1",
        )
        .bind(user.as_str())
        .fetch_one(&self.pool)
        .await?;
        Columns { table: "accounts", row: &row }.time("proved_at")
    }

    /// The keys of a span that were not revoked, latest first.
    pub async fn given_keys(&self, span: &Span) -> Result<Vec<GivenKey>> {
        let rows = sqlx::query(
            "SELECT k.id, k.name, g.act, g.given_at, g.address FROM api_keys k JOIN secrets_given g ON g.key_id = k.id \
             WHERE k.user_id = $1 AND k.revoked_at IS NULL AND g.given_at >= $2 AND g.given_at <= $3 \
             ORDER BY g.given_at DESC, k.id DESC LIMIT $4",
        )
        .bind(span.user.as_str())
        .bind(span.since.0)
        .bind(span.until.0)
        .bind(MOST_GIVEN)
        .fetch_all(&self.pool)
        .await?;
        let read = |row| {
            let columns = Columns { table: "secrets_given", row };
            Ok(GivenKey {
                id: columns.parsed("id", |text| ApiKeyId::parse(text).ok())?,
                name: columns.parsed("name", |text| UserName::parse(text).ok())?,
                given: columns.parsed("act", Given::from_word)?,
                at: columns.time("given_at")?,
                address: columns.optional("address", |text| text.parse().ok())?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// The keys that the token of a reset's answer revokes, if it has not ended.
    pub async fn key_review(&self, token: &TokenHash, now: UnixTime) -> Result<Option<ReviewRow>> {
        let row = sqlx::query(
            "SELECT hash, user_id, since, until, expires_at, epoch, seal FROM key_reviews \
             WHERE hash = $1 AND expires_at > $2",
        )
        .bind(token.as_str())
        .bind(now.0)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(read_review).transpose()
    }

    /// Revokes those of these keys that are the user's and were not revoked, in one transaction; which ones. The event is recorded of each.
    pub async fn revoke_api_keys(
        &self,
        user: &UserId,
        keys: &[ApiKeyId],
        at: UnixTime,
        event: &Event,
    ) -> Result<Vec<ApiKeyId>> {
        let mut transaction = self.pool.begin().await?;
        let mut revoked = Vec::new();
        // In one order, so that two such calls don't wait for each other for ever.
        let mut keys: Vec<&ApiKeyId> = keys.iter().collect();
        keys.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        for key in keys {
            let done = sqlx::query(
                "UPDATE api_keys SET revoked_at = $1 WHERE id = $2 AND user_id = $3 AND revoked_at IS NULL",
            )
            .bind(at.0)
            .bind(key.as_str())
            .bind(user.as_str())
            .execute(&mut *transaction)
            .await?;
            if done.rows_affected() == 0 {
                continue;
            }
            sqlx::query("DELETE FROM api_key_former WHERE key_id = $1")
                .bind(key.as_str())
                .execute(&mut *transaction)
                .await?;
            revoked.push(key.clone());
        }
        let target = |key: &ApiKeyId| Target::ApiKey { key: key.clone(), owner: user.clone() };
        let events: Vec<Event> = revoked.iter().map(|key| event.clone().on(target(key))).collect();
        self.record_all(&mut transaction, &events.iter().collect::<Vec<_>>()).await?;
        transaction.commit().await?;
        Ok(revoked)
    }

    /// Deletes reviews that have ended; how many.
    pub async fn delete_ended_key_reviews(&self, now: UnixTime) -> Result<u64> {
        let sql = "DELETE FROM key_reviews WHERE hash IN (SELECT hash FROM key_reviews WHERE expires_at < $1 LIMIT $2)";
        self.delete_before(sql, now.0).await
    }
}

pub(crate) fn read_step_up(row: &AnyRow) -> Result<StepUpRow> {
    let columns = Columns { table: "step_ups", row };
    Ok(StepUpRow {
        hash: columns.parsed("hash", TokenHash::from_stored)?,
        user: columns.parsed("user_id", |text| UserId::parse(text).ok())?,
        session: columns.parsed("session_id", SessionId::parse)?,
        expires_at: columns.time("expires_at")?,
        seal: columns.seal("epoch", "seal")?,
    })
}

pub(crate) fn read_review(row: &AnyRow) -> Result<ReviewRow> {
    let columns = Columns { table: "key_reviews", row };
    Ok(ReviewRow {
        hash: columns.parsed("hash", TokenHash::from_stored)?,
        span: Span {
            user: columns.parsed("user_id", |text| UserId::parse(text).ok())?,
            since: columns.time("since")?,
            until: columns.time("until")?,
        },
        expires_at: columns.time("expires_at")?,
        seal: columns.seal("epoch", "seal")?,
    })
}
