//! API keys.

use crate::account::users::read_owner;
use crate::keys::key_row::{insert, insert_origins, read};
use crate::keys::managed_keys::read_rows;
use crate::row::Columns;
use crate::{Database, Result};
use bmap_model::api_key::{KeyScope, SealedApiKey};
use bmap_model::audit::{Event, Target};
use bmap_model::clock::UnixTime;
use bmap_model::keys::OwnedKey;
use bmap_protocol::ids::{ApiKeyId, UserId};
use bmap_protocol::origin::Origin;
use sqlx::any::AnyRow;

/// The keys of earlier epochs, behind an id, in the order of their ids.
pub(crate) const COLUMNS_OF_API_KEYS_BEFORE: &str = "SELECT id, user_id, name, signing, epoch, scope, stored_hash, sealed, created_at, revoked_at \
     FROM api_keys WHERE epoch < $1 AND id > $2 ORDER BY id LIMIT $3";

/// For each of some ids one key with its user: that one, or where there is none, another.
pub(crate) const KEYS_OR_OTHERS: &str = "SELECT w.column1 AS wanted, k.id, k.user_id, k.name, k.signing, k.epoch, k.scope, \
     k.stored_hash, k.sealed, k.created_at, k.revoked_at, f.epoch AS former_epoch, f.scope AS former_scope, \
     f.stored_hash AS former_hash, f.sealed AS former_sealed, u.id AS owner_id, u.name AS owner_name, \
     u.created_at AS owner_created_at, u.deactivated_at AS owner_deactivated_at, u.role AS owner_role, \
     u.role_epoch AS owner_role_epoch, u.role_mac AS owner_role_mac FROM (VALUES {wanted}) AS w \
     JOIN api_keys k ON k.id = CASE WHEN EXISTS (SELECT 1 FROM api_keys WHERE id = w.column1) THEN w.column1 \
     ELSE (SELECT MIN(id) FROM api_keys) END LEFT JOIN api_key_former f ON f.key_id = k.id \
     LEFT JOIN users u ON u.id = k.user_id WHERE w.column1 IS NOT NULL";

/// API keys.
impl Database {
    /// Adds one; `scope` says which origins it registers.
    pub async fn add_api_key(&self, key: &SealedApiKey, scope: &KeyScope, event: &Event) -> Result<()> {
        let mut transaction = self.pool.begin().await?;
        insert(&mut transaction, key).await?;
        insert_origins(&mut transaction, &key.id, scope).await?;
        self.record(&mut transaction, event).await?;
        Ok(transaction.commit().await?)
    }

    /// The row with that id.
    pub async fn api_key(&self, id: &ApiKeyId) -> Result<Option<SealedApiKey>> {
        let row = sqlx::query(
            "SELECT id, user_id, name, signing, epoch, scope, stored_hash, sealed, created_at, revoked_at \
             FROM api_keys WHERE id = $1",
        )
        .bind(id.as_str())
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(read).transpose()
    }

    /// The key with that id; where there is none, another one, so that reading costs the same (R31). `None` without any row.
    pub async fn api_key_or_another(&self, id: &ApiKeyId) -> Result<Option<OwnedKey>> {
        self.loaders.keys.get(&self.pool, id.as_str()).await
    }

    /// All rows, oldest first.
    pub async fn api_keys(&self) -> Result<Vec<SealedApiKey>> {
        let rows = sqlx::query(
            "SELECT id, user_id, name, signing, epoch, scope, stored_hash, sealed, created_at, revoked_at \
             FROM api_keys ORDER BY id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read).collect()
    }

    /// Revokes; whether there is such a key. A second time changes nothing.
    pub async fn revoke_api_key(&self, id: &ApiKeyId, at: UnixTime, event: &Event) -> Result<bool> {
        let mut transaction = self.pool.begin().await?;
        let revoked =
            sqlx::query("UPDATE api_keys SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL RETURNING user_id")
                .bind(at.0)
                .bind(id.as_str())
                .fetch_optional(&mut *transaction)
                .await?;
        let Some(row) = &revoked else {
            drop(transaction);
            return Ok(self.api_key(id).await?.is_some());
        };
        let columns = Columns { table: "api_keys", row };
        let owner = columns.parsed("user_id", |text| UserId::parse(text).ok())?;
        sqlx::query("DELETE FROM api_key_former WHERE key_id = $1")
            .bind(id.as_str())
            .execute(&mut *transaction)
            .await?;
        let event = event.clone().on(Target::ApiKey { key: id.clone(), owner });
        self.record(&mut transaction, &event).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Whether a key that has not ended registered this origin. A key that was revoked, or whose user was deactivated, still counts:
    /// this decides who may read an answer, and a page must be able to read that answer's `key_revoked` or `user_inactive`.
    pub async fn is_registered_origin(&self, origin: &Origin, now: UnixTime) -> Result<bool> {
        let row = sqlx::query(
            "SELECT o.key_id FROM api_key_origins o \
             WHERE o.origin IN ($1, $3) AND (o.expires_at IS NULL OR o.expires_at > $2) LIMIT 1",
        )
        .bind(origin.as_str())
        .bind(now.seconds())
        .bind(origin.wildcard().as_ref().unwrap_or(origin).as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.is_some())
    }
}

pub(crate) fn read_owned(row: &AnyRow) -> Result<OwnedKey> {
    Ok(OwnedKey { rows: read_rows(row)?, owner: read_owner(row)? })
}
