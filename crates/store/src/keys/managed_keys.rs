//! API keys as their owners manage them: current and former secret, last use.

use crate::account::step_ups::{beside, note_given};
use crate::bounded::InTransaction;
use crate::error::taken;
use crate::keys::idempotent_answers::keep;
use crate::keys::key_row::{insert, insert_origins, read, stored_hash};
use crate::row::Columns;
use crate::{Database, Result};
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_model::account::key_review::Given;
use bmap_model::account::step_up::SteppedUp;
use bmap_model::api_key::{KeyScope, SealedApiKey};
use bmap_model::audit::Event;
use bmap_model::clock::UnixTime;
use bmap_model::idempotency::SealedAnswer;
use bmap_model::keys::last_use::{LastUse, Way};
use bmap_model::keys::new_key::MAX_GRACE_SECONDS;
use bmap_model::keys::new_key::{NewKey, NewSecret};
use bmap_model::keys::{KeyRows, ManagedKey};
use bmap_protocol::ids::{ApiKeyId, UserId};
use sqlx::any::AnyRow;

/// The outcome of adding a key for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is there.
    Yes,
    /// The user is not active, or there is none.
    UserInactive,
    /// The user has as many as they may have.
    TooMany,
}

/// A key's row, its former one and its last use, by a condition.
macro_rules! select_keys {
    ($condition:literal) => {
        concat!(
            "SELECT k.id, k.user_id, k.name, k.signing, k.epoch, k.scope, k.stored_hash, k.sealed, k.created_at, \
             k.revoked_at, f.epoch AS former_epoch, f.scope AS former_scope, f.stored_hash AS former_hash, \
             f.sealed AS former_sealed, u.used_at, u.address, u.way \
             FROM api_keys k LEFT JOIN api_key_former f ON f.key_id = k.id LEFT JOIN api_key_uses u ON u.key_id = k.id ",
            $condition
        )
    };
}

