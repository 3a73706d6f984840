//! What an act means to verifiers (profile §13), written in the transaction of the act, behind its entry in the audit log, whose sequence is the
//! cursor. Transactions that are recorded hold the log's last row until they are over, so cursors follow the order of commits.
//!
//! Verifiers hold denials in bounded memory. A user who ends thousands of sessions, tokens or keys must not fill it: beyond [`OF_OWNER`] live denials
//! one denial stands for all of that user's tokens that were issued until then. Tokens of the same user that still stand are refused with them, and
//! had anew at once.

use crate::bounded::InTransaction;
use crate::row::Columns;
use crate::{Database, Result};
use bmap_model::audit::Event;
use bmap_model::link::{self, Effect};
use bmap_model::session::{Session, TokenId};
use bmap_protocol::ids::UserId;
use bmap_protocol::link::ChangeKind;
use bmap_protocol::token::Claims;
use sqlx::Row;

/// Milliseconds by which the times of one act may differ.
const SAME_ACT: i64 = 1_000;
/// Most live denials of one kind for one user at one tool.
const OF_OWNER: i64 = 64;

/// Writes what an entry of the log means to verifiers. The caller holds the log's last row.
pub(crate) async fn tell(inside: &mut InTransaction, cursor: i64, event: &Event) -> Result<bool> {
    let at = event.at.seconds();
    match Effect::of(event) {
        None => Ok(false),
        Some(Effect::Change { kind, tool, owner: Some(owner), .. })
            if !has_room(inside, kind, &owner, &tool, 1, at).await? =>
        {
            deny_owner(inside, cursor, &owner, &tool, at).await?;
            Ok(true)
        }
        Some(Effect::Change { kind, id, tool, of, owner }) => {
            sqlx::query(
                "INSERT INTO link_changes (cursor, kind, id, tool, of_kind, until, owner) VALUES ($1, $2, $3, $4, $5, $6, $7) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(cursor)
            .bind(link::word(kind))
            .bind(id)
            .bind(tool)
            .bind(of.map_or("", link::word))
            .bind(Effect::until(at))
            .bind(owner.as_ref().map_or("", UserId::as_str))
            .execute(&mut *inside)
            .await?;
            Ok(true)
        }
        Some(Effect::EndedSessions(user)) => deny_ended(inside, cursor, &user, event).await,
    }
}

/// Denies the sessions at tools that have ended with this act: by themselves, or with the session that they hang on.
async fn deny_ended(inside: &mut InTransaction, cursor: i64, user: &UserId, event: &Event) -> Result<bool> {
    let (at, since) = (event.at.seconds(), event.at.0.saturating_sub(SAME_ACT));
    let rows = sqlx::query(
        "SELECT s.tool, COUNT(*) AS ended FROM sessions s LEFT JOIN user_sessions u ON u.id = s.user_session_id \
         WHERE s.user_id = $1 AND (s.revoked_at >= $2 OR u.revoked_at >= $2) GROUP BY s.tool ORDER BY s.tool",
    )
    .bind(user.as_str())
    .bind(since)
    .fetch_all(&mut *inside)
    .await?;
    for row in &rows {
        let columns = Columns { table: "sessions", row };
        let tool = columns.text("tool")?;
        if !has_room(inside, ChangeKind::Session, user, &tool, columns.number("ended")?, at).await? {
            deny_owner(inside, cursor, user, &tool, at).await?;
            continue;
        }
        sqlx::query(
            "INSERT INTO link_changes (cursor, kind, id, tool, of_kind, until, owner) \
             SELECT $1, 'session', s.id, s.tool, '', CAST($2 AS BIGINT), s.user_id FROM sessions s \
             LEFT JOIN user_sessions u ON u.id = s.user_session_id \
             WHERE s.user_id = $3 AND s.tool = $4 AND (s.revoked_at >= $5 OR u.revoked_at >= $5) ON CONFLICT DO NOTHING",
        )
        .bind(cursor)
        .bind(Effect::until(at))
        .bind(user.as_str())
        .bind(tool)
        .bind(since)
        .execute(&mut *inside)
        .await?;
    }
    Ok(!rows.is_empty())
}

/// Denies those of the new sessions whose user's session ended while they were made: that act could not know of them. The caller holds the
/// log's last row, so an act that comes behind this transaction sees them.
pub(crate) async fn deny_late(inside: &mut InTransaction, cursor: i64, sessions: &[Session]) -> Result<()> {
    for session in sessions.iter().filter(|session| session.user_session.is_some()) {
        sqlx::query(
            "INSERT INTO link_changes (cursor, kind, id, tool, of_kind, until, owner) \
             SELECT $1, 'session', s.id, s.tool, '', CAST($2 AS BIGINT), s.user_id FROM sessions s \
             JOIN user_sessions u ON u.id = s.user_session_id \
             WHERE s.id = $3 AND u.revoked_at IS NOT NULL ON CONFLICT DO NOTHING",
        )
        .bind(cursor)
        .bind(Effect::until(session.created_at.seconds()))
        .bind(session.id.as_str())
        .execute(&mut *inside)
        .await?;
    }
    Ok(())
}

/// Whether so many more denials of a kind can be told one by one.
async fn has_room(
    inside: &mut InTransaction,
    kind: ChangeKind,
    owner: &UserId,
    tool: &str,
    more: i64,
    at: i64,
) -> Result<bool> {
    let row = sqlx::query(
        "SELECT COUNT(*) AS live FROM (SELECT cursor FROM link_changes \
         WHERE owner = $1 AND kind = $2 AND tool = $3 AND until > $4 LIMIT $5) AS denials",
    )
    .bind(owner.as_str())
    .bind(link::word(kind))
    .bind(tool)
    .bind(at)
    .bind(OF_OWNER)
    .fetch_one(&mut *inside)
    .await?;
    Ok(row.try_get::<i64, _>("live")?.saturating_add(more) <= OF_OWNER)
}

/// Denies all tokens of a user at a tool, or with an empty name at all tools, that were issued until this act.
async fn deny_owner(inside: &mut InTransaction, cursor: i64, owner: &UserId, tool: &str, at: i64) -> Result<()> {
    let issued_until = Effect::issued_until(at);
    sqlx::query(
        "INSERT INTO link_changes (cursor, kind, id, tool, of_kind, until, owner, issued_until) \
         VALUES ($1, 'user', $2, $3, '', $4, $2, $5) ON CONFLICT DO NOTHING",
    )
    .bind(cursor)
    .bind(owner.as_str())
    .bind(tool)
    .bind(Effect::until(issued_until))
    .bind(issued_until)
    .execute(&mut *inside)
    .await?;
    Ok(())
}

/// Whether a token is denied by its id. Another transaction that would deny it waits until this one is over: it holds the log's last row.
pub(crate) async fn is_token_denied(inside: &mut InTransaction, id: &TokenId) -> Result<bool> {
    sqlx::query("UPDATE audit_head SET sequence = sequence WHERE id = 1").execute(&mut *inside).await?;
    let row = sqlx::query(TOKEN_DENIAL).bind(id.as_str()).fetch_optional(&mut *inside).await?;
    Ok(row.is_some())
}

/// The denial of a token. One that is over and not deleted yet is of a token that has ended.
const TOKEN_DENIAL: &str = "SELECT cursor FROM link_changes WHERE kind = 'token' AND id = $1";

/// What verifiers were told of a token.
impl Database {
    /// Whether a token was revoked by its id, or with many others of its user.
    pub async fn is_token_revoked(&self, claims: &Claims) -> Result<bool> {
        let row = sqlx::query(TOKEN_DENIAL).bind(&*claims.id).fetch_optional(&self.pool).await?;
        if row.is_some() {
            return Ok(true);
        }
        let row = sqlx::query(
            "SELECT cursor FROM link_changes WHERE owner = $1 AND kind = 'user' AND tool IN ($2, '') AND issued_until >= $3 LIMIT 1",
        )
        .bind(claims.subject.as_str())
        .bind(claims.audience.as_str())
        .bind(i64::try_from(claims.issued_at).unwrap_or(i64::MAX))
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.is_some())
    }
}
