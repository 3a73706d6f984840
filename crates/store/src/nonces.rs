//! Used nonces: each (keyid, nonce) is accepted once by all issuers of one database (profile §5, step 11).
//!
//! A nonce is one statement that commits by itself, whatever becomes of the request after it. The database's own clock decides whether a
//! request is too old to be recorded, so issuers whose clocks differ decide alike. Requests at the same time share a statement and its
//! commit ([`super::batch_loader`]).

use super::address::Engine;
use super::{Database, Result};
use crate::portions::PORTION;
use crate::row::Columns;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::check::Window;
use bmap_protocol::refusal::Refusal;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

/// Records new nonces. Each is asked for by a text: 43 characters of key and nonce, then `until`. `{now}` stands for the database's time.
pub(crate) const USE: &str = "INSERT INTO used_nonces (id, until) \
     SELECT substr(w.column1, 1, 43), CAST(substr(w.column1, 44) AS BIGINT) FROM (VALUES {wanted}) AS w \
     WHERE CAST(substr(w.column1, 44) AS BIGINT) > {now} AND CAST(substr(w.column1, 44) AS BIGINT) > \
     (SELECT CAST(value AS BIGINT) FROM settings WHERE name = 'nonces_forgotten_until') \
     ON CONFLICT DO NOTHING RETURNING id || until AS wanted";

/// Seconds that a record lives, for a request as far ahead of its time as one may be.
pub(crate) const LONGEST: i64 = Window::DEFAULT.record_until(Window::DEFAULT.future as i64);

/// Seconds that a record stays after its end. A statement takes less, so none that began before the end can be overtaken by the clean-up.
const MARGIN: i64 = 60;

impl Engine {
    /// The statement with this engine's own clock, in whole seconds since 1970, as it shows when the statement runs.
    pub(crate) fn with_its_clock(self, sql: &str) -> String {
        sql.replace(
            "{now}",
            match self {
                Engine::Sqlite => "CAST(strftime('%s', 'now') AS BIGINT)",
                Engine::Postgres => "CAST(floor(extract(epoch FROM clock_timestamp())) AS BIGINT)",
            },
        )
    }
}

/// A row that was added says no more than that.
pub(crate) fn read(_: &AnyRow) -> Result<()> {
    Ok(())
}

/// Nonces of signed requests.
impl Database {
    /// Deletes those of requests that are over by the database's own clock; how many.
    pub async fn delete_ended_nonces(&self) -> Result<u64> {
        let (now, mut deleted) = (self.time().await?, 0_u64);
        loop {
            let mut transaction = self.pool.begin().await?;
            let row = sqlx::query(
                "SELECT MAX(until) AS until FROM (SELECT until FROM used_nonces WHERE until < $1 ORDER BY until LIMIT $2) AS ended",
            )
            .bind(now.saturating_sub(MARGIN))
            .bind(PORTION)
            .fetch_one(&mut *transaction)
            .await?;
            let Some(until) = row.try_get::<Option<i64>, _>("until")? else { return Ok(deleted) };
            // Before a record is deleted, its request is refused for good: a clock that goes back changes nothing.
            sqlx::query(
                "UPDATE settings SET value = CAST($1 AS TEXT) \
                 WHERE name = 'nonces_forgotten_until' AND CAST(value AS BIGINT) < $1",
            )
            .bind(until)
            .execute(&mut *transaction)
            .await?;
            let done = sqlx::query(
                "DELETE FROM used_nonces WHERE id IN (SELECT id FROM used_nonces WHERE until <= $1 ORDER BY until LIMIT $2)",
            )
            .bind(until)
            .bind(PORTION)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            transaction.commit().await?;
            deleted = deleted.saturating_add(done);
        }
    }
}

impl Database {
    /// Uses up one nonce, at the database's time, in a commit of its own. `key` and `nonce` are the replay record's 16 bytes each; `until` is
    /// the second in which the request is over.
    ///
    /// # Errors
    /// [`Refusal::Replayed`], [`Refusal::BeforeStart`], [`Refusal::ClockUnreliable`], or [`Refusal::ReplayStoreUnavailable`] where the database
    /// does not answer.
    pub async fn use_nonce(&self, key: [u8; 16], nonce: [u8; 16], until: i64) -> std::result::Result<(), Refusal> {
        let id = id(key, nonce);
        match self.loaders.nonces.get(&self.pool, &format!("{id}{until}")).await {
            Ok(Some(())) => Ok(()),
            // Seldom, and only for a request that holds: so this may ask once more.
            Ok(None) => Err(self.why_not(&id, until).await.unwrap_or_else(unavailable)),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Why a nonce was not recorded: it was used, or the database can't know whether it was.
    async fn why_not(&self, id: &str, until: i64) -> Result<Refusal> {
        let used = sqlx::query("SELECT id FROM used_nonces WHERE id = $1").bind(id).fetch_optional(&self.pool).await?;
        if used.is_some() {
            return Ok(Refusal::Replayed);
        }
        let now = self.time().await?;
        if until > now {
            // Records of that time are gone: the clock went back, or this server has taken the place of another. The difference of the
            // two is how long it lasts, as for a restart.
            let row = sqlx::query(
                "SELECT CAST(value AS BIGINT) AS until FROM settings WHERE name = 'nonces_forgotten_until'",
            );
            let row = row.fetch_one(&self.pool).await?;
            let forgot_until = Columns { table: "settings", row: &row }.number("until")?;
            return Ok(Refusal::BeforeStart { created: until, forgot_until });
        }
        tracing::warn!(
            "a request that this machine's clock let through was over by the database's at {until}, which shows {now}"
        );
        Ok(Refusal::ClockUnreliable { now: until, seen: now })
    }

    /// The database's time, in seconds since 1970.
    async fn time(&self) -> Result<i64> {
        let sql = self.engine.with_its_clock("SELECT {now} AS now");
        let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&self.pool).await?;
        Columns { table: "now", row: &row }.number("now")
    }
}

fn id(key: [u8; 16], nonce: [u8; 16]) -> String {
    let mut bytes = [0; 32];
    let (first, second) = bytes.split_at_mut(16);
    first.copy_from_slice(&key);
    second.copy_from_slice(&nonce);
    Base64UrlUnpadded::encode_string(&bytes)
}

fn unavailable(error: super::StoreError) -> Refusal {
    tracing::warn!("used nonces: {error}");
    Refusal::ReplayStoreUnavailable
}
