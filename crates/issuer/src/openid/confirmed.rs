//! Proof that the same person is still there: a fresh sign-in with a provider stands where an account with a password asks for
//! the password. A thief of an access token alone can't do it.

use super::service::OpenidService;
use crate::account::service::{AccountService, SignedIn};
use crate::error::IssuerError;
use bmap_model::account::SessionProof;
use bmap_model::account::step_up::StepUp;
use bmap_model::openid::IdentityKey;
use bmap_model::openid::flow::Intent;
use zeroize::Zeroizing;

impl OpenidService {
    /// Decides whether a sign-in with that provider, begun with the intent to confirm, was by the signed-in user.
    ///
    /// # Errors
    /// [`IssuerError::UnknownSignInCode`] for any other.
    pub async fn confirm(
        &self,
        signed_in: &SignedIn,
        name: &str,
        code: &str,
        verifier: &Zeroizing<String>,
    ) -> Result<(), IssuerError> {
        self.still(signed_in, name, code, verifier, Intent::Confirm).await.map(|_| ())
    }

    /// A step-up for a sign-in with that provider, begun with the intent to step up, of the user who is signed in.
    ///
    /// # Errors
    /// [`IssuerError::UnknownSignInCode`] for any other.
    pub async fn step_up(
        &self,
        accounts: &AccountService,
        signed_in: &SignedIn,
        name: &str,
        code: &str,
        verifier: &Zeroizing<String>,
    ) -> Result<StepUp, IssuerError> {
        let key = self.still(signed_in, name, code, verifier, Intent::StepUp).await?;
        let provider = &self.connection(name)?.provider().name;
        accounts.step_up_by(signed_in, SessionProof::Openid { provider, key: &key, email: None }).await
    }

    /// Whose sign-in it was, if it was that of the user who is signed in.
    async fn still(
        &self,
        signed_in: &SignedIn,
        name: &str,
        code: &str,
        verifier: &Zeroizing<String>,
        intent: Intent,
    ) -> Result<IdentityKey, IssuerError> {
        let provider = self.connection(name)?.provider();
        let vouched = self.vouched(code, verifier, intent).await?;
        if vouched.key.issuer != provider.issuer.as_str() {
            return Err(IssuerError::UnknownSignInCode);
        }
        let known = self.known(&vouched.key).await?;
        let is_theirs = known.is_some_and(|(identity, _)| identity.user == signed_in.user.id);
        if is_theirs { Ok(vouched.key) } else { Err(IssuerError::UnknownSignInCode) }
    }
}
