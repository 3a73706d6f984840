//! Tickets.

use super::connect::taken;
use super::sql_idempotent_answers::keep;
use super::sql_row::Columns;
use super::{Database, Result, Tickets};
use crate::clock::UnixMillis;
use crate::domain::idempotency::SealedAnswer;
use crate::domain::scope::Scopes;
use crate::domain::ticket::{EndUser, Ticket, TicketHash};
use bmap_protocol::ids::{ApiKeyId, ToolId, UserId};
use bmap_protocol::origin::Origin;

impl Tickets for Database {
    async fn add_ticket(&self, hash: &TicketHash, ticket: &Ticket, answer: Option<&SealedAnswer>) -> Result<()> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(
            "INSERT INTO tickets (hash, tool, origin, embed_origin, end_user, scope, key_id, user_id, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(hash.as_str())
        .bind(ticket.tool.as_str())
        .bind(ticket.origin.as_str())
        .bind(ticket.embed_origin.as_ref().map(Origin::as_str))
        .bind(ticket.end_user.as_ref().map(EndUser::as_str))
        .bind(ticket.scope.to_string())
        .bind(ticket.key.as_str())
        .bind(ticket.user.as_str())
        .bind(ticket.expires_at.0)
        .execute(&mut *transaction)
        .await
        .map_err(taken("ticket"))?;
        keep(&mut transaction, answer).await?;
        Ok(transaction.commit().await?)
    }

    async fn live_tickets(&self, key: &ApiKeyId, now: UnixMillis) -> Result<u64> {
        let row = sqlx::query("SELECT COUNT(*) AS live FROM tickets WHERE key_id = $1 AND expires_at > $2")
            .bind(key.as_str())
            .bind(now.0)
            .fetch_one(&self.pool)
            .await?;
        let live = Columns { table: "tickets", row: &row }.number("live")?;
        Ok(u64::try_from(live).unwrap_or(0))
    }

    async fn take_ticket(&self, hash: &TicketHash) -> Result<Option<Ticket>> {
        // One statement: whoever deletes the row has it, and nobody else.
        let row = sqlx::query(
            "DELETE FROM tickets WHERE hash = $1 \
             RETURNING tool, origin, embed_origin, end_user, scope, key_id, user_id, expires_at",
        )
        .bind(hash.as_str())
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = &row else { return Ok(None) };
        let columns = Columns { table: "tickets", row };
        Ok(Some(Ticket {
            tool: columns.parsed("tool", |text| ToolId::parse(text).ok())?,
            origin: columns.parsed("origin", |text| Origin::parse(text).ok())?,
            embed_origin: columns.optional("embed_origin", |text| Origin::parse(text).ok())?,
            end_user: columns.optional("end_user", EndUser::parse)?,
            scope: columns.parsed("scope", |text| Scopes::parse(text).ok())?,
            key: columns.parsed("key_id", |text| ApiKeyId::parse(text).ok())?,
            user: columns.parsed("user_id", |text| UserId::parse(text).ok())?,
            expires_at: columns.time("expires_at")?,
        }))
    }

    async fn delete_ended_tickets(&self, now: UnixMillis) -> Result<u64> {
        let done = sqlx::query("DELETE FROM tickets WHERE expires_at < $1").bind(now.0).execute(&self.pool).await?;
        Ok(done.rows_affected())
    }
}
