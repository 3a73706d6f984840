//! The issuer's own keys.

use crate::error::taken;
use crate::row::Columns;
use crate::{Database, Result};
use bmap_model::issuer_key::SealedIssuerKey;
use sqlx::any::AnyRow;

/// The issuer's own keys.
impl Database {
    /// Adds one.
    pub async fn add_issuer_key(&self, key: &SealedIssuerKey) -> Result<()> {
        sqlx::query("INSERT INTO issuer_keys (kid, epoch, public_key, sealed, created_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(key.kid.as_str())
            .bind(i64::from(key.epoch))
            .bind(key.public_key.as_str())
            .bind(key.sealed.as_str())
            .bind(key.created_at.0)
            .execute(&self.pool)
            .await
            .map_err(taken("issuer key"))?;
        Ok(())
    }

    /// Those that are not retired, newest first.
    pub async fn issuer_keys(&self) -> Result<Vec<SealedIssuerKey>> {
        sqlx::query(LIVE).fetch_all(&self.pool).await?.iter().map(read).collect()
    }
}

/// Those that are in use, newest first. The table is as the first migration made it, so this can be asked of a schema that is behind.
pub(crate) const LIVE: &str = "SELECT kid, epoch, public_key, sealed, created_at FROM issuer_keys WHERE retired_at IS NULL \
     ORDER BY created_at DESC, kid";

pub(crate) fn read(row: &AnyRow) -> Result<SealedIssuerKey> {
    let columns = Columns { table: "issuer_keys", row };
    Ok(SealedIssuerKey {
        kid: columns.text("kid")?,
        epoch: columns.epoch("epoch")?,
        public_key: columns.text("public_key")?,
        sealed: columns.text("sealed")?,
        created_at: columns.time("created_at")?,
    })
}
