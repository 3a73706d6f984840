//! Which tool a key may have tokens for, and with which scopes at most (profile §7, "Who may have what").

use super::api_key::ApiKey;
use super::issuer::Issuer;
use super::refusal::Refusal;
use super::scope::Scopes;
use super::tool::{CallerKind, Tool};
use super::tool_grant::ToolOfUser;
use crate::store::ToolGrants;
use bmap_protocol::ids::{ToolId, UserId};

/// A tool that tokens may be made for now, and the most scopes that they may have.
#[derive(Debug)]
pub(super) struct Entitled {
    /// The tool.
    pub(super) tool: Tool,
    /// In the key's own scopes, in what its owner may have, and in what the subject may have.
    scopes: Scopes,
}

impl Issuer {
    /// The tool, where the key may have tokens for it on behalf of this kind of caller: it is one of the key's, it takes such callers, and
    /// it is open or granted to the key's owner. A tool that is not there is answered alike.
    ///
    /// # Errors
    /// [`Refusal::ToolDenied`].
    pub(super) async fn entitled(&self, key: &ApiKey, tool: &ToolId, kind: CallerKind) -> Result<Entitled, Refusal> {
        let of_owner = self.store.tool_of_user(tool, &key.owner).await?;
        self.decide(key, of_owner, kind)
    }

    /// The same for a signed-in user: the subject too has a grant, unless the tool is open.
    ///
    /// # Errors
    /// [`Refusal::ToolDenied`].
    pub(super) async fn entitled_user(
        &self,
        key: &ApiKey,
        tool: &ToolId,
        subject: &UserId,
    ) -> Result<Entitled, Refusal> {
        // Both in one statement.
        let (of_owner, of_subject) =
            tokio::try_join!(self.store.tool_of_user(tool, &key.owner), self.store.tool_of_user(tool, subject))?;
        let entitled = self.decide(key, of_owner, CallerKind::User)?;
        let of_subject = of_subject.ok_or(Refusal::ToolDenied)?;
        // The tool of the owner's row, whose seal held.
        let of_subject = ToolOfUser { tool: entitled.tool, grant: of_subject.grant };
        let scopes = entitled.scopes.intersection(of_subject.scopes(&self.roots, self.clock.now())?);
        Ok(Entitled { tool: of_subject.tool, scopes })
    }

    fn decide(&self, key: &ApiKey, of_owner: Option<ToolOfUser>, kind: CallerKind) -> Result<Entitled, Refusal> {
        let of_owner = of_owner.filter(|found| key.scope.tools.contains(&found.tool.id)).ok_or(Refusal::ToolDenied)?;
        of_owner.tool.check_seal(&self.roots).map_err(|fault| fault.of("a tool", &Refusal::ToolDenied))?;
        if !of_owner.tool.callers.contains(kind) {
            return Err(Refusal::ToolDenied);
        }
        let scopes = of_owner.scopes(&self.roots, self.clock.now())?.intersection(&of_owner.tool.all_scopes());
        let scopes = match &key.scope.scopes {
            Some(own) => scopes.intersection(own),
            None => scopes,
        };
        Ok(Entitled { tool: of_owner.tool, scopes })
    }
}

impl Entitled {
    /// The scopes of a token: those asked for or, where none are, those that the tool requires. All of them, or none.
    ///
    /// # Errors
    /// [`Refusal::ScopeDenied`].
    pub(super) fn scope(&self, asked: Option<Scopes>) -> Result<Scopes, Refusal> {
        let scope = asked.unwrap_or_else(|| self.tool.required_scopes.clone());
        if scope.is_within(&self.scopes) { Ok(scope) } else { Err(Refusal::ScopeDenied) }
    }
}
