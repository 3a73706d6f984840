//! Token introspection (RFC 7662) of tool tokens: for the API key that a token was granted to, and for verifiers of the tool that it is for.

use crate::error::IssuerError;
use crate::issuer::Issuer;
use crate::signed::renewable;
use bmap_model::session::TokenId;
use bmap_protocol::check::Window;
use bmap_protocol::ids::{ApiKeyId, ToolId};
use bmap_protocol::token::{Claims, Confirmation, MAX_LIFE, TokenFault};

/// A proved caller that asks about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// An API key.
    Client(ApiKeyId),
    /// A verifier of this tool.
    Verifier(ToolId),
}

impl Viewer {
    /// Whether a token is its own: granted to the key, or for the tool. Another one is answered like a text that is no token (§2.2).
    fn may_see(&self, claims: &Claims) -> bool {
        match self {
            Viewer::Client(key) => claims.client_id == *key,
            Viewer::Verifier(tool) => claims.audience == *tool,
        }
    }
}

impl Issuer {
    /// The claims of a token that is active; `None` for everything else. Active is a token that would be taken and could be had now: signature and times
    /// hold, it was not revoked, and its session, key, users, tool and grants stand.
    ///
    /// # Errors
    /// [`IssuerError`] where that can't be found out: an answer would say that a good token is not active.
    pub async fn introspect(&self, token: &str, viewer: &Viewer) -> Result<Option<Claims>, IssuerError> {
        // Nothing is looked up for a token of others.
        let Some(claims) = self.issued(token).filter(|claims| viewer.may_see(claims)) else { return Ok(None) };
        match self.stands(&claims).await {
            Ok(()) => Ok(Some(claims)),
            Err(fault) if fault.code().status() >= 500 => Err(fault),
            Err(refusal) => {
                tracing::info!(token = &*claims.id, %refusal, "a token that was asked about is not active");
                Ok(None)
            }
        }
    }

    async fn stands(&self, claims: &Claims) -> Result<(), IssuerError> {
        let over = || IssuerError::Signed(TokenFault::Times.into());
        if TokenId::parse(&claims.id).is_none() || !self.is_in_time(claims) {
            return Err(over());
        }
        if self.store.is_token_revoked(claims).await? {
            return Err(IssuerError::SessionOver);
        }
        let current = renewable(claims)?;
        let session = self.session_of(&current).await?;
        let opened = self.open_key(&current.key).await?;
        let entitled = self.still_entitled(&current, session.as_ref(), &opened).await?;
        entitled.scope(Some(current.scope)).map(|_| ())
    }

    /// Whether a verifier with a right clock would take it, and has the key that it is signed under: [`bmap_protocol::check::claims`] without a request.
    fn is_in_time(&self, claims: &Claims) -> bool {
        let now = u64::try_from(self.clock.now().seconds()).unwrap_or(0);
        let ahead = now.saturating_add(Window::DEFAULT.future.into());
        let life = claims.expires_at.saturating_sub(claims.issued_at);
        let Confirmation::Session { epoch, .. } = &claims.confirmation else { return false };
        now < claims.expires_at
            && (1..=MAX_LIFE).contains(&life)
            && claims.issued_at <= ahead
            && claims.not_before.is_none_or(|not_before| not_before <= ahead)
            && self.roots.of(*epoch).is_some()
    }
}
