//! The upgrade of a database from before there were grants: one transaction, done by one process.

use crate::account::users::active_admins;
use crate::audit::log::read as read_entry;
use crate::bounded::InTransaction;
use crate::keys::key_row::read as read_key;
use crate::keys::managed_keys::replace_current;
use crate::row::{Columns, epoch_of, mac_of};
use crate::tools::grants::put;
use crate::tools::tool::read as read_tool;
use crate::{Database, Result, StoreError};
use bmap_model::grant_upgrade::{Former, Upgrade};
use bmap_model::tool::Tool;

/// The mark of a database that is still to be upgraded, which the migration makes.
const MARK: &str = "grants_upgrade";

/// The upgrade of a database from before there were grants.
impl Database {
    /// Whether the upgrade to grants is still to be done.
    pub async fn grants_upgrade_is_pending(&self) -> Result<bool> {
        Ok(self.setting(MARK).await?.as_deref() == Some("pending"))
    }

    /// Does the upgrade that `plan` makes of the present rows, in one transaction: whole or not at all, and by one process. `None` where
    /// another one did it.
    pub async fn upgrade_grants<E: From<StoreError> + Send>(
        &self,
        plan: &(dyn Fn(&Former) -> std::result::Result<Upgrade, E> + Sync),
    ) -> std::result::Result<Option<Upgrade>, E> {
        let failed = |error: sqlx::Error| E::from(error.into());
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        // First the mark: of two processes that do this at once, one waits for the other and finds nothing left to do.
        let taken = sqlx::query("UPDATE settings SET value = 'done' WHERE name = $1 AND value = 'pending'").bind(MARK);
        if taken.execute(&mut *transaction).await.map_err(failed)?.rows_affected() == 0 {
            return Ok(None);
        }
        let upgrade = plan(&former(&mut transaction).await?)?;
        for (tool, seal) in &upgrade.tools {
            reseal(&mut transaction, tool, seal).await?;
        }
        for grant in &upgrade.grants {
            put(&mut transaction, grant).await?;
        }
        if let Some((before, after)) = &upgrade.first_key {
            replace_current(&mut transaction, before, after).await?;
        }
        self.record_all(&mut transaction, &upgrade.events.iter().collect::<Vec<_>>()).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(Some(upgrade))
    }
}

async fn former(inside: &mut InTransaction) -> Result<Former> {
    let tools = sqlx::query(
        "SELECT id, base_url, origins, min_assurance, scopes, required_scopes, access, callers, open_scopes, policy, created_at, epoch, seal \
         FROM tools ORDER BY id",
    )
    .fetch_all(&mut *inside)
    .await?;
    let keys = sqlx::query(
        "SELECT id, user_id, name, signing, epoch, scope, stored_hash, sealed, created_at, revoked_at \
         FROM api_keys ORDER BY id",
    )
    .fetch_all(&mut *inside)
    .await?;
    // A few, whatever was put in: an edited row counts for nothing.
    let entries = sqlx::query(
        "SELECT l.sequence, l.epoch, l.at, l.action, l.outcome, l.actor, l.actor_id, l.actor_user, l.target, l.target_id, \
         l.target_user, l.address, l.request_id, l.detail, l.mac, p.mac AS previous FROM audit_log l \
         LEFT JOIN audit_log p ON p.sequence = l.sequence - 1 \
         WHERE l.actor = 'system' AND l.action IN ('api_key.create', 'grants.upgrade') ORDER BY l.sequence LIMIT 100",
    )
    .fetch_all(&mut *inside)
    .await?;
    let previous = |row| Columns { table: "audit_log", row }.optional_text("previous");
    Ok(Former {
        tools: tools.iter().map(read_tool).collect::<Result<_>>()?,
        keys: keys.iter().map(read_key).collect::<Result<_>>()?,
        admins: active_admins(inside).await?,
        entries: entries.iter().map(|row| Ok((read_entry(row)?, previous(row)?))).collect::<Result<_>>()?,
    })
}

/// Seals a tool anew, whose seal is still the one that was read.
async fn reseal(inside: &mut InTransaction, tool: &Tool, seal: &str) -> Result<()> {
    sqlx::query(
        "UPDATE tools SET access = $1, callers = $2, open_scopes = $3, epoch = $4, seal = $5 WHERE id = $6 AND seal = $7",
    )
    .bind(tool.access.as_str())
    .bind(tool.callers.to_string())
    .bind(tool.open_scopes.to_string())
    .bind(epoch_of(&tool.seal))
    .bind(mac_of(&tool.seal))
    .bind(tool.id.as_str())
    .bind(seal)
    .execute(&mut *inside)
    .await?;
    Ok(())
}
