//! Which rows need the root of which epoch, and the change from one to the next.

use super::sql_accounts::read as read_account;
use super::sql_api_keys::{COLUMNS_OF_API_KEYS_BEFORE, read};
use super::sql_idempotent_answers::read as read_answer;
use super::sql_openid::read_identity;
use super::sql_row::Columns;
use super::sql_tool_grants::read as read_grant;
use super::sql_user_sessions::{read as read_session, read_token};
use super::{Database, EpochUse, Epochs, Reseal, Result, SealedRow};
use crate::domain::account::opaque::TokenHash;
use crate::domain::account::refresh::RefreshRow;
use crate::domain::account::{Account, UserSession};
use crate::domain::api_key::SealedApiKey;
use crate::domain::idempotency::{Attempt, SealedAnswer};
use crate::domain::openid::{Identity, IdentityKey};
use crate::domain::session::SessionId;
use crate::domain::tool_grant::ToolGrant;
use bmap_protocol::ids::{ApiKeyId, ToolId, UserId};
use sqlx::Row;

impl Epochs for Database {
    async fn epochs_in_use(&self) -> Result<Vec<EpochUse>> {
        let rows = sqlx::query(
            "SELECT 'API keys' AS what, epoch, COUNT(*) AS number FROM api_keys GROUP BY epoch \
             UNION ALL SELECT 'former secrets of API keys', epoch, COUNT(*) FROM api_key_former GROUP BY epoch \
             UNION ALL SELECT 'issuer keys', epoch, COUNT(*) FROM issuer_keys WHERE retired_at IS NULL GROUP BY epoch \
             UNION ALL SELECT 'admins', role_epoch, COUNT(*) FROM users WHERE role_epoch IS NOT NULL GROUP BY role_epoch \
             UNION ALL SELECT 'sessions', epoch, COUNT(*) FROM user_sessions \
             WHERE epoch IS NOT NULL AND revoked_at IS NULL GROUP BY epoch \
             UNION ALL SELECT 'refresh tokens', r.epoch, COUNT(*) FROM refresh_tokens r JOIN user_sessions s \
             ON s.id = r.session_id WHERE r.epoch IS NOT NULL AND r.used_at IS NULL AND s.revoked_at IS NULL GROUP BY r.epoch \
             UNION ALL SELECT 'identities', epoch, COUNT(*) FROM openid_identities WHERE epoch IS NOT NULL GROUP BY epoch \
             UNION ALL SELECT 'tools', epoch, COUNT(*) FROM tools WHERE epoch IS NOT NULL GROUP BY epoch \
             UNION ALL SELECT 'grants', epoch, COUNT(*) FROM tool_grants WHERE epoch IS NOT NULL GROUP BY epoch \
             UNION ALL SELECT 'audit keys', sealed_epoch, COUNT(*) FROM audit_keys GROUP BY sealed_epoch \
             UNION ALL SELECT 'kept answers', epoch, COUNT(*) FROM idempotent_answers GROUP BY epoch \
             UNION ALL SELECT 'mails', epoch, COUNT(*) FROM outbox GROUP BY epoch \
             UNION ALL SELECT 'password resets', epoch, COUNT(*) FROM password_resets GROUP BY epoch \
             UNION ALL SELECT 'changes of address', pepper_epoch, COUNT(*) FROM email_changes GROUP BY pepper_epoch \
             UNION ALL SELECT 'key reviews', epoch, COUNT(*) FROM key_reviews WHERE epoch IS NOT NULL GROUP BY epoch \
             UNION ALL SELECT 'invitations', epoch, COUNT(*) FROM invitations WHERE epoch IS NOT NULL GROUP BY epoch \
             UNION ALL SELECT 'sign-ins', epoch, COUNT(*) FROM openid_flows GROUP BY epoch \
             UNION ALL SELECT 'codes', epoch, COUNT(*) FROM openid_codes GROUP BY epoch \
             UNION ALL SELECT 'passwords', pepper_epoch, COUNT(*) FROM accounts WHERE password <> '' GROUP BY pepper_epoch \
             UNION ALL SELECT 'accounts without a password', pepper_epoch, COUNT(*) FROM accounts WHERE password = '' \
             GROUP BY pepper_epoch \
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

    async fn user_sessions_before(&self, epoch: u32, after: Option<&SessionId>, most: u16) -> Result<Vec<UserSession>> {
        let rows = sqlx::query(
            "SELECT id AS session_id, user_id, created_at, expires_at, revoked_at, epoch, seal FROM user_sessions \
             WHERE epoch < $1 AND revoked_at IS NULL AND id > $2 ORDER BY id LIMIT $3",
        )
        .bind(i64::from(epoch))
        .bind(after.map_or("", SessionId::as_str))
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read_session).collect()
    }

    async fn refresh_tokens_before(&self, epoch: u32, after: Option<&TokenHash>, most: u16) -> Result<Vec<RefreshRow>> {
        let rows = sqlx::query(
            "SELECT r.hash, r.session_id, r.predecessor, r.used_at, r.salt, r.epoch AS token_epoch, r.seal AS token_seal \
             FROM refresh_tokens r JOIN user_sessions s ON s.id = r.session_id \
             WHERE r.epoch < $1 AND r.used_at IS NULL AND s.revoked_at IS NULL AND r.hash > $2 ORDER BY r.hash LIMIT $3",
        )
        .bind(i64::from(epoch))
        .bind(after.map_or("", TokenHash::as_str))
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read_token).collect()
    }

