//! Tools.

use crate::bounded::InTransaction;
use crate::error::taken;
use crate::row::{Columns, epoch_of, mac_of};
use crate::{Database, Result};
use bmap_model::audit::Event;
use bmap_model::scope::Scopes;
use bmap_model::stored_origin::StoredOrigin;
use bmap_model::tool::{Access, CallerKinds, Tool, ToolOrigins, assurance};
use bmap_model::tool_policy;
use bmap_protocol::ids::ToolId;
use sqlx::any::AnyRow;

/// Those of some ids.
pub(crate) const SEVERAL: &str = "SELECT w.column1 AS wanted, t.id, t.base_url, t.origins, t.min_assurance, t.scopes, \
     t.required_scopes, t.access, t.callers, t.open_scopes, t.policy, t.created_at, t.epoch, t.seal FROM (VALUES {wanted}) AS w JOIN tools t ON t.id = w.column1";

/// Tools.
impl Database {
    /// Adds one; [`StoreError::Taken`] if the id is taken.
    pub async fn add_tool(&self, tool: &Tool, event: &Event) -> Result<()> {
        let mut transaction = self.pool.begin().await?;
        // Origins have no space in them, so the list is one text.
        sqlx::query(
            "INSERT INTO tools (id, base_url, origins, min_assurance, scopes, required_scopes, created_at, \
             epoch, seal, access, callers, open_scopes, policy) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(tool.id.as_str())
        .bind(tool.base_url.as_str())
        .bind(tool.origins.to_list().join(" "))
        .bind(tool.min_assurance.as_str())
        .bind(tool.scopes.to_string())
        .bind(tool.required_scopes.to_string())
        .bind(tool.created_at.0)
        .bind(epoch_of(&tool.seal))
        .bind(mac_of(&tool.seal))
        .bind(tool.access.as_str())
        .bind(tool.callers.to_string())
        .bind(tool.open_scopes.to_string())
        .bind(tool_policy::text(&tool.policy))
        .execute(&mut *transaction)
        .await
        .map_err(taken("tool"))?;
        self.record(&mut transaction, event).await?;
        Ok(transaction.commit().await?)
    }

    /// The tool with that id.
    pub async fn tool(&self, id: &ToolId) -> Result<Option<Tool>> {
        self.loaders.tools.get(&self.pool, id.as_str()).await
    }

    /// Those with that base URL, written with a slash at its end or without, by id.
    pub async fn tools_at(&self, url: &str) -> Result<Vec<Tool>> {
        let rows = sqlx::query(
            "SELECT id, base_url, origins, min_assurance, scopes, required_scopes, access, callers, open_scopes, policy, created_at, epoch, seal \
             FROM tools WHERE base_url IN ($1, $2) ORDER BY id",
        )
        .bind(url)
        .bind(format!("{url}/"))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read).collect()
    }

