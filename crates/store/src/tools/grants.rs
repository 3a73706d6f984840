//! Grants of tools, and the upgrade of a database that has none.

use crate::account::step_ups::beside;
use crate::bounded::{InTransaction, Transaction};
use crate::error::taken;
use crate::keys::key_row;
use crate::row::{Columns, epoch_of, mac_of};
use crate::tools::tool::{lock, read as read_tool};
use crate::{Database, Result, StoreError};
use bmap_model::account::step_up::SteppedUp;
use bmap_model::api_key::{KeyScope, SealedApiKey};
use bmap_model::audit::Event;
use bmap_model::clock::UnixTime;
use bmap_model::scope::Scopes;
use bmap_model::tool_grant::{Giver, GrantError, ToolGrant, ToolOfUser};
use bmap_protocol::ids::{ToolId, UserId};
use sqlx::any::AnyRow;

/// Makes a grant, with its entry in the audit log, of the present one; `None` for no change.
pub type Widen<'a> = dyn Fn(&ToolOfUser) -> std::result::Result<Option<(ToolGrant, Event)>, GrantError> + Sync + 'a;

/// A key was not added, and nothing was given to its owner.
#[derive(Debug, thiserror::Error)]
pub enum KeyNotAdded {
    /// One of the tools can't be given to the owner, or is not there.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for KeyNotAdded {
    fn from(error: sqlx::Error) -> Self {
        KeyNotAdded::Store(error.into())
    }
}

/// The outcome of giving a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// It is there, and there was none before.
    New,
    /// It is in the place of another one.
    Changed,
    /// There is no such tool.
    NoSuchTool,
}

/// Tools with the grant of one user each: of ids that are a user's, which all have one length, and then a tool's.
pub(crate) const SEVERAL: &str = "SELECT w.column1 AS wanted, t.id, t.base_url, t.origins, t.min_assurance, t.scopes, \
     t.required_scopes, t.access, t.callers, t.open_scopes, t.policy, t.created_at, t.epoch, t.seal, g.user_id AS grant_user, \
     g.tool AS grant_tool, g.scopes AS grant_scopes, g.ends_at, g.given_by, g.given_at, g.epoch AS grant_epoch, g.seal AS grant_seal \
     FROM (VALUES {wanted}) AS w JOIN tools t ON t.id = substr(w.column1, 37) \
     LEFT JOIN tool_grants g ON g.tool = t.id AND g.user_id = substr(w.column1, 1, 36)";

/// Grants of tools. Every change begins with the tool's row, so of two changes of one tool's grants the second sees the rows that the
/// first left.
impl Database {
    /// A tool with the grant that a user has of it; one look-up, in a statement with those of other callers.
    pub async fn tool_of_user(&self, tool: &ToolId, user: &UserId) -> Result<Option<ToolOfUser>> {
        self.loaders.tools_of_users.get(&self.pool, &format!("{user}{tool}")).await
    }

