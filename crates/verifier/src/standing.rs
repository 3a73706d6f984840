//! Whether a proven principal is still in good standing (profile §5, step 8).

use crate::verify::verified::Principal;
use bmap_protocol::refusal::Refusal;

/// Asked for each request after its proof held, and never before: an unproven caller learns nothing of an account.
///
/// ```
/// use bmap_verifier::protocol::refusal::Denial;
/// use bmap_verifier::{Principal, Refusal, Standing};
/// use std::collections::HashSet;
///
/// /// Users that this tool does not serve.
/// struct Blocked(HashSet<String>);
///
/// impl Standing for Blocked {
///     async fn check(&self, principal: &Principal) -> Result<(), Refusal> {
///         let user = match principal {
///             Principal::Token(token) => token.claims().subject.as_str(),
///             Principal::ApiKey(key) => key.owner.as_str(),
///             _ => return Ok(()),
///         };
///         if self.0.contains(user) { Err(Refusal::Denied(Denial::UserInactive)) } else { Ok(()) }
///     }
/// }
/// ```
pub trait Standing: Send + Sync + 'static {
    /// Refuses a revoked token or key, or an inactive user.
    ///
    /// # Errors
    /// [`Refusal::Denied`], or [`Refusal::IssuerUnavailable`] where it can't be known.
    fn check(&self, principal: &Principal) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// A tool that holds no revocation list: a token works until it ends, at most 600 s, and its renewal is refused.
///
/// ```
/// # use bmap_verifier::protocol::{ids::{Issuer, ToolId}, keys::ToolKey, token::{Assurance, IssuerKey}};
/// # let issuer_key = ed25519_dalek::SigningKey::from_bytes(&[2; 32]).verifying_key().to_bytes();
/// # let credential = bmap_verifier::ToolCredential {
/// #     issuer: Issuer::parse("https://auth.example").unwrap(),
/// #     tool: ToolId::parse("geo").unwrap(),
/// #     own: vec!["https://geo.example".parse().unwrap()],
/// #     epochs: vec![(1, ToolKey::from_bytes([1; 32]))],
/// #     issuer_keys: vec![IssuerKey::new("bj1.a", &issuer_key).unwrap()],
/// #     origins: bmap_verifier::AllowedOrigins::NamedByToken,
/// #     min_assurance: Assurance::Origin,
/// #     scopes: Vec::new(),
/// #     policy: Default::default(),
/// # };
///
/// use bmap_verifier::{MemoryReplayStore, NoRevocations, Policy, ReplayLimits, ToolKeys, Verifier};
///
/// let policy = Policy::of(&credential);
/// let replay = MemoryReplayStore::new(ReplayLimits::default(), policy.window, 1_764_000_000);
/// let keys = ToolKeys::new(credential.tool, credential.epochs);
/// let verifier = Verifier::new(
///     credential.issuer, credential.issuer_keys, credential.own, policy, keys, replay, NoRevocations,
/// );
/// # let _ = verifier;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRevocations;

impl Standing for NoRevocations {
    async fn check(&self, _: &Principal) -> Result<(), Refusal> {
        Ok(())
    }
}