/// API keys as their owners manage them.
impl Database {
    /// Adds one, if its user is active and has fewer than `most` that are not revoked; keeps the answer to the request with it, and uses
    /// the step-up up: [`crate::StoreError::StepUp`], and nothing is added, if another request was first.
    /// [`crate::StoreError::Taken`] with [`crate::ANSWER`], and nothing is added, if an answer to that request is kept already.
    pub async fn create_api_key(
        &self,
        new: &NewKey,
        most: u16,
        answer: Option<&SealedAnswer>,
        stepped_up: Option<&SteppedUp>,
    ) -> Result<Created> {
        let NewKey { key, scope, event, .. } = new;
        let mut transaction = self.pool.begin().await?;
        // First the user's row: of two requests that make a key for one user at once, one waits for the other, so the count
        // below holds, and a user who is being deactivated has either this key too, or does not get it.
        let active = sqlx::query("UPDATE users SET name = name WHERE id = $1 AND deactivated_at IS NULL")
            .bind(key.owner.as_str())
            .execute(&mut *transaction)
            .await?;
        if active.rows_affected() == 0 {
            return Ok(Created::UserInactive);
        }
        let live = sqlx::query("SELECT id FROM api_keys WHERE user_id = $1 AND revoked_at IS NULL LIMIT $2")
            .bind(key.owner.as_str())
            .bind(i64::from(most))
            .fetch_all(&mut *transaction)
            .await?;
        if live.len() >= usize::from(most) {
            return Ok(Created::TooMany);
        }
        beside(&mut transaction, stepped_up).await?;
        insert(&mut transaction, key).await?;
        note_given(&mut transaction, &key.id, Given::Made, stepped_up).await?;
        insert_origins(&mut transaction, &key.id, scope).await?;
        keep(&mut transaction, answer).await?;
        self.record(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(Created::Yes)
    }

    /// The key with that id.
    pub async fn managed_key(&self, id: &ApiKeyId) -> Result<Option<ManagedKey>> {
        let row = sqlx::query(select_keys!("WHERE k.id = $1")).bind(id.as_str()).fetch_optional(&self.pool).await?;
        row.as_ref().map(read_managed).transpose()
    }

    /// Keys behind one of them in the order of their ids, which is that of their making; of one user, or all.
    pub async fn managed_keys(
        &self,
        user: Option<&UserId>,
        after: Option<&ApiKeyId>,
        most: u16,
    ) -> Result<Vec<ManagedKey>> {
        let query = match user {
            Some(user) => sqlx::query(select_keys!("WHERE k.id > $1 AND k.user_id = $3 ORDER BY k.id LIMIT $2"))
                .bind(after.map_or("", ApiKeyId::as_str))
                .bind(i64::from(most))
                .bind(user.as_str()),
            None => sqlx::query(select_keys!("WHERE k.id > $1 ORDER BY k.id LIMIT $2"))
                .bind(after.map_or("", ApiKeyId::as_str))
                .bind(i64::from(most)),
        };
        query.fetch_all(&self.pool).await?.iter().map(read_managed).collect()
    }

    /// Puts a new secret in the place of the current one, and that one in the place of any former one; keeps the answer to the
    /// request with it. `false`, and nothing changes, if the key is not as it was read, or was revoked. Otherwise as
    /// [`create_api_key`](Self::create_api_key).
    pub async fn replace_secret(
        &self,
        new: &NewSecret,
        answer: Option<&SealedAnswer>,
        stepped_up: Option<&SteppedUp>,
    ) -> Result<bool> {
        let mut transaction = self.pool.begin().await?;
        beside(&mut transaction, stepped_up).await?;
        if !replace_current(&mut transaction, &new.before, &new.after.current).await? {
            return Ok(false);
        }
        sqlx::query("DELETE FROM api_key_former WHERE key_id = $1")
            .bind(new.before.id.as_str())
            .execute(&mut *transaction)
            .await?;
        if let Some(former) = &new.after.former {
            insert_former(&mut transaction, former, new.at).await?;
        }
        note_given(&mut transaction, &new.before.id, Given::NewSecret, stepped_up).await?;
        keep(&mut transaction, answer).await?;
        self.record(&mut transaction, &new.event).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Puts changed rows in the place of a key's rows, with the origins that it registers; `false`, and nothing changes, if they
    /// are not as they were read, or the key was revoked.
    pub async fn change_api_key(
        &self,
        before: &KeyRows,
        after: &KeyRows,
        scope: &KeyScope,
        stepped_up: Option<&SteppedUp>,
        event: &Event,
    ) -> Result<bool> {
        let mut transaction = self.pool.begin().await?;
        beside(&mut transaction, stepped_up).await?;
        // Every change of a key's rows, a new secret too, begins with this statement: one of two waits for the other, and finds
        // that the row is not the one that it read.
        if !replace_current(&mut transaction, &before.current, &after.current).await? {
            return Ok(false);
        }
        if let Some(former) = &before.former {
            let done = match &after.former {
                Some(changed) => sqlx::query(
                    "UPDATE api_key_former SET epoch = $1, scope = $2, sealed = $3 WHERE key_id = $4 AND sealed = $5",
                )
                .bind(i64::from(changed.epoch))
                .bind(changed.scope.as_str())
                .bind(changed.sealed.as_str())
                .bind(former.id.as_str())
                .bind(former.sealed.as_str())
                .execute(&mut *transaction)
                .await?,
                None => {
                    sqlx::query("DELETE FROM api_key_former WHERE key_id = $1 AND sealed = $2")
                        .bind(former.id.as_str())
                        .bind(former.sealed.as_str())
                        .execute(&mut *transaction)
                        .await?
                }
            };
            if done.rows_affected() == 0 {
                return Ok(false);
            }
        }
        sqlx::query("DELETE FROM api_key_origins WHERE key_id = $1")
            .bind(before.current.id.as_str())
            .execute(&mut *transaction)
            .await?;
        insert_origins(&mut transaction, &before.current.id, scope).await?;
        self.record(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Writes the last uses of some keys, where they are later than the stored ones.
    pub async fn write_last_uses(&self, uses: &[(ApiKeyId, LastUse)]) -> Result<()> {
        let mut transaction = self.pool.begin().await?;
        for (id, last_use) in uses {
            sqlx::query(
                "INSERT INTO api_key_uses (key_id, used_at, address, way) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (key_id) DO UPDATE SET used_at = excluded.used_at, address = excluded.address, \
                 way = excluded.way WHERE api_key_uses.used_at <= excluded.used_at",
            )
            .bind(id.as_str())
            .bind(last_use.at.0)
            .bind(last_use.address.to_string())
            .bind(last_use.way.as_str())
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Deletes former secrets whose grace has ended, whatever it was; how many.
    pub async fn delete_ended_former(&self, now: UnixTime) -> Result<u64> {
        // No grace is longer, whatever stands in the row's scope.
        let oldest = now.plus_seconds(MAX_GRACE_SECONDS.saturating_neg());
        let sql = "DELETE FROM api_key_former WHERE key_id IN \
                   (SELECT key_id FROM api_key_former WHERE replaced_at < $1 LIMIT $2)";
        self.delete_before(sql, oldest.0).await
    }
}

/// Puts another row in a key's place, if that is still as it was read and was not revoked; whether it was.
pub(crate) async fn replace_current(
    inside: &mut InTransaction,
    before: &SealedApiKey,
    after: &SealedApiKey,
) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE api_keys SET name = $1, epoch = $2, scope = $3, stored_hash = $4, sealed = $5 \
         WHERE id = $6 AND sealed = $7 AND revoked_at IS NULL",
    )
    .bind(after.name.as_str())
    .bind(i64::from(after.epoch))
    .bind(after.scope.as_str())
    .bind(Base64UrlUnpadded::encode_string(&after.stored_hash.0))
    .bind(after.sealed.as_str())
    .bind(before.id.as_str())
    .bind(before.sealed.as_str())
    .execute(&mut *inside)
    .await?;
    Ok(done.rows_affected() > 0)
}

async fn insert_former(inside: &mut InTransaction, former: &SealedApiKey, at: UnixTime) -> Result<()> {
    sqlx::query(
        "INSERT INTO api_key_former (key_id, epoch, scope, stored_hash, sealed, replaced_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(former.id.as_str())
    .bind(i64::from(former.epoch))
    .bind(former.scope.as_str())
    .bind(Base64UrlUnpadded::encode_string(&former.stored_hash.0))
    .bind(former.sealed.as_str())
    .bind(at.0)
    .execute(&mut *inside)
    .await
    .map_err(taken("former secret"))?;
    Ok(())
}

/// A key's row with its former one, by the columns that `former_…` names.
pub(crate) fn read_rows(row: &AnyRow) -> Result<KeyRows> {
    let current = read(row)?;
    let columns = Columns { table: "api_key_former", row };
    let former = match columns.optional_text("former_sealed")? {
        None => None,
        Some(sealed) => Some(SealedApiKey {
            epoch: columns.epoch("former_epoch")?,
            scope: columns.text("former_scope")?,
            stored_hash: columns.parsed("former_hash", stored_hash)?,
            sealed,
            ..current.clone()
        }),
    };
    Ok(KeyRows { current, former })
}

fn read_managed(row: &AnyRow) -> Result<ManagedKey> {
    let columns = Columns { table: "api_key_uses", row };
    let last_use = match columns.optional_time("used_at")? {
        None => None,
        Some(at) => Some(LastUse {
            at,
            address: columns.parsed("address", |text| text.parse().ok())?,
            way: columns.parsed("way", Way::from_word)?,
        }),
    };
    Ok(ManagedKey { rows: read_rows(row)?, last_use })
}
