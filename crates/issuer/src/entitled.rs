//! Which tool a key may have tokens for, and with which scopes at most (profile §7, "Who may have what").

use super::error::IssuerError;
use super::error::lack::{ScopeLack, ToolLack};
use super::issuer::Issuer;
use bmap_model::api_key::ApiKey;
use bmap_model::scope::Scopes;
use bmap_model::tool::{CallerKind, Tool};
use bmap_model::tool_grant::{GrantError, ToolOfUser};
use bmap_protocol::ids::{ToolId, UserId};

/// A tool that tokens may be made for now, and the most scopes that they may have.
#[derive(Debug)]
pub(super) struct Entitled<'a> {
    /// The tool.
    pub(super) tool: Tool,
    key: &'a ApiKey,
    /// In the key's own scopes, in what its owner may have, and in what the subject may have.
    scopes: Scopes,
}

impl Issuer {
    /// The tool, where the key may have tokens for it on behalf of this kind of caller: it is one of the key's, it takes such callers, and
    /// it is open or granted to the key's owner. A tool that is not there is answered alike.
    ///
    /// # Errors
    /// [`IssuerError::ToolDenied`].
    pub(super) async fn entitled<'a>(
        &self,
        key: &'a ApiKey,
        tool: &ToolId,
        kind: CallerKind,
    ) -> Result<Entitled<'a>, IssuerError> {
        let of_owner = self.store.tool_of_user(tool, &key.owner).await?;
        self.decide(key, of_owner, kind)
    }

    /// The same for a signed-in user: the subject too has a grant, unless the tool is open.
    ///
    /// # Errors
    /// [`IssuerError::ToolDenied`].
    pub(super) async fn entitled_user<'a>(
        &self,
        key: &'a ApiKey,
        tool: &ToolId,
        subject: &UserId,
    ) -> Result<Entitled<'a>, IssuerError> {
        // Both in one statement.
        let (of_owner, of_subject) =
            tokio::try_join!(self.store.tool_of_user(tool, &key.owner), self.store.tool_of_user(tool, subject))?;
        let entitled = self.decide(key, of_owner, CallerKind::User)?;
        let of_subject = of_subject.ok_or(IssuerError::ToolDenied(ToolLack::Tool))?;
        // The tool of the owner's row, whose seal held.
        let of_subject = ToolOfUser { tool: entitled.tool, grant: of_subject.grant };
        let may = of_subject.scopes(&self.roots, self.clock.now()).map_err(|error| match error {
            GrantError::Denied => IssuerError::ToolDenied(ToolLack::SubjectsGrant),
            other => other.into(),
        })?;
        let scopes = entitled.scopes.intersection(may);
        Ok(Entitled { tool: of_subject.tool, key, scopes })
    }

    fn decide<'a>(
        &self,
        key: &'a ApiKey,
        of_owner: Option<ToolOfUser>,
        kind: CallerKind,
    ) -> Result<Entitled<'a>, IssuerError> {
        let denied = |lack| Err(IssuerError::ToolDenied(lack));
        let Some(of_owner) = of_owner else { return denied(ToolLack::Tool) };
        if !key.scope.tools.contains(&of_owner.tool.id) {
            return denied(ToolLack::Key);
        }
        let edited = &IssuerError::ToolDenied(ToolLack::Edited);
        of_owner.tool.check_seal(&self.roots).map_err(|fault| IssuerError::edited("a tool", fault, edited))?;
        if !of_owner.tool.callers.contains(kind) {
            return denied(ToolLack::Callers(kind.as_str()));
        }
        let scopes = of_owner.scopes(&self.roots, self.clock.now())?.intersection(&of_owner.tool.all_scopes());
        let scopes = match &key.scope.scopes {
            Some(own) => scopes.intersection(own),
            None => scopes,
        };
        Ok(Entitled { tool: of_owner.tool, key, scopes })
    }
}

impl Entitled<'_> {
    /// The scopes of a token: those asked for or, where none are, those that the tool requires. All of them, or none.
    ///
    /// # Errors
    /// [`IssuerError::ScopeDenied`].
    pub(super) fn scope(&self, asked: Option<Scopes>) -> Result<Scopes, IssuerError> {
        let scope = asked.unwrap_or_else(|| self.tool.required_scopes.clone());
        if scope.is_within(&self.scopes) { Ok(scope) } else { Err(IssuerError::ScopeDenied(self.lack(&scope))) }
    }

    fn lack(&self, asked: &Scopes) -> ScopeLack {
        let unknown = asked.beyond(&self.tool.all_scopes());
        if !unknown.is_empty() {
            return ScopeLack::Tool;
        }
        match self.key.scope.scopes.as_ref().map(|own| asked.beyond(own)) {
            Some(beyond) if !beyond.is_empty() => ScopeLack::Key(beyond),
            _ => ScopeLack::Grant(asked.beyond(&self.scopes)),
        }
    }
}