    /// All, by id.
    pub async fn tools(&self) -> Result<Vec<Tool>> {
        let rows = sqlx::query(
            "SELECT id, base_url, origins, min_assurance, scopes, required_scopes, access, callers, open_scopes, policy, created_at, epoch, seal \
             FROM tools ORDER BY id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read).collect()
    }

    /// Gives a tool the seal of one that is otherwise the same; `false`, and nothing changes, where its row is another by now.
    pub async fn confirm_tool(&self, tool: &Tool, event: &Event) -> Result<bool> {
        let mut transaction = self.pool.begin().await?;
        let done = sqlx::query(
            "UPDATE tools SET epoch = $1, seal = $2 WHERE id = $3 AND base_url = $4 AND origins = $5 \
             AND min_assurance = $6 AND scopes = $7 AND required_scopes = $8 AND created_at = $9 AND access = $10 \
             AND callers = $11 AND open_scopes = $12 AND policy = $13",
        )
        .bind(epoch_of(&tool.seal))
        .bind(mac_of(&tool.seal))
        .bind(tool.id.as_str())
        .bind(tool.base_url.as_str())
        .bind(tool.origins.to_list().join(" "))
        .bind(tool.min_assurance.as_str())
        .bind(tool.scopes.to_string())
        .bind(tool.required_scopes.to_string())
        .bind(tool.created_at.0)
        .bind(tool.access.as_str())
        .bind(tool.callers.to_string())
        .bind(tool.open_scopes.to_string())
        .bind(tool_policy::text(&tool.policy))
        .execute(&mut *transaction)
        .await?;
        self.commit_if_changed(transaction, &done, event).await
    }

    /// Puts a tool in the place of the row that was read; `false`, and nothing changes, where its row is another by
    /// now.
    pub async fn change_tool(&self, before: &Tool, after: &Tool, event: &Event) -> Result<bool> {
        let mut transaction = self.pool.begin().await?;
        let done = sqlx::query(
            "UPDATE tools SET base_url = $1, origins = $2, min_assurance = $3, scopes = $4, required_scopes = $5, access = $6, \
             callers = $7, open_scopes = $8, policy = $9, epoch = $10, seal = $11 WHERE id = $12 AND seal = $13",
        )
        .bind(after.base_url.as_str())
        .bind(after.origins.to_list().join(" "))
        .bind(after.min_assurance.as_str())
        .bind(after.scopes.to_string())
        .bind(after.required_scopes.to_string())
        .bind(after.access.as_str())
        .bind(after.callers.to_string())
        .bind(after.open_scopes.to_string())
        .bind(tool_policy::text(&after.policy))
        .bind(epoch_of(&after.seal))
        .bind(mac_of(&after.seal))
        .bind(before.id.as_str())
        .bind(mac_of(&before.seal))
        .execute(&mut *transaction)
        .await?;
        self.commit_if_changed(transaction, &done, event).await
    }

    /// Removes, with its grants; whether there was one.
    pub async fn remove_tool(&self, id: &ToolId, event: &Event) -> Result<bool> {
        let mut transaction = self.pool.begin().await?;
        // A tool of the same id that is added later is another one: no user has a grant of it.
        lock(&mut transaction, id).await?;
        sqlx::query("DELETE FROM tool_grants WHERE tool = $1").bind(id.as_str()).execute(&mut *transaction).await?;
        let done = sqlx::query("DELETE FROM tools WHERE id = $1").bind(id.as_str()).execute(&mut *transaction).await?;
        self.commit_if_changed(transaction, &done, event).await
    }
}

/// Every change of a tool's grants, and its removal, begins here: one of two waits for the other. Whether there is such a tool.
pub(crate) async fn lock(inside: &mut InTransaction, tool: &ToolId) -> Result<bool> {
    let done = sqlx::query("UPDATE tools SET id = id WHERE id = $1").bind(tool.as_str()).execute(&mut *inside).await?;
    Ok(done.rows_affected() > 0)
}

pub(crate) fn read(row: &AnyRow) -> Result<Tool> {
    let columns = Columns { table: "tools", row };
    Ok(Tool {
        id: columns.parsed("id", |text| ToolId::parse(text).ok())?,
        base_url: columns.parsed("base_url", base_url)?,
        origins: columns.parsed("origins", origins)?,
        min_assurance: columns.parsed("min_assurance", assurance)?,
        scopes: columns.parsed("scopes", |text| Scopes::parse(text).ok())?,
        required_scopes: columns.parsed("required_scopes", |text| Scopes::parse(text).ok())?,
        access: columns.parsed("access", Access::from_word)?,
        callers: columns.parsed("callers", |text| CallerKinds::parse(text).ok())?,
        open_scopes: columns.parsed("open_scopes", |text| Scopes::parse(text).ok())?,
        policy: columns.parsed("policy", tool_policy::of_text)?,
        created_at: columns.time("created_at")?,
        seal: columns.seal("epoch", "seal")?,
    })
}

fn origins(text: &str) -> Option<ToolOrigins> {
    if text == "*" {
        return Some(ToolOrigins::AnyRegistered);
    }
    Some(ToolOrigins::Only(text.split(' ').map(StoredOrigin::of_row).collect::<Option<_>>()?))
}

fn base_url(text: &str) -> Option<StoredOrigin> {
    let stored = StoredOrigin::of_row(text)?;
    stored.origin().is_none_or(|origin| origin.wildcard_host().is_none()).then_some(stored)
}