    /// Gives a grant, in the place of any that the user has of the tool. [`StoreError::StepUp`](crate::StoreError::StepUp), and nothing changes,
    /// if the step-up was used meanwhile.
    pub async fn give_grant(&self, grant: &ToolGrant, stepped_up: Option<&SteppedUp>, event: &Event) -> Result<Given> {
        let mut transaction = self.pool.begin().await?;
        let Some(before) = locked(&mut transaction, &grant.tool, &grant.user).await? else {
            return Ok(Given::NoSuchTool);
        };
        beside(&mut transaction, stepped_up).await?;
        put(&mut transaction, grant).await?;
        self.record(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(if before.grant.is_some() { Given::Changed } else { Given::New })
    }

    /// Takes a grant away; whether there was one. As [`give_grant`](Self::give_grant).
    pub async fn revoke_grant(
        &self,
        tool: &ToolId,
        user: &UserId,
        stepped_up: Option<&SteppedUp>,
        event: &Event,
    ) -> Result<bool> {
        let mut transaction = self.pool.begin().await?;
        lock(&mut transaction, tool).await?;
        beside(&mut transaction, stepped_up).await?;
        let done = sqlx::query("DELETE FROM tool_grants WHERE tool = $1 AND user_id = $2")
            .bind(tool.as_str())
            .bind(user.as_str())
            .execute(&mut *transaction)
            .await?;
        self.commit_if_changed(transaction, &done, event).await
    }

    /// Grants of a tool, or of all, behind one of them in the order of tool and user.
    pub async fn grants(
        &self,
        tool: Option<&ToolId>,
        after: Option<(&ToolId, &UserId)>,
        most: u16,
    ) -> Result<Vec<ToolGrant>> {
        let (after_tool, after_user) = after.map_or(("", ""), |(tool, user)| (tool.as_str(), user.as_str()));
        let query = match tool {
            Some(tool) => sqlx::query(
                "SELECT tool AS grant_tool, user_id AS grant_user, scopes AS grant_scopes, ends_at, given_by, given_at, \
                 epoch AS grant_epoch, seal AS grant_seal FROM tool_grants WHERE tool = $1 AND user_id > $2 \
                 ORDER BY user_id LIMIT $3",
            )
            .bind(tool.as_str())
            .bind(after_user)
            .bind(i64::from(most)),
            None => sqlx::query(
                "SELECT tool AS grant_tool, user_id AS grant_user, scopes AS grant_scopes, ends_at, given_by, given_at, \
                 epoch AS grant_epoch, seal AS grant_seal FROM tool_grants WHERE tool > $1 OR (tool = $1 AND user_id > $2) \
                 ORDER BY tool, user_id LIMIT $3",
            )
            .bind(after_tool)
            .bind(after_user)
            .bind(i64::from(most)),
        };
        query.fetch_all(&self.pool).await?.iter().map(read).collect()
    }

    /// Grants of a user, by tool.
    pub async fn grants_of_user(&self, user: &UserId) -> Result<Vec<ToolGrant>> {
        let rows = sqlx::query(
            "SELECT tool AS grant_tool, user_id AS grant_user, scopes AS grant_scopes, ends_at, given_by, given_at, \
             epoch AS grant_epoch, seal AS grant_seal FROM tool_grants WHERE user_id = $1 ORDER BY tool",
        )
        .bind(user.as_str())
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read).collect()
    }

    /// Tools that signed-in users had tokens of since then, with these users, as far as the newest entries of the audit log say.
    pub async fn tools_of_signed_in_users(&self, since: UnixTime, entries: i64) -> Result<Vec<(ToolId, UserId)>> {
        let rows = sqlx::query(
            "SELECT DISTINCT target_id, actor_user FROM audit_log \
             WHERE sequence > (SELECT COALESCE(MAX(sequence), 0) - $1 FROM audit_log) AND at > $2 \
             AND action IN ('token.grant', 'token.renew') AND outcome = 'done' AND actor = 'user' \
             AND target = 'tool' ORDER BY target_id, actor_user",
        )
        .bind(entries)
        .bind(since.0)
        .fetch_all(&self.pool)
        .await?;
        let read = |row| {
            let columns = Columns { table: "audit_log", row };
            let tool = columns.parsed("target_id", |text| ToolId::parse(text).ok())?;
            Ok((tool, columns.parsed("actor_user", |text| UserId::parse(text).ok())?))
        };
        rows.iter().map(read).collect()
    }

