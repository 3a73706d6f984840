//! Which rows need the root of which epoch, and the change from one to the next.

use super::{Database, EpochUse, Reseal, Result, SealedRow};
use crate::account::accounts::read as read_account;
use crate::account::user_sessions::{read as read_session, read_token};
use crate::keys::api_keys::COLUMNS_OF_API_KEYS_BEFORE;
use crate::keys::idempotent_answers::read as read_answer;
use crate::keys::key_row::read;
use crate::openid_identities::read_identity;
use crate::row::Columns;
use crate::tools::grants::read as read_grant;
use bmap_model::account::opaque::TokenHash;
use bmap_model::account::refresh::RefreshRow;
use bmap_model::account::{Account, UserSession};
use bmap_model::api_key::SealedApiKey;
use bmap_model::idempotency::{Attempt, SealedAnswer};
use bmap_model::openid::{Identity, IdentityKey};
use bmap_model::session::SessionId;
use bmap_model::tool_grant::ToolGrant;
use bmap_protocol::ids::{ApiKeyId, ToolId, UserId};
use sqlx::Row;
use sqlx::any::AnyRow;

/// Rows by the epoch that seals them. The lists are of rows of epochs before `epoch`, behind `after` in the order of their keys, at
/// most so many.
impl Database {
    /// Which rows need which root, oldest epoch first.
    pub async fn epochs_in_use(&self) -> Result<Vec<EpochUse>> {
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

    /// API keys.
    pub async fn api_keys_before(&self, epoch: u32, after: Option<&ApiKeyId>, most: u16) -> Result<Vec<SealedApiKey>> {
        self.before(COLUMNS_OF_API_KEYS_BEFORE, epoch, [after.map_or("", ApiKeyId::as_str)], most, read).await
    }

    /// Former secrets of API keys: each as its key with that row.
    pub async fn former_before(&self, epoch: u32, after: Option<&ApiKeyId>, most: u16) -> Result<Vec<SealedApiKey>> {
        let sql = "SELECT k.id, k.user_id, k.name, k.signing, f.epoch, f.scope, f.stored_hash, f.sealed, k.created_at, \
             k.revoked_at FROM api_key_former f JOIN api_keys k ON k.id = f.key_id \
             WHERE f.epoch < $1 AND k.id > $2 ORDER BY k.id LIMIT $3";
        self.before(sql, epoch, [after.map_or("", ApiKeyId::as_str)], most, read).await
    }

    /// Sessions of people that were not ended.
    pub async fn user_sessions_before(
        &self,
        epoch: u32,
        after: Option<&SessionId>,
        most: u16,
    ) -> Result<Vec<UserSession>> {
        let sql = "SELECT id AS session_id, user_id, created_at, expires_at, revoked_at, epoch, seal FROM user_sessions \
             WHERE epoch < $1 AND revoked_at IS NULL AND id > $2 ORDER BY id LIMIT $3";
        self.before(sql, epoch, [after.map_or("", SessionId::as_str)], most, read_session).await
    }

    /// Refresh tokens of such sessions that were not used.
    pub async fn refresh_tokens_before(
        &self,
        epoch: u32,
        after: Option<&TokenHash>,
        most: u16,
    ) -> Result<Vec<RefreshRow>> {
        let sql = "SELECT r.hash, r.session_id, r.predecessor, r.used_at, r.salt, r.epoch AS token_epoch, r.seal AS token_seal \
             FROM refresh_tokens r JOIN user_sessions s ON s.id = r.session_id \
             WHERE r.epoch < $1 AND r.used_at IS NULL AND s.revoked_at IS NULL AND r.hash > $2 ORDER BY r.hash LIMIT $3";
        self.before(sql, epoch, [after.map_or("", TokenHash::as_str)], most, read_token).await
    }

    /// Identities at OpenID providers.
    pub async fn identities_before(&self, epoch: u32, after: Option<&IdentityKey>, most: u16) -> Result<Vec<Identity>> {
        let sql = "SELECT issuer, subject, user_id, email, created_at, signed_in_at, epoch, seal FROM openid_identities \
             WHERE epoch < $1 AND (issuer > $2 OR (issuer = $2 AND subject > $3)) ORDER BY issuer, subject LIMIT $4";
        self.before(
            sql,
            epoch,
            [after.map_or("", |key| key.issuer.as_str()), after.map_or("", |key| key.subject.as_str())],
            most,
            read_identity,
        )
        .await
    }

    /// Grants of tools.
    pub async fn tool_grants_before(
        &self,
        epoch: u32,
        after: Option<(&ToolId, &UserId)>,
        most: u16,
    ) -> Result<Vec<ToolGrant>> {
        let (after_tool, after_user) = after.map_or(("", ""), |(tool, user)| (tool.as_str(), user.as_str()));
        let sql = "SELECT tool AS grant_tool, user_id AS grant_user, scopes AS grant_scopes, ends_at, given_by, given_at, \
             epoch AS grant_epoch, seal AS grant_seal FROM tool_grants \
             WHERE epoch < $1 AND (tool > $2 OR (tool = $2 AND user_id > $3)) ORDER BY tool, user_id LIMIT $4";
        self.before(sql, epoch, [after_tool, after_user], most, read_grant).await
    }

    /// Accounts, with a password or without.
    pub async fn accounts_before(&self, epoch: u32, after: Option<&UserId>, most: u16) -> Result<Vec<Account>> {
        let sql = "SELECT a.user_id, a.email, a.password, a.pepper_epoch, a.seal, a.created_at, u.deactivated_at \
             FROM accounts a JOIN users u ON u.id = a.user_id WHERE a.pepper_epoch < $1 AND a.user_id > $2 \
             ORDER BY a.user_id LIMIT $3";
        self.before(sql, epoch, [after.map_or("", UserId::as_str)], most, read_account).await
    }

    /// Answers that are kept for requests that are sent again.
    pub async fn answers_before(&self, epoch: u32, after: Option<&Attempt>, most: u16) -> Result<Vec<SealedAnswer>> {
        let sql = "SELECT caller, key_hash, request_hash, epoch, sealed, expires_at FROM idempotent_answers \
             WHERE epoch < $1 AND (caller > $2 OR (caller = $2 AND key_hash > $3)) ORDER BY caller, key_hash LIMIT $4";
        self.before(
            sql,
            epoch,
            [after.map_or("", |attempt| attempt.caller.as_str()), after.map_or("", |attempt| attempt.key.as_str())],
            most,
            read_answer,
        )
        .await
    }

    /// Reads what `sql` selects: `$1` is the epoch, then come the columns of the key that the rows are behind, then the number of rows.
    async fn before<T, const COLUMNS: usize>(
        &self,
        sql: &'static str,
        epoch: u32,
        after: [&str; COLUMNS],
        most: u16,
        read: fn(&AnyRow) -> Result<T>,
    ) -> Result<Vec<T>> {
        let query = sqlx::query(sql).bind(i64::from(epoch));
        let query = after.into_iter().fold(query, |query, column| query.bind(column)).bind(i64::from(most));
        query.fetch_all(&self.pool).await?.iter().map(read).collect()
    }

    /// Puts another epoch's seals into rows that still have the seal that they had when they were read; into how many. All of them in
    /// one transaction: each that is counted is on the disk, or none is.
    pub async fn reseal(&self, epoch: u32, seals: &[Reseal<'_>]) -> Result<u64> {
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
