//! API keys.

use super::bounded::InTransaction;
use super::connect::taken;
use super::sql_managed_keys::read_rows;
use super::sql_row::Columns;
use super::sql_users::read_owner;
use super::{ApiKeys, Database, Result};
use crate::clock::UnixMillis;
use crate::domain::api_key::{KeyScope, KeyState, SealedApiKey};
use crate::domain::audit::{Event, Target};
use crate::domain::keys::OwnedKey;
use crate::domain::user::UserName;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::api_key::StoredHash;
use bmap_protocol::ids::{ApiKeyId, UserId};
use bmap_protocol::origin::Origin;
use bmap_protocol::seal::SigningKind;
use sqlx::any::AnyRow;
use std::collections::BTreeSet;

/// The keys of earlier epochs, behind an id, in the order of their ids.
pub(super) const COLUMNS_OF_API_KEYS_BEFORE: &str = "SELECT id, user_id, name, signing, epoch, scope, stored_hash, sealed, created_at, revoked_at \
     FROM api_keys WHERE epoch < $1 AND id > $2 ORDER BY id LIMIT $3";

/// For each of some ids one key with its user: that one, or where there is none, another.
pub(super) const KEYS_OR_OTHERS: &str = "SELECT w.column1 AS wanted, k.id, k.user_id, k.name, k.signing, k.epoch, k.scope, \
     k.stored_hash, k.sealed, k.created_at, k.revoked_at, f.epoch AS former_epoch, f.scope AS former_scope, \
     f.stored_hash AS former_hash, f.sealed AS former_sealed, u.id AS owner_id, u.name AS owner_name, \
     u.created_at AS owner_created_at, u.deactivated_at AS owner_deactivated_at, u.role AS owner_role, \
     u.role_epoch AS owner_role_epoch, u.role_mac AS owner_role_mac FROM (VALUES {wanted}) AS w \
     JOIN api_keys k ON k.id = CASE WHEN EXISTS (SELECT 1 FROM api_keys WHERE id = w.column1) THEN w.column1 \
     ELSE (SELECT MIN(id) FROM api_keys) END LEFT JOIN api_key_former f ON f.key_id = k.id \
     LEFT JOIN users u ON u.id = k.user_id WHERE w.column1 IS NOT NULL";

impl ApiKeys for Database {
    async fn add_api_key(&self, key: &SealedApiKey, scope: &KeyScope, event: &Event) -> Result<()> {
        let mut transaction = self.pool.begin().await?;
        insert(&mut transaction, key).await?;
        insert_origins(&mut transaction, &key.id, scope).await?;
        self.record(&mut transaction, event).await?;
        Ok(transaction.commit().await?)
    }

    async fn api_key(&self, id: &ApiKeyId) -> Result<Option<SealedApiKey>> {
        let row = sqlx::query(
            "SELECT id, user_id, name, signing, epoch, scope, stored_hash, sealed, created_at, revoked_at \
             FROM api_keys WHERE id = $1",
        )
        .bind(id.as_str())
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(read).transpose()
    }

    async fn api_key_or_another(&self, id: &ApiKeyId) -> Result<Option<OwnedKey>> {
        self.loaders.keys.get(&self.pool, id.as_str()).await
    }

    async fn api_keys(&self) -> Result<Vec<SealedApiKey>> {
        let rows = sqlx::query(
            "SELECT id, user_id, name, signing, epoch, scope, stored_hash, sealed, created_at, revoked_at \
             FROM api_keys ORDER BY id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read).collect()
    }

    async fn revoke_api_key(&self, id: &ApiKeyId, at: UnixMillis, event: &Event) -> Result<bool> {
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

    async fn is_registered_origin(&self, origin: &Origin, now: UnixMillis) -> Result<bool> {
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

/// Writes a key's row.
pub(super) async fn insert(inside: &mut InTransaction, key: &SealedApiKey) -> Result<()> {
    let revoked_at = match key.state {
        KeyState::Active => None,
        KeyState::Revoked { at } => Some(at.0),
    };
    sqlx::query(
        "INSERT INTO api_keys (id, user_id, name, signing, epoch, scope, stored_hash, sealed, created_at, revoked_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(key.id.as_str())
    .bind(key.owner.as_str())
    .bind(key.name.as_str())
    .bind(key.signing.as_str())
    .bind(i64::from(key.epoch))
    .bind(key.scope.as_str())
    .bind(Base64UrlUnpadded::encode_string(&key.stored_hash.0))
    .bind(key.sealed.as_str())
    .bind(key.created_at.0)
    .bind(revoked_at)
    .execute(&mut *inside)
    .await
    .map_err(taken("API key"))?;
    Ok(())
}

/// Writes the origins that a key registers, each once.
pub(super) async fn insert_origins(inside: &mut InTransaction, id: &ApiKeyId, scope: &KeyScope) -> Result<()> {
    for origin in scope.origins.iter().collect::<BTreeSet<_>>() {
        sqlx::query("INSERT INTO api_key_origins (origin, key_id, expires_at) VALUES ($1, $2, $3)")
            .bind(origin.as_str())
            .bind(id.as_str())
            .bind(scope.expires_at)
            .execute(&mut *inside)
            .await?;
    }
    Ok(())
}

pub(super) fn read(row: &AnyRow) -> Result<SealedApiKey> {
    let columns = Columns { table: "api_keys", row };
    Ok(SealedApiKey {
        id: columns.parsed("id", |text| ApiKeyId::parse(text).ok())?,
        owner: columns.parsed("user_id", |text| UserId::parse(text).ok())?,
        name: columns.parsed("name", UserName::stored)?,
        signing: columns.parsed("signing", signing_kind)?,
        epoch: columns.epoch("epoch")?,
        scope: columns.text("scope")?,
        stored_hash: columns.parsed("stored_hash", stored_hash)?,
        sealed: columns.text("sealed")?,
        created_at: columns.time("created_at")?,
        state: match columns.optional_time("revoked_at")? {
            None => KeyState::Active,
            Some(at) => KeyState::Revoked { at },
        },
    })
}

pub(super) fn read_owned(row: &AnyRow) -> Result<OwnedKey> {
    Ok(OwnedKey { rows: read_rows(row)?, owner: read_owner(row)? })
}

fn signing_kind(text: &str) -> Option<SigningKind> {
    [SigningKind::HmacSha256, SigningKind::Ed25519].into_iter().find(|kind| kind.as_str() == text)
}

pub(super) fn stored_hash(text: &str) -> Option<StoredHash> {
    let mut hash = [0; 32];
    let decoded = Base64UrlUnpadded::decode(text, &mut hash).ok()?.len();
    (decoded == 32).then_some(StoredHash(hash))
}
