//! The row of an API key: written, and read back.

use crate::Result;
use crate::bounded::InTransaction;
use crate::error::taken;
use crate::row::Columns;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_model::api_key::{KeyScope, KeyState, SealedApiKey};
use bmap_model::user::UserName;
use bmap_protocol::api_key::StoredHash;
use bmap_protocol::ids::{ApiKeyId, UserId};
use bmap_protocol::seal::SigningKind;
use sqlx::any::AnyRow;
use std::collections::BTreeSet;

/// Writes a key's row.
pub(crate) async fn insert(inside: &mut InTransaction, key: &SealedApiKey) -> Result<()> {
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
pub(crate) async fn insert_origins(inside: &mut InTransaction, id: &ApiKeyId, scope: &KeyScope) -> Result<()> {
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

pub(crate) fn read(row: &AnyRow) -> Result<SealedApiKey> {
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

fn signing_kind(text: &str) -> Option<SigningKind> {
    [SigningKind::HmacSha256, SigningKind::Ed25519].into_iter().find(|kind| kind.as_str() == text)
}

pub(crate) fn stored_hash(text: &str) -> Option<StoredHash> {
    let mut hash = [0; 32];
    let decoded = Base64UrlUnpadded::decode(text, &mut hash).ok()?.len();
    (decoded == 32).then_some(StoredHash(hash))
}
