//! Tickets.

use crate::bounded::InTransaction;
use crate::error::taken;
use crate::keys::idempotent_answers::keep_first;
use crate::many::{places, portions};
use crate::row::Columns;
use crate::{Database, Result};
use bmap_model::audit::Event;
use bmap_model::clock::UnixTime;
use bmap_model::scope::Scopes;
use bmap_model::ticket::{EndUser, RecordedTicket, Ticket, TicketHash};
use bmap_protocol::ids::{ApiKeyId, ToolId, UserId};
use bmap_protocol::origin::Origin;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe};

/// The columns that a ticket is written to, in the order of [`bind`].
const COLUMNS: usize = 9;

/// Adds tickets, and the answers to their requests. For each, whether it is there.
pub(crate) async fn add(inside: &mut InTransaction, tickets: &[RecordedTicket]) -> Result<Vec<bool>> {
    let mut is_added = vec![true; tickets.len()];
    // Always in one order: so two transactions that keep answers to the same requests can't deadlock.
    let mut answers: Vec<_> =
        tickets.iter().zip(&mut is_added).filter_map(|(new, added)| Some((new.answer.as_ref()?, added))).collect();
    answers.sort_unstable_by_key(|(answer, _)| (&answer.attempt.caller, &answer.attempt.key));
    for (answer, added) in answers {
        *added = keep_first(inside, answer).await?;
    }
    let added: Vec<_> = tickets.iter().zip(&is_added).filter(|(_, added)| **added).map(|(new, _)| new).collect();
    for rows in portions(&added) {
        let query = rows.iter().fold(sqlx::query(AssertSqlSafe(insert(rows.len()))), bind);
        query.execute(&mut *inside).await.map_err(taken("ticket"))?;
    }
    Ok(is_added)
}

/// Takes some out, in one statement: the transaction that deletes a row has it, and no other.
pub(crate) const TAKE: &str = "DELETE FROM tickets WHERE hash IN ({wanted}) \
     RETURNING hash AS wanted, tool, origin, embed_origin, end_user, scope, key_id, user_id, expires_at";

/// Tickets.
impl Database {
    /// How many of a key live at that time.
    pub async fn live_tickets(&self, key: &ApiKeyId, now: UnixTime) -> Result<u64> {
        let row = sqlx::query("SELECT COUNT(*) AS live FROM tickets WHERE key_id = $1 AND expires_at > $2")
            .bind(key.as_str())
            .bind(now.0)
            .fetch_one(&self.pool)
            .await?;
        let live = Columns { table: "tickets", row: &row }.number("live")?;
        Ok(u64::try_from(live).unwrap_or(0))
    }

    /// Takes it out: of any number of callers at once exactly one gets it.
    pub async fn take_ticket(&self, hash: &TicketHash) -> Result<Option<Ticket>> {
        self.loaders.tickets.get(&self.pool, hash.as_str()).await
    }

    /// The ticket of that hash, left as it is.
    pub async fn ticket(&self, hash: &TicketHash) -> Result<Option<Ticket>> {
        let row = sqlx::query(
            "SELECT tool, origin, embed_origin, end_user, scope, key_id, user_id, expires_at FROM tickets WHERE hash = $1",
        )
        .bind(hash.as_str())
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(read).transpose()
    }

    /// Deletes a ticket that was not used; whether it was there.
    pub async fn revoke_ticket(&self, hash: &TicketHash, event: &Event) -> Result<bool> {
        let mut transaction = self.pool.begin().await?;
        let done =
            sqlx::query("DELETE FROM tickets WHERE hash = $1").bind(hash.as_str()).execute(&mut *transaction).await?;
        self.commit_if_changed(transaction, &done, event).await
    }

    /// Deletes rows that have ended; how many.
    pub async fn delete_ended_tickets(&self, now: UnixTime) -> Result<u64> {
        let sql = "DELETE FROM tickets WHERE hash IN (SELECT hash FROM tickets WHERE expires_at < $1 LIMIT $2)";
        self.delete_before(sql, now.0).await
    }
}

/// The statement for so many tickets.
fn insert(rows: usize) -> String {
    format!(
        "INSERT INTO tickets (hash, tool, origin, embed_origin, end_user, scope, key_id, user_id, expires_at) VALUES {}",
        places(rows, COLUMNS)
    )
}

fn bind<'q>(query: Query<'q, Any, AnyArguments>, new: &&'q RecordedTicket) -> Query<'q, Any, AnyArguments> {
    let ticket = &new.ticket;
    query
        .bind(new.hash.as_str())
        .bind(ticket.tool.as_str())
        .bind(ticket.origin.as_str())
        .bind(ticket.embed_origin.as_ref().map(Origin::as_str))
        .bind(ticket.end_user.as_ref().map(EndUser::as_str))
        .bind(ticket.scope.to_string())
        .bind(ticket.key.as_str())
        .bind(ticket.user.as_str())
        .bind(ticket.expires_at.0)
}

pub(crate) fn read(row: &AnyRow) -> Result<Ticket> {
    let columns = Columns { table: "tickets", row };
    Ok(Ticket {
        tool: columns.parsed("tool", |text| ToolId::parse(text).ok())?,
        origin: columns.parsed("origin", |text| Origin::parse(text).ok())?,
        embed_origin: columns.optional("embed_origin", |text| Origin::parse(text).ok())?,
        end_user: columns.optional("end_user", EndUser::parse)?,
        scope: columns.parsed("scope", |text| Scopes::parse(text).ok())?,
        key: columns.parsed("key_id", |text| ApiKeyId::parse(text).ok())?,
        user: columns.parsed("user_id", |text| UserId::parse(text).ok())?,
        expires_at: columns.time("expires_at")?,
    })
}
