//! Grants of tools.

use super::Result;
use crate::clock::UnixMillis;
use crate::domain::account::step_up::SteppedUp;
use crate::domain::api_key::{KeyScope, SealedApiKey};
use crate::domain::audit::Event;
use crate::domain::grant_upgrade::{Former, Upgrade};
use crate::domain::refusal::Refusal;
use crate::domain::tool_grant::{ToolGrant, ToolOfUser};
use bmap_protocol::ids::{ToolId, UserId};

/// Makes a grant, with its entry in the audit log, of the present one; `None` for no change.
pub type Widen<'a> = dyn Fn(&ToolOfUser) -> std::result::Result<Option<(ToolGrant, Event)>, Refusal> + Sync + 'a;

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

/// Grants of tools. Every change begins with the tool's row, so of two changes of one tool's grants the second sees the rows that the
/// first left.
pub trait ToolGrants {
    /// A tool with the grant that a user has of it; one look-up, in a statement with those of other callers.
    fn tool_of_user(&self, tool: &ToolId, user: &UserId) -> impl Future<Output = Result<Option<ToolOfUser>>> + Send;
    /// Gives a grant, in the place of any that the user has of the tool. [`StoreError::StepUp`](super::StoreError::StepUp), and nothing changes,
    /// if the step-up was used meanwhile.
    fn give_grant(
        &self,
        grant: &ToolGrant,
        stepped_up: Option<&SteppedUp>,
        event: &Event,
    ) -> impl Future<Output = Result<Given>> + Send;
    /// Takes a grant away; whether there was one. As [`give_grant`](Self::give_grant).
    fn revoke_grant(
        &self,
        tool: &ToolId,
        user: &UserId,
        stepped_up: Option<&SteppedUp>,
        event: &Event,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// Grants of a tool, or of all, behind one of them in the order of tool and user.
    fn grants(
        &self,
        tool: Option<&ToolId>,
        after: Option<(&ToolId, &UserId)>,
        most: u16,
    ) -> impl Future<Output = Result<Vec<ToolGrant>>> + Send;
    /// Grants of a user, by tool.
    fn grants_of_user(&self, user: &UserId) -> impl Future<Output = Result<Vec<ToolGrant>>> + Send;
    /// Tools that signed-in users had tokens of since then, with these users, as far as the newest entries of the audit log say.
    fn tools_of_signed_in_users(
        &self,
        since: UnixMillis,
        entries: i64,
    ) -> impl Future<Output = Result<Vec<(ToolId, UserId)>>> + Send;
    /// Adds a key, and gives its owner what `widen` says of each of these tools: all in one transaction.
    fn add_key_with_grants(
        &self,
        key: &SealedApiKey,
        scope: &KeyScope,
        event: &Event,
        tools: &[ToolId],
        widen: &Widen<'_>,
    ) -> impl Future<Output = std::result::Result<Vec<ToolGrant>, Refusal>> + Send;
}

/// The upgrade of a database from before there were grants.
pub trait GrantsUpgrade {
    /// Whether the upgrade to grants is still to be done.
    fn grants_upgrade_is_pending(&self) -> impl Future<Output = Result<bool>> + Send;
    /// Does the upgrade that `plan` makes of the present rows, in one transaction: whole or not at all, and by one process. `None` where
    /// another one did it.
    fn upgrade_grants<E: From<super::StoreError> + Send>(
        &self,
        plan: &(dyn Fn(&Former) -> std::result::Result<Upgrade, E> + Sync),
    ) -> impl Future<Output = std::result::Result<Option<Upgrade>, E>> + Send;
}