    async fn identities_before(&self, epoch: u32, after: Option<&IdentityKey>, most: u16) -> Result<Vec<Identity>> {
        let rows = sqlx::query(
            "SELECT issuer, subject, user_id, email, created_at, signed_in_at, epoch, seal FROM openid_identities \
             WHERE epoch < $1 AND (issuer > $2 OR (issuer = $2 AND subject > $3)) ORDER BY issuer, subject LIMIT $4",
        )
        .bind(i64::from(epoch))
        .bind(after.map_or("", |key| key.issuer.as_str()))
        .bind(after.map_or("", |key| key.subject.as_str()))
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read_identity).collect()
    }

    async fn tool_grants_before(
        &self,
        epoch: u32,
        after: Option<(&ToolId, &UserId)>,
        most: u16,
    ) -> Result<Vec<ToolGrant>> {
        let (after_tool, after_user) = after.map_or(("", ""), |(tool, user)| (tool.as_str(), user.as_str()));
        let rows = sqlx::query(
            "SELECT tool AS grant_tool, user_id AS grant_user, scopes AS grant_scopes, ends_at, given_by, given_at, \
             epoch AS grant_epoch, seal AS grant_seal FROM tool_grants \
             WHERE epoch < $1 AND (tool > $2 OR (tool = $2 AND user_id > $3)) ORDER BY tool, user_id LIMIT $4",
        )
        .bind(i64::from(epoch))
        .bind(after_tool)
        .bind(after_user)
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read_grant).collect()
    }

    async fn accounts_before(&self, epoch: u32, after: Option<&UserId>, most: u16) -> Result<Vec<Account>> {
        let rows = sqlx::query(
            "SELECT a.user_id, a.email, a.password, a.pepper_epoch, a.seal, a.created_at, u.deactivated_at \
             FROM accounts a JOIN users u ON u.id = a.user_id WHERE a.pepper_epoch < $1 AND a.user_id > $2 \
             ORDER BY a.user_id LIMIT $3",
        )
        .bind(i64::from(epoch))
        .bind(after.map_or("", UserId::as_str))
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read_account).collect()
    }

    async fn answers_before(&self, epoch: u32, after: Option<&Attempt>, most: u16) -> Result<Vec<SealedAnswer>> {
        let rows = sqlx::query(
            "SELECT caller, key_hash, request_hash, epoch, sealed, expires_at FROM idempotent_answers \
             WHERE epoch < $1 AND (caller > $2 OR (caller = $2 AND key_hash > $3)) ORDER BY caller, key_hash LIMIT $4",
        )
        .bind(i64::from(epoch))
        .bind(after.map_or("", |attempt| attempt.caller.as_str()))
        .bind(after.map_or("", |attempt| attempt.key.as_str()))
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read_answer).collect()
    }

    async fn reseal(&self, epoch: u32, seals: &[Reseal<'_>]) -> Result<u64> {
        if seals.is_empty() {
            return Ok(0);
        }
        let mut transaction = self.pool.begin().await?;
        let mut done: u64 = 0;
        for Reseal { row, before, seal } in seals {
            let (sql, key, rest) = update(row);
            let update = sqlx::query(sql).bind(i64::from(epoch)).bind(seal.as_str()).bind(*before).bind(key);
            let update = match rest {
                Some(rest) => update.bind(rest),
                None => update,
            };
            done = done.saturating_add(update.execute(&mut *transaction).await?.rows_affected());
        }
        transaction.commit().await?;
        Ok(done)
    }
}

/// The statement for a kind of row, and the row's key.
fn update<'a>(row: &SealedRow<'a>) -> (&'static str, &'a str, Option<&'a str>) {
    match row {
        SealedRow::ApiKey(id) => {
            ("UPDATE api_keys SET epoch = $1, sealed = $2 WHERE sealed = $3 AND id = $4", id.as_str(), None)
        }
        SealedRow::Former(id) => {
            ("UPDATE api_key_former SET epoch = $1, sealed = $2 WHERE sealed = $3 AND key_id = $4", id.as_str(), None)
        }
        SealedRow::IssuerKey(kid) => {
            ("UPDATE issuer_keys SET epoch = $1, sealed = $2 WHERE sealed = $3 AND kid = $4", *kid, None)
        }
        SealedRow::Role(id) => {
            ("UPDATE users SET role_epoch = $1, role_mac = $2 WHERE role_mac = $3 AND id = $4", id.as_str(), None)
        }
        SealedRow::UserSession(id) => {
            ("UPDATE user_sessions SET epoch = $1, seal = $2 WHERE seal = $3 AND id = $4", id.as_str(), None)
        }
        SealedRow::RefreshToken(hash) => {
            ("UPDATE refresh_tokens SET epoch = $1, seal = $2 WHERE seal = $3 AND hash = $4", hash.as_str(), None)
        }
        SealedRow::Identity(key) => (
            "UPDATE openid_identities SET epoch = $1, seal = $2 WHERE seal = $3 AND issuer = $4 AND subject = $5",
            key.issuer.as_str(),
            Some(key.subject.as_str()),
        ),
        SealedRow::Tool(id) => {
            ("UPDATE tools SET epoch = $1, seal = $2 WHERE seal = $3 AND id = $4", id.as_str(), None)
        }
        SealedRow::ToolGrant(tool, user) => (
            "UPDATE tool_grants SET epoch = $1, seal = $2 WHERE seal = $3 AND tool = $4 AND user_id = $5",
            tool.as_str(),
            Some(user.as_str()),
        ),
        SealedRow::Account(user) => (
            "UPDATE accounts SET pepper_epoch = $1, seal = $2 WHERE seal = $3 AND user_id = $4 AND password = ''",
            user.as_str(),
            None,
        ),
        SealedRow::Answer(attempt) => (
            "UPDATE idempotent_answers SET epoch = $1, sealed = $2 WHERE sealed = $3 AND caller = $4 AND key_hash = $5",
            attempt.caller.as_str(),
            Some(attempt.key.as_str()),
        ),
    }
}
