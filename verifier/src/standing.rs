//! Whether a proven principal is still in good standing (profile §5, step 8).

use crate::verified::Principal;
use bmap_protocol::refusal::Refusal;

/// Asked for each request after its proof held, and never before: an unproven caller learns nothing of an account.
pub trait Standing: Send + Sync + 'static {
    /// Refuses a revoked token or key, or an inactive user.
    ///
    /// # Errors
    /// [`Refusal::Denied`], or [`Refusal::IssuerUnavailable`] where it can't be known.
    fn check(&self, principal: &Principal) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// A tool that holds no revocation list: a token works until it ends, at most 600 s, and its renewal is refused.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRevocations;

impl Standing for NoRevocations {
    async fn check(&self, _: &Principal) -> Result<(), Refusal> {
        Ok(())
    }
}
