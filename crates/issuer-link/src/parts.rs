//! What a verifier gets of a link: its keys, and who is denied.

use crate::running::Running;
use bmap_protocol::ids::{ApiKeyId, ToolId};
use bmap_protocol::keys::ToolKey;
use bmap_protocol::refusal::Refusal;
use bmap_protocol::token::UnverifiedToken;
use bmap_verifier::{ApiKeyGrant, Keys, Principal, Standing, ToolKeys};
use std::fmt;
use std::sync::Arc;

/// The keys of the tool's credential. An unknown key of the issuer makes the link look for a new one.
///
/// ```
/// use bmap_issuer_link::{LinkKeys, LinkStanding};
/// use bmap_verifier::{MemoryReplayStore, Verifier};
///
/// /// The type of what [`bmap_issuer_link::Link::verifier`] makes, spelled out.
/// type Mine = Verifier<LinkKeys, MemoryReplayStore, LinkStanding>;
/// # fn same(verifier: Mine) -> bmap_issuer_link::LinkedVerifier { verifier }
/// ```
#[derive(Clone)]
pub struct LinkKeys {
    pub(crate) keys: ToolKeys,
    pub(crate) running: Arc<Running>,
}

impl Keys for LinkKeys {
    fn try_tool_keys(&self, token: &UnverifiedToken<'_>, try_key: &mut dyn FnMut(&ToolId, u32, &ToolKey) -> bool) {
        self.keys.try_tool_keys(token, try_key);
    }

    fn each_tool_key(&self, try_key: &mut dyn FnMut(&ToolId, u32, &ToolKey) -> bool) {
        self.keys.each_tool_key(try_key);
    }

    async fn api_key(&self, _: &ApiKeyId) -> Result<Option<ApiKeyGrant>, Refusal> {
        Ok(None)
    }

    fn issuer_key_unknown(&self) {
        self.running.shared.issuer_key_unknown();
    }
}

/// The denials that are in force, and whether the link may still be relied on. It waits for nothing.
///
/// ```
/// use bmap_issuer_link::LinkStanding;
/// use bmap_verifier::{Principal, Refusal, Standing};
///
/// /// The link's answer, and a tool's own list beside it.
/// struct Both(LinkStanding, Vec<String>);
///
/// impl Standing for Both {
///     async fn check(&self, principal: &Principal) -> Result<(), Refusal> {
///         self.0.check(principal).await?;
///         match principal {
///             Principal::Token(token) if self.1.iter().any(|user| user == token.claims().subject.as_str()) => {
///                 Err(Refusal::Denied(bmap_verifier::protocol::refusal::Denial::UserInactive))
///             }
///             _ => Ok(()),
///         }
///     }
/// }
/// # let _ = Both;
/// ```
#[derive(Clone)]
pub struct LinkStanding {
    pub(crate) running: Arc<Running>,
}

impl Standing for LinkStanding {
    async fn check(&self, principal: &Principal) -> Result<(), Refusal> {
        let shared = &self.running.shared;
        shared.check_staleness()?;
        match principal {
            Principal::Token(token) => shared.denials.check(token.claims()),
            Principal::ApiKey(key) => shared.denials.check_key(key.id.as_str(), key.owner.as_str()),
            // A kind of principal that is not known here can't be looked up.
            _ => Err(Refusal::IssuerUnavailable),
        }
    }
}

impl fmt::Debug for LinkKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkKeys").finish_non_exhaustive()
    }
}

impl fmt::Debug for LinkStanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkStanding").finish_non_exhaustive()
    }
}
