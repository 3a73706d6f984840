//! Capabilities (profile §10): minted with a tool token, for the paths below one prefix of its tool.

use crate::error::IssuerError;
use crate::error::lack::ToolLack;
use crate::grant::within;
use crate::issuer::Issuer;
use crate::keys::form::invalid;
use crate::signed::renewable;
use bmap_model::audit::{Action, Actor, Event, Source};
use bmap_model::scope::Scopes;
use bmap_protocol::capability::{self, CapabilityMac};
use bmap_protocol::token::{Assurance, Claims};
use bmap_protocol::tool_policy::Proof;
use zeroize::Zeroizing;

/// A minted capability.
#[derive(Debug)]
pub struct MintedCapability {
    /// Its text, for the parameter `bmap-cap`.
    pub text: Zeroizing<String>,
    /// Seconds until its end.
    pub expires_in: i64,
    /// Its scopes.
    pub scope: Scopes,
}

impl Issuer {
    /// Mints a capability for a caller whose token signed the request: for the token's tool, page and user, with its scopes or some of them.
    ///
    /// # Errors
    /// [`IssuerError`]: what a renewal of the token would be refused with; [`ToolLack::Capabilities`] where the tool's policy does not list the proof;
    /// [`IssuerError::Invalid`] for a prefix that is none.
    pub async fn grant_capability(
        &self,
        token: &Claims,
        path_prefix: &str,
        scope: Option<Scopes>,
        source: &Source,
    ) -> Result<MintedCapability, IssuerError> {
        let current = renewable(token)?;
        source.acts_as(match current.assurance {
            Assurance::User => Actor::User(current.user.clone()),
            _ => Actor::ApiKey { key: current.key.clone(), owner: current.user.clone() },
        });
        if !capability::is_path_prefix(path_prefix) {
            return Err(invalid("path_prefix", "a path that begins and ends with a slash, like /v1/tiles/"));
        }
        if self.store.is_token_revoked(token).await? {
            return Err(IssuerError::SessionOver);
        }
        let session = self.session_of(&current).await?;
        let opened = self.open_key(&current.key).await?;
        let entitled = self.still_entitled(&current, session.as_ref(), &opened).await?;
        let policy = &entitled.tool.policy;
        if !policy.takes(Proof::Capability) {
            return Err(IssuerError::ToolDenied(ToolLack::Capabilities));
        }
        if path_prefix == "/" && !policy.capability_root {
            return Err(invalid("path_prefix", "a path below /: the tool's policy has no capability_root"));
        }
        let scope = entitled.scope(Some(within(scope, current.scope.clone())?))?;

        let now = self.clock.now().seconds();
        // Not longer than what it is minted with: the session, or without one the token.
        let end = session
            .as_ref()
            .map_or(i64::try_from(token.expires_at).unwrap_or(0), |session| session.expires_at.seconds());
        let longest = now.saturating_add(i64::try_from(capability::MAX_LIFE).unwrap_or(0));
        let expires_at = end.min(longest);
        if expires_at <= now {
            return Err(IssuerError::SessionOver);
        }
        let epoch = self.roots.minting();
        let key = CapabilityMac::new(&epoch.tool_key(&self.url, &entitled.tool.id).capability_key());
        let claims = Claims { scope: scope.to_string().into(), ..token.clone() };
        let seconds = u64::try_from(expires_at).unwrap_or(0);
        let text = Zeroizing::new(key.mint(&claims, epoch.epoch(), path_prefix, seconds));
        let event = Event::done(Action::CapabilityGrant, source, self.clock.now()).on(&entitled.tool.id);
        let event = match &current.session {
            Some(session) => event.with("session", session),
            None => event,
        };
        self.audit.record(event.with("scope", &scope)).await?;
        Ok(MintedCapability { text, expires_in: expires_at.saturating_sub(now), scope })
    }
}
