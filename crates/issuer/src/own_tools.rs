//! The tools that a user may have.

use super::error::IssuerError;
use super::issuer::Issuer;
use bmap_model::clock::UnixTime;
use bmap_model::scope::Scopes;
use bmap_model::tool::Tool;
use bmap_model::tool_grant::ToolOfUser;
use bmap_protocol::ids::{ToolId, UserId};
use std::collections::HashMap;

/// A tool that is open to a user, or granted.
#[derive(Debug)]
pub struct OwnTool {
    /// The tool.
    pub tool: Tool,
    /// The scopes that a token of the user's may have at most.
    pub scopes: Scopes,
    /// The end of the grant; `None` without one, and for a grant without end.
    pub ends_at: Option<UnixTime>,
}

impl Issuer {
    /// The tools that are open to a user, or granted, by id. One whose row is not as it was written is left out: it gets no tokens.
    ///
    /// # Errors
    /// [`IssuerError`] where the database does not answer.
    pub async fn tools_of(&self, user: &UserId) -> Result<Vec<OwnTool>, IssuerError> {
        let (tools, grants) = tokio::try_join!(self.store.tools(), self.store.grants_of_user(user))?;
        let mut grants: HashMap<ToolId, _> = grants.into_iter().map(|grant| (grant.tool.clone(), grant)).collect();
        let now = self.clock.now();
        let own = tools.into_iter().filter(|tool| tool.check_seal(&self.roots).is_ok()).filter_map(|tool| {
            let of_user = ToolOfUser { grant: grants.remove(&tool.id), tool };
            let scopes = of_user.scopes(&self.roots, now).ok()?.intersection(&of_user.tool.all_scopes());
            let in_force = of_user.grant.filter(|grant| grant.is_in_force(now));
            Some(OwnTool { tool: of_user.tool, scopes, ends_at: in_force.and_then(|grant| grant.ends_at) })
        });
        Ok(own.collect())
    }
}
