//! Sessions.

use crate::bounded::InTransaction;
use crate::error::taken;
use crate::link::denials;
use crate::many::{places, portions};
use crate::row::Columns;
use crate::{Database, Result};
use bmap_model::audit::{Event, Target};
use bmap_model::clock::UnixTime;
use bmap_model::session::{Session, SessionId, SessionState, TokenId};
use bmap_protocol::ids::{ApiKeyId, ToolId, UserId};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe};

/// Those of some ids.
pub(crate) const SEVERAL: &str = "SELECT w.column1 AS wanted, s.id, s.user_id, s.key_id, s.tool, s.user_session_id, \
     s.created_at, s.expires_at, s.revoked_at FROM (VALUES {wanted}) AS w JOIN sessions s ON s.id = w.column1";

/// The columns that a session is written to, in the order of [`bind`].
const COLUMNS: usize = 8;

/// Adds sessions.
pub(crate) async fn add(inside: &mut InTransaction, sessions: &[Session]) -> Result<()> {
    for rows in portions(sessions) {
        let sql = format!(
            "INSERT INTO sessions (id, user_id, key_id, tool, user_session_id, created_at, expires_at, revoked_at) VALUES {}",
            places(rows.len(), COLUMNS)
        );
        let query = rows.iter().fold(sqlx::query(AssertSqlSafe(sql)), bind);
        query.execute(&mut *inside).await.map_err(taken("session"))?;
    }
    Ok(())
}

fn bind<'q>(query: Query<'q, Any, AnyArguments>, session: &'q Session) -> Query<'q, Any, AnyArguments> {
    let revoked_at = match session.state {
        SessionState::Active => None,
        SessionState::Revoked { at } => Some(at.0),
    };
    query
        .bind(session.id.as_str())
        .bind(session.user.as_str())
        .bind(session.key.as_str())
        .bind(session.tool.as_str())
        .bind(session.user_session.as_ref().map(SessionId::as_str))
        .bind(session.created_at.0)
        .bind(session.expires_at.0)
        .bind(revoked_at)
}

/// A tool token that is to be revoked, with what hangs on it.
#[derive(Clone, Debug)]
pub struct TokenRevocation {
    /// The token, and the entry of its revocation; none where it has ended by itself.
    pub token: Option<(TokenId, Event)>,
    /// The session that it was renewed in, and the entry of that session's end.
    pub session: Option<(SessionId, Event)>,
}

/// Sessions.
impl Database {
    /// The session with that id.
    pub async fn session(&self, id: &SessionId) -> Result<Option<Session>> {
        self.loaders.sessions.get(&self.pool, id.as_str()).await
    }

    /// The sessions that live, newest first: of one user or of all.
    pub async fn live_sessions(&self, user: Option<&UserId>, now: UnixTime) -> Result<Vec<Session>> {
        let rows = sqlx::query(
            "SELECT id, user_id, key_id, tool, user_session_id, created_at, expires_at, revoked_at FROM sessions \
             WHERE ($1 = '' OR user_id = $1) AND revoked_at IS NULL AND expires_at > $2 ORDER BY id DESC",
        )
        .bind(user.map_or("", UserId::as_str))
        .bind(now.0)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read).collect()
    }

    /// Revokes; whether there is such a session. A second time changes nothing.
    pub async fn revoke_session(&self, id: &SessionId, at: UnixTime, event: &Event) -> Result<bool> {
        let mut transaction = self.pool.begin().await?;
        let revoked =
            sqlx::query("UPDATE sessions SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL RETURNING user_id")
                .bind(at.0)
                .bind(id.as_str())
                .fetch_optional(&mut *transaction)
                .await?;
        let Some(row) = &revoked else {
            drop(transaction);
            return Ok(self.session(id).await?.is_some());
        };
        let columns = Columns { table: "sessions", row };
        let user = columns.parsed("user_id", |text| UserId::parse(text).ok())?;
        self.record(&mut transaction, &event.clone().on(Target::Session { id: id.clone(), user })).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Revokes a token, and ends its session: both or neither; whether anything changed. What was done before is not done again.
    pub async fn revoke_token(&self, revocation: &TokenRevocation, at: UnixTime) -> Result<bool> {
        let mut transaction = self.pool.begin().await?;
        let mut events = Vec::new();
        // First the session's row, as where a session is ended by itself: the log's last row comes last.
        if let Some((id, event)) = &revocation.session {
            let sql = "UPDATE sessions SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL";
            let ended = sqlx::query(sql).bind(at.0).bind(id.as_str()).execute(&mut *transaction).await?;
            events.extend((ended.rows_affected() > 0).then_some(event));
        }
        if let Some((id, event)) = &revocation.token
            && !denials::is_token_denied(&mut transaction, id).await?
        {
            events.push(event);
        }
        if events.is_empty() {
            return Ok(false);
        }
        self.record_all(&mut transaction, &events).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Deletes rows that have ended; how many.
    pub async fn delete_ended_sessions(&self, now: UnixTime) -> Result<u64> {
        let sql = "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < $1 LIMIT $2)";
        self.delete_before(sql, now.0).await
    }
}

pub(crate) fn read(row: &AnyRow) -> Result<Session> {
    let columns = Columns { table: "sessions", row };
    Ok(Session {
        id: columns.parsed("id", SessionId::parse)?,
        user: columns.parsed("user_id", |text| UserId::parse(text).ok())?,
        key: columns.parsed("key_id", |text| ApiKeyId::parse(text).ok())?,
        tool: columns.parsed("tool", |text| ToolId::parse(text).ok())?,
        user_session: columns.optional("user_session_id", SessionId::parse)?,
        created_at: columns.time("created_at")?,
        expires_at: columns.time("expires_at")?,
        state: match columns.optional_time("revoked_at")? {
            None => SessionState::Active,
            Some(at) => SessionState::Revoked { at },
        },
    })
}
