//! That it is still they: a fresh sign-in with a provider stands where an account with a password asks for the password. Whoever
//! only got hold of an access token can't do it.

use super::flow::Intent;
use super::service::OpenidService;
use crate::domain::account::service::SignedIn;
use crate::domain::refusal::Refusal;
use zeroize::Zeroizing;

impl OpenidService {
    /// Decides whether a sign-in with that provider, begun with the intent to confirm, was by whoever is signed in.
    ///
    /// # Errors
    /// [`Refusal::UnknownSignInCode`] for any other.
    pub async fn confirm(
        &self,
        signed_in: &SignedIn,
        name: &str,
        code: &str,
        verifier: &Zeroizing<String>,
    ) -> Result<(), Refusal> {
        let provider = self.connection(name)?.provider();
        let vouched = self.vouched(code, verifier, Intent::Confirm).await?;
        if vouched.key.issuer != provider.issuer.as_str() {
            return Err(Refusal::UnknownSignInCode);
        }
        let known = self.known(&vouched.key).await?;
        let is_theirs = known.is_some_and(|(identity, _)| identity.user == signed_in.user.id);
        if is_theirs { Ok(()) } else { Err(Refusal::UnknownSignInCode) }
    }
}