    /// Adds a key, and gives its owner what `widen` says of each of these tools: all in one transaction.
    pub async fn add_key_with_grants(
        &self,
        key: &SealedApiKey,
        scope: &KeyScope,
        event: &Event,
        tools: &[ToolId],
        widen: &Widen<'_>,
    ) -> std::result::Result<Vec<ToolGrant>, KeyNotAdded> {
        let mut transaction = self.pool.begin().await?;
        let (mut given, mut events) = (Vec::new(), Vec::new());
        // Always in one order: so two transactions that give grants of several tools can't deadlock.
        let mut tools: Vec<&ToolId> = tools.iter().collect();
        tools.sort_unstable_by_key(|tool| tool.as_str());
        tools.dedup();
        for tool in tools {
            let before = locked(&mut transaction, tool, &key.owner).await?.ok_or(GrantError::NoSuchTool)?;
            if let Some((grant, event)) = widen(&before)? {
                put(&mut transaction, &grant).await?;
                given.push(grant);
                events.push(event);
            }
        }
        key_row::insert(&mut transaction, key).await?;
        key_row::insert_origins(&mut transaction, &key.id, scope).await?;
        events.push(event.clone());
        self.record_all(&mut transaction, &events.iter().collect::<Vec<_>>()).await?;
        transaction.commit().await?;
        Ok(given)
    }
}

/// A tool and a user's grant of it, which no other transaction changes until this one is over.
async fn locked(inside: &mut Transaction, tool: &ToolId, user: &UserId) -> Result<Option<ToolOfUser>> {
    if !lock(inside, tool).await? {
        return Ok(None);
    }
    let row = sqlx::query(
        "SELECT t.id, t.base_url, t.origins, t.min_assurance, t.scopes, t.required_scopes, t.access, t.callers, t.open_scopes, t.policy, \
         t.created_at, t.epoch, t.seal, g.user_id AS grant_user, g.tool AS grant_tool, g.scopes AS grant_scopes, g.ends_at, \
         g.given_by, g.given_at, g.epoch AS grant_epoch, g.seal AS grant_seal \
         FROM tools t LEFT JOIN tool_grants g ON g.tool = t.id AND g.user_id = $2 WHERE t.id = $1",
    )
    .bind(tool.as_str())
    .bind(user.as_str())
    .fetch_optional(&mut **inside)
    .await?;
    row.as_ref().map(read_of_user).transpose()
}

/// Puts a grant in the place of any that is there.
pub(crate) async fn put(inside: &mut InTransaction, grant: &ToolGrant) -> Result<()> {
    sqlx::query(
        "INSERT INTO tool_grants (tool, user_id, scopes, ends_at, given_by, given_at, epoch, seal) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tool, user_id) DO UPDATE SET scopes = excluded.scopes, \
         ends_at = excluded.ends_at, given_by = excluded.given_by, given_at = excluded.given_at, epoch = excluded.epoch, \
         seal = excluded.seal",
    )
    .bind(grant.tool.as_str())
    .bind(grant.user.as_str())
    .bind(grant.scopes.to_string())
    .bind(grant.ends_at.map(|end| end.0))
    .bind(grant.given_by.as_str())
    .bind(grant.given_at.0)
    .bind(epoch_of(&grant.seal))
    .bind(mac_of(&grant.seal))
    .execute(&mut *inside)
    .await
    .map_err(taken("grant"))?;
    Ok(())
}

pub(crate) fn read_of_user(row: &AnyRow) -> Result<ToolOfUser> {
    let columns = Columns { table: "tool_grants", row };
    let grant = match columns.optional_text("grant_user")? {
        None => None,
        Some(_) => Some(read(row)?),
    };
    Ok(ToolOfUser { tool: read_tool(row)?, grant })
}

pub(crate) fn read(row: &AnyRow) -> Result<ToolGrant> {
    let columns = Columns { table: "tool_grants", row };
    Ok(ToolGrant {
        tool: columns.parsed("grant_tool", |text| ToolId::parse(text).ok())?,
        user: columns.parsed("grant_user", |text| UserId::parse(text).ok())?,
        scopes: columns.parsed("grant_scopes", |text| Scopes::parse(text).ok())?,
        ends_at: columns.optional_time("ends_at")?,
        given_by: columns.parsed("given_by", Giver::parse)?,
        given_at: columns.time("given_at")?,
        seal: columns.seal("grant_epoch", "grant_seal")?,
    })
}
