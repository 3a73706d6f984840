//! Which rows need the root of which epoch, and the change from one to the next.

use super::sql_api_keys::{COLUMNS_OF_API_KEYS_BEFORE, read};
use super::sql_row::Columns;
use super::{Database, EpochUse, Epochs, Result};
use crate::domain::api_key::SealedApiKey;
use crate::domain::issuer_key::SealedIssuerKey;
use crate::domain::role::UnverifiedRole;
use crate::domain::user::User;
use bmap_protocol::ids::ApiKeyId;
use sqlx::Row;

impl Epochs for Database {
    async fn epochs_in_use(&self) -> Result<Vec<EpochUse>> {
        let rows = sqlx::query(
            "SELECT 'API keys' AS what, epoch, COUNT(*) AS number FROM api_keys GROUP BY epoch \
             UNION ALL SELECT 'former secrets of API keys', epoch, COUNT(*) FROM api_key_former GROUP BY epoch \
             UNION ALL SELECT 'issuer keys', epoch, COUNT(*) FROM issuer_keys WHERE retired_at IS NULL GROUP BY epoch \
             UNION ALL SELECT 'admins', role_epoch, COUNT(*) FROM users WHERE role_epoch IS NOT NULL GROUP BY role_epoch \
             UNION ALL SELECT 'audit keys', sealed_epoch, COUNT(*) FROM audit_keys GROUP BY sealed_epoch \
             UNION ALL SELECT 'kept answers', epoch, COUNT(*) FROM idempotent_answers GROUP BY epoch \
             UNION ALL SELECT 'mails', epoch, COUNT(*) FROM outbox GROUP BY epoch \
             UNION ALL SELECT 'password resets', epoch, COUNT(*) FROM password_resets GROUP BY epoch \
             UNION ALL SELECT 'changes of address', pepper_epoch, COUNT(*) FROM email_changes GROUP BY pepper_epoch \
             UNION ALL SELECT 'sign-ins', epoch, COUNT(*) FROM openid_flows GROUP BY epoch \
             UNION ALL SELECT 'codes', epoch, COUNT(*) FROM openid_codes GROUP BY epoch \
             UNION ALL SELECT 'passwords', pepper_epoch, COUNT(*) FROM accounts GROUP BY pepper_epoch \
             UNION ALL SELECT 'registrations', pepper_epoch, COUNT(*) FROM registrations GROUP BY pepper_epoch",
        )
        .fetch_all(&self.pool)
        .await?;
        let mut uses = Vec::with_capacity(rows.len());
        for row in &rows {
            let columns = Columns { table: "epochs in use", row };
            uses.push(EpochUse {
                what: columns.text("what")?,
                epoch: columns.epoch("epoch")?,
                rows: row.try_get("number")?,
            });
        }
        uses.sort_by(|a, b| (a.epoch, &a.what).cmp(&(b.epoch, &b.what)));
        Ok(uses)
    }

    async fn api_keys_before(&self, epoch: u32, after: Option<&ApiKeyId>, most: u16) -> Result<Vec<SealedApiKey>> {
        let rows = sqlx::query(COLUMNS_OF_API_KEYS_BEFORE)
            .bind(i64::from(epoch))
            .bind(after.map_or("", ApiKeyId::as_str))
            .bind(i64::from(most))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(read).collect()
    }

    async fn reseal_api_key(&self, key: &SealedApiKey, epoch: u32, sealed: &str) -> Result<bool> {
        let done = sqlx::query("UPDATE api_keys SET epoch = $1, sealed = $2 WHERE id = $3 AND sealed = $4")
            .bind(i64::from(epoch))
            .bind(sealed)
            .bind(key.id.as_str())
            .bind(key.sealed.as_str())
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn former_before(&self, epoch: u32, after: Option<&ApiKeyId>, most: u16) -> Result<Vec<SealedApiKey>> {
        let rows = sqlx::query(
            "SELECT k.id, k.user_id, k.name, k.signing, f.epoch, f.scope, f.stored_hash, f.sealed, k.created_at, \
             k.revoked_at FROM api_key_former f JOIN api_keys k ON k.id = f.key_id \
             WHERE f.epoch < $1 AND k.id > $2 ORDER BY k.id LIMIT $3",
        )
        .bind(i64::from(epoch))
        .bind(after.map_or("", ApiKeyId::as_str))
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read).collect()
    }

    async fn reseal_former(&self, key: &SealedApiKey, epoch: u32, sealed: &str) -> Result<bool> {
        let done = sqlx::query("UPDATE api_key_former SET epoch = $1, sealed = $2 WHERE key_id = $3 AND sealed = $4")
            .bind(i64::from(epoch))
            .bind(sealed)
            .bind(key.id.as_str())
            .bind(key.sealed.as_str())
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn reseal_role(&self, user: &User, role: &UnverifiedRole) -> Result<bool> {
        let before = &user.unverified_role;
        let done = sqlx::query(
            "UPDATE users SET role_epoch = $1, role_mac = $2 WHERE id = $3 AND role = $4 AND role_mac = $5",
        )
        .bind(role.epoch)
        .bind(role.mac.as_deref())
        .bind(user.id.as_str())
        .bind(before.role.as_str())
        .bind(before.mac.as_deref())
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn reseal_issuer_key(&self, key: &SealedIssuerKey, epoch: u32, sealed: &str) -> Result<bool> {
        let done = sqlx::query("UPDATE issuer_keys SET epoch = $1, sealed = $2 WHERE kid = $3 AND sealed = $4")
            .bind(i64::from(epoch))
            .bind(sealed)
            .bind(key.kid.as_str())
            .bind(key.sealed.as_str())
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() > 0)
    }
}
