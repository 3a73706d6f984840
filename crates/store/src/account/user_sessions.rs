//! Sessions of people, and their refresh tokens.

use crate::account::step_ups::insert_step_up;
use crate::bounded::InTransaction;
use crate::error::taken;
use crate::row::{Columns, epoch_of, mac_of};
use crate::{Database, Result};
use bmap_model::account::opaque::TokenHash;
use bmap_model::account::refresh::{FoundToken, RefreshRow, Rotation, Salt, Used};
use bmap_model::account::step_up::StepUpRow;
use bmap_model::account::{LiveSession, SessionProof, UserSession};
use bmap_model::audit::{Actor, Event};
use bmap_model::clock::UnixTime;
use bmap_model::session::{SessionId, SessionState};
use bmap_model::user::UserState;
use bmap_protocol::ids::UserId;
use sqlx::any::AnyRow;

/// After every id, in every collation: an id's next sign is a digit or one of a to f.
const AFTER_EVERY_ID: &str = "ses_g";
/// Sessions that one sign-in ends at most, where there are too many.
const EXCESS_AT_ONCE: i64 = 100;
/// How long a session that was ended stays: long enough for a log to be compared with the database.
const ENDED_SECONDS: i64 = 86_400;

/// Sessions of people.
impl Database {
    /// Adds one with its first refresh token and step-up; `false` if the proof does not hold any more or the user is not active.
    pub async fn add_user_session(
        &self,
        session: &UserSession,
        refresh: &RefreshRow,
        proof: SessionProof<'_>,
        step_up: Option<&StepUpRow>,
        event: &Event,
    ) -> Result<bool> {
        let mut transaction = self.pool.begin().await?;
        // First the user's row, which a deactivation of the user writes too: of the two, one waits for the other, so the session
        // is there to be ended, or is not begun.
        let active = sqlx::query("UPDATE users SET name = name WHERE id = $1 AND deactivated_at IS NULL")
            .bind(session.user.as_str())
            .execute(&mut *transaction)
            .await?;
        if active.rows_affected() == 0 {
            return Ok(false);
        }
        // Then the proof's row, in the same way for a change of password, or unlinking.
        let known = match proof {
            SessionProof::Password(password) => {
                sqlx::query("UPDATE accounts SET signed_in_at = $1 WHERE user_id = $2 AND password = $3")
                    .bind(session.created_at.0)
                    .bind(session.user.as_str())
                    .bind(password.phc.as_str())
            }
            SessionProof::Openid { key, email, .. } => sqlx::query(
                "UPDATE openid_identities SET signed_in_at = $1, email = $3 WHERE user_id = $2 AND issuer = $4 \
                 AND subject = $5",
            )
            .bind(session.created_at.0)
            .bind(session.user.as_str())
            .bind(email.map(|email| email.as_str()))
            .bind(key.issuer.as_str())
            .bind(key.subject.as_str()),
        };
        let known = known.execute(&mut *transaction).await?;
        if known.rows_affected() == 0 {
            return Ok(false);
        }
        let revoked_at = match session.state {
            SessionState::Active => None,
            SessionState::Revoked { at } => Some(at.0),
        };
        sqlx::query(
            "INSERT INTO user_sessions (id, user_id, created_at, expires_at, revoked_at, epoch, seal) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(session.id.as_str())
        .bind(session.user.as_str())
        .bind(session.created_at.0)
        .bind(session.expires_at.0)
        .bind(revoked_at)
        .bind(epoch_of(&session.seal))
        .bind(mac_of(&session.seal))
        .execute(&mut *transaction)
        .await
        .map_err(taken("session"))?;
        add_refresh_token(&mut transaction, refresh).await?;
        if let Some(step_up) = step_up {
            insert_step_up(&mut transaction, step_up).await?;
        }
        self.record(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// The session with that id.
    pub async fn user_session(&self, id: &SessionId) -> Result<Option<UserSession>> {
        let row = sqlx::query(
            "SELECT id AS session_id, user_id, created_at, expires_at, revoked_at, epoch, seal FROM user_sessions \
             WHERE id = $1",
        )
        .bind(id.as_str())
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(read).transpose()
    }

    /// Every session that lives, newest first.
    pub async fn live_user_sessions(&self, now: UnixTime) -> Result<Vec<LiveSession>> {
        let rows = sqlx::query(
            "SELECT s.id AS session_id, s.user_id, s.created_at, s.expires_at, s.revoked_at, s.epoch, s.seal, \
             COALESCE(MAX(r.used_at), s.created_at) AS last_used_at \
             FROM user_sessions s LEFT JOIN refresh_tokens r ON r.session_id = s.id \
             WHERE s.revoked_at IS NULL AND s.expires_at > $1 \
             GROUP BY s.id, s.user_id, s.created_at, s.expires_at, s.revoked_at, s.epoch, s.seal \
             ORDER BY s.id DESC",
        )
        .bind(now.0)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read_live).collect()
    }

    /// Up to `limit` sessions of a user that live, newest first, beginning before that one.
    pub async fn live_sessions_of(
        &self,
        user: &UserId,
        before: Option<&SessionId>,
        limit: u32,
        now: UnixTime,
    ) -> Result<Vec<LiveSession>> {
        let rows = sqlx::query(
            "SELECT s.id AS session_id, s.user_id, s.created_at, s.expires_at, s.revoked_at, s.epoch, s.seal, \
             COALESCE(MAX(r.used_at), s.created_at) AS last_used_at \
             FROM user_sessions s LEFT JOIN refresh_tokens r ON r.session_id = s.id \
             WHERE s.user_id = $2 AND s.id < $3 AND s.revoked_at IS NULL AND s.expires_at > $1 \
             GROUP BY s.id, s.user_id, s.created_at, s.expires_at, s.revoked_at, s.epoch, s.seal \
             ORDER BY s.id DESC LIMIT $4",
        )
        .bind(now.0)
        .bind(user.as_str())
        .bind(before.map_or(AFTER_EVERY_ID, SessionId::as_str))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read_live).collect()
    }

    /// Where more than `keep` sessions of a user live, ends those that were longest not gone on with; how many. The event is recorded of
    /// each.
    pub async fn end_excess_sessions(&self, user: &UserId, keep: u32, at: UnixTime, event: &Event) -> Result<u64> {
        // Nearly always there are not that many: this only reads.
        let row = sqlx::query(
            "SELECT COUNT(*) AS live FROM user_sessions WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2",
        )
        .bind(user.as_str())
        .bind(at.0)
        .fetch_one(&self.pool)
        .await?;
        if (Columns { table: "user_sessions", row: &row }).number("live")? <= i64::from(keep) {
            return Ok(0);
        }
        let mut transaction = self.pool.begin().await?;
        let ended = sqlx::query(
            "UPDATE user_sessions SET revoked_at = $1, epoch = NULL, seal = NULL WHERE revoked_at IS NULL AND id IN ( \
             SELECT s.id FROM user_sessions s LEFT JOIN refresh_tokens r ON r.session_id = s.id \
             WHERE s.user_id = $2 AND s.revoked_at IS NULL AND s.expires_at > $1 GROUP BY s.id, s.created_at \
             ORDER BY COALESCE(MAX(r.used_at), s.created_at) DESC, s.id DESC LIMIT $4 OFFSET $3) \
             RETURNING id AS session_id, user_id, created_at, expires_at, revoked_at, epoch, seal",
        )
        .bind(at.0)
        .bind(user.as_str())
        .bind(i64::from(keep))
        .bind(EXCESS_AT_ONCE)
        .fetch_all(&mut *transaction)
        .await?;
        let ended = ended.iter().map(read).collect::<Result<Vec<_>>>()?;
        let events: Vec<Event> = ended.iter().map(|session| event.clone().on(session.target())).collect();
        self.record_all(&mut transaction, &events.iter().collect::<Vec<_>>()).await?;
        transaction.commit().await?;
        Ok(u64::try_from(ended.len()).unwrap_or(u64::MAX))
    }

    /// Whose refresh token it is, used or not.
    pub async fn user_of_refresh(&self, token: &TokenHash) -> Result<Option<UserId>> {
        let row = sqlx::query(
            "SELECT s.user_id FROM refresh_tokens r JOIN user_sessions s ON s.id = r.session_id WHERE r.hash = $1",
        )
        .bind(token.as_str())
        .fetch_optional(&self.pool)
        .await?;
        let user = |row| Columns { table: "user_sessions", row }.parsed("user_id", |text| UserId::parse(text).ok());
        row.as_ref().map(user).transpose()
    }

    /// Ends every live session of a user but one; how many.
    pub async fn revoke_other_user_sessions(
        &self,
        user: &UserId,
        but: &SessionId,
        at: UnixTime,
        event: &Event,
    ) -> Result<u64> {
        let mut transaction = self.pool.begin().await?;
        let ended = sqlx::query(
            "UPDATE user_sessions SET revoked_at = $1, epoch = NULL, seal = NULL \
             WHERE user_id = $2 AND id <> $3 AND revoked_at IS NULL AND expires_at > $1",
        )
        .bind(at.0)
        .bind(user.as_str())
        .bind(but.as_str())
        .execute(&mut *transaction)
        .await?;
        let ended = ended.rows_affected();
        if ended > 0 {
            self.record(&mut transaction, &event.clone().with("ended_sessions", ended)).await?;
            transaction.commit().await?;
        }
        Ok(ended)
    }

    /// A refresh token with its session, used or not.
    pub async fn refresh_token(&self, token: &TokenHash) -> Result<Option<FoundToken>> {
        let row = sqlx::query(
            "SELECT r.hash, r.predecessor, r.used_at, r.salt, r.epoch AS token_epoch, r.seal AS token_seal, \
             n.hash AS successor, s.id AS session_id, s.user_id, s.created_at, s.expires_at, s.revoked_at, s.epoch, s.seal, \
             u.deactivated_at FROM refresh_tokens r JOIN user_sessions s ON s.id = r.session_id \
             JOIN users u ON u.id = s.user_id LEFT JOIN refresh_tokens n ON n.predecessor = r.hash WHERE r.hash = $1",
        )
        .bind(token.as_str())
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(read_found).transpose()
    }

    /// Uses a refresh token and adds its successor, if its row is still as it was found, its session lives and the user is active;
    /// whether it did. Of any number of callers at once exactly one does. The event is recorded as the doing of the session's user.
    pub async fn rotate(&self, found: &FoundToken, rotation: &Rotation, event: &Event) -> Result<bool> {
        let Some(Used { at, salt }) = &rotation.used.used else { return Ok(false) };
        let mut transaction = self.pool.begin().await?;
        // The first transaction to write the row uses the token. Another one waits here until that one is done, and finds
        // another seal.
        let won = sqlx::query(
            "UPDATE refresh_tokens SET used_at = $1, salt = $2, epoch = $3, seal = $4 WHERE hash = $5 AND seal = $6 \
             AND EXISTS (SELECT 1 FROM user_sessions s JOIN users u ON u.id = s.user_id \
             WHERE s.id = refresh_tokens.session_id AND s.revoked_at IS NULL AND u.deactivated_at IS NULL)",
        )
        .bind(at.0)
        .bind(salt.to_text())
        .bind(epoch_of(&rotation.used.seal))
        .bind(mac_of(&rotation.used.seal))
        .bind(rotation.presented.hash.as_str())
        .bind(mac_of(&rotation.presented.seal))
        .execute(&mut *transaction)
        .await?;
        if won.rows_affected() == 0 {
            return Ok(false);
        }
        add_refresh_token(&mut transaction, &rotation.successor).await?;
        self.record(&mut transaction, &of_session(event, &found.session)).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Ends a session; whether there is such a session. A second time changes nothing.
    pub async fn revoke_user_session(&self, id: &SessionId, at: UnixTime, event: &Event) -> Result<bool> {
        let mut transaction = self.pool.begin().await?;
        let revoked = sqlx::query(
            "UPDATE user_sessions SET revoked_at = $1, epoch = NULL, seal = NULL WHERE id = $2 AND revoked_at IS NULL \
             RETURNING id AS session_id, user_id, created_at, expires_at, revoked_at, epoch, seal",
        )
        .bind(at.0)
        .bind(id.as_str())
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(session) = revoked.as_ref().map(read).transpose()? else {
            drop(transaction);
            return Ok(self.user_session(id).await?.is_some());
        };
        self.record(&mut transaction, &of_session(event, &session)).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Ends the session of a refresh token; whether there is such a token.
    pub async fn revoke_session_of(&self, token: &TokenHash, at: UnixTime, event: &Event) -> Result<bool> {
        match self.session_of(token).await? {
            Some(session) => self.revoke_user_session(&session, at, event).await,
            None => Ok(false),
        }
    }

    /// Deletes sessions whose time is over, or that were ended a day ago, with their refresh tokens; how many.
    pub async fn delete_ended_user_sessions(&self, now: UnixTime) -> Result<u64> {
        // First what hangs on them. Cut off between the two, it goes on the next time.
        let tokens = "DELETE FROM refresh_tokens WHERE hash IN (SELECT r.hash FROM user_sessions s \
                      JOIN refresh_tokens r ON r.session_id = s.id WHERE s.expires_at < $1 LIMIT $2)";
        let sessions = "DELETE FROM user_sessions WHERE id IN (SELECT s.id FROM user_sessions s WHERE s.expires_at < $1 \
                        AND NOT EXISTS (SELECT 1 FROM refresh_tokens r WHERE r.session_id = s.id) LIMIT $2)";
        let tokens_of_ended = "DELETE FROM refresh_tokens WHERE hash IN (SELECT r.hash FROM user_sessions s \
                               JOIN refresh_tokens r ON r.session_id = s.id WHERE s.revoked_at < $1 LIMIT $2)";
        let ended = "DELETE FROM user_sessions WHERE id IN (SELECT s.id FROM user_sessions s WHERE s.revoked_at < $1 \
                     AND NOT EXISTS (SELECT 1 FROM refresh_tokens r WHERE r.session_id = s.id) LIMIT $2)";
        let kept_from = now.plus_seconds(-ENDED_SECONDS).0;
        self.delete_before(tokens, now.0).await?;
        self.delete_before(tokens_of_ended, kept_from).await?;
        let over = self.delete_before(sessions, now.0).await?;
        Ok(over.saturating_add(self.delete_before(ended, kept_from).await?))
    }
}

impl Database {
    /// The session of a refresh token; only reads.
    async fn session_of(&self, token: &TokenHash) -> Result<Option<SessionId>> {
        let row = sqlx::query("SELECT session_id FROM refresh_tokens WHERE hash = $1")
            .bind(token.as_str())
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = &row else { return Ok(None) };
        Columns { table: "refresh_tokens", row }.parsed("session_id", SessionId::parse).map(Some)
    }
}

/// Ends every session of a user; how many. Their seals go with it: a session that has ended can't be turned back by hand.
pub(crate) async fn end_sessions(inside: &mut InTransaction, user: &UserId, at: UnixTime) -> Result<u64> {
    let ended = sqlx::query(
        "UPDATE user_sessions SET revoked_at = $1, epoch = NULL, seal = NULL WHERE user_id = $2 AND revoked_at IS NULL",
    )
    .bind(at.0)
    .bind(user.as_str())
    .execute(&mut *inside)
    .await?;
    Ok(ended.rows_affected())
}

/// The event, of this session; and of its user, where no other actor is proved: a holder of its refresh token is its user.
fn of_session(event: &Event, session: &UserSession) -> Event {
    let event = event.clone().on(session.target());
    match event.actor {
        Actor::Anonymous => event.by(Actor::User(session.user.clone())),
        _ => event,
    }
}

pub(crate) fn read(row: &AnyRow) -> Result<UserSession> {
    let columns = Columns { table: "user_sessions", row };
    Ok(UserSession {
        id: columns.parsed("session_id", SessionId::parse)?,
        user: columns.parsed("user_id", |text| UserId::parse(text).ok())?,
        created_at: columns.time("created_at")?,
        expires_at: columns.time("expires_at")?,
        state: match columns.optional_time("revoked_at")? {
            None => SessionState::Active,
            Some(at) => SessionState::Revoked { at },
        },
        seal: columns.seal("epoch", "seal")?,
    })
}

fn read_live(row: &AnyRow) -> Result<LiveSession> {
    let last_used_at = Columns { table: "user_sessions", row }.time("last_used_at")?;
    Ok(LiveSession { session: read(row)?, last_used_at })
}

pub(crate) fn read_token(row: &AnyRow) -> Result<RefreshRow> {
    let columns = Columns { table: "refresh_tokens", row };
    Ok(RefreshRow {
        hash: columns.parsed("hash", TokenHash::from_stored)?,
        session: columns.parsed("session_id", SessionId::parse)?,
        predecessor: columns.optional("predecessor", TokenHash::from_stored)?,
        used: match columns.optional_time("used_at")? {
            None => None,
            Some(at) => Some(Used { at, salt: columns.parsed("salt", Salt::from_stored)? }),
        },
        seal: columns.seal("token_epoch", "token_seal")?,
    })
}

fn read_found(row: &AnyRow) -> Result<FoundToken> {
    let columns = Columns { table: "refresh_tokens", row };
    Ok(FoundToken {
        token: read_token(row)?,
        session: read(row)?,
        user_state: match columns.optional_time("deactivated_at")? {
            None => UserState::Active,
            Some(at) => UserState::Deactivated { at },
        },
        successor: columns.optional("successor", TokenHash::from_stored)?,
    })
}

async fn add_refresh_token(inside: &mut InTransaction, token: &RefreshRow) -> Result<()> {
    sqlx::query("INSERT INTO refresh_tokens (hash, session_id, predecessor, epoch, seal) VALUES ($1, $2, $3, $4, $5)")
        .bind(token.hash.as_str())
        .bind(token.session.as_str())
        .bind(token.predecessor.as_ref().map(TokenHash::as_str))
        .bind(epoch_of(&token.seal))
        .bind(mac_of(&token.seal))
        .execute(&mut *inside)
        .await
        .map_err(taken("refresh token"))?;
    Ok(())
}
