//! The proof that a request was verified, which a tool's handler gets.

use crate::keys::ApiKeyGrant;
use crate::token_cache::{KnownToken, Proven};
use bmap_protocol::origin::Origin;
use bmap_protocol::token::{Assurance, Claims};
use std::fmt;
use std::sync::Arc;

/// A request that passed all thirteen steps. Made in one place, the end of [`crate::Verifier::verify`]; in tests of a tool also by `Verified::for_test`, which
/// needs the feature `test`.
///
/// ```
/// use bmap_verifier::Verified;
///
/// /// A handler of axum takes it as an argument; others find it in the request's extensions.
/// async fn search(caller: Verified) -> String {
///     if !caller.has_scope("geo.search") {
///         return "a token with the scope geo.search is needed".to_owned();
///     }
///     let page = caller.origin().map_or("a direct caller", |origin| origin.as_str());
///     format!("for {} on {page}", caller.subject())
/// }
/// ```
#[derive(Clone)]
pub struct Verified {
    principal: Principal,
}

/// The signer of a request.
///
/// ```
/// use bmap_verifier::{Principal, Verified};
///
/// /// What to count a request to.
/// fn counted_to(caller: &Verified) -> &str {
///     match caller.principal() {
///         Principal::Token(token) => token.claims().client_id.as_str(),
///         Principal::ApiKey(key) => key.id.as_str(),
///         _ => "other",
///     }
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Principal {
    /// The holder of a tool token.
    Token(Arc<KnownToken>),
    /// An API key that signed by itself; at the issuer and the gateway only.
    ApiKey(Arc<ApiKeyGrant>),
}

/// What proved a request.
///
/// ```
/// use bmap_verifier::{ProofKind, Verified, test::TestClaims};
///
/// assert_eq!(Verified::for_test(TestClaims::of("geo")).proof(), ProofKind::Signature);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProofKind {
    /// A signature over the request (profile §4): path, query and body are the ones that were signed.
    Signature,
    /// A capability URL (profile §10): it opens a path for many requests, and covers neither query nor body.
    Capability,
}

impl Verified {
    /// For the one function that decides.
    pub(super) const fn new(principal: Principal) -> Self {
        Self { principal }
    }

    /// A caller for a test of a handler: nothing is signed and nothing verified. A handler of axum is called with it as with any argument, or finds it in
    /// the extensions of a request.
    ///
    /// ```
    /// use bmap_verifier::{Verified, test::TestClaims};
    ///
    /// async fn search(caller: Verified) -> String {
    ///     format!("for {}", caller.end_user().unwrap_or("a stranger"))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let caller = Verified::for_test(TestClaims::of("geo").end_user("visitor 17"));
    /// assert_eq!(search(caller).await, "for visitor 17");
    /// # });
    /// ```
    #[cfg(feature = "test")]
    pub fn for_test(claims: crate::test::TestClaims) -> Self {
        Self::new(Principal::Token(Arc::new(KnownToken::for_test(claims.unsigned()))))
    }

    /// What proved the request.
    ///
    /// ```
    /// use bmap_verifier::{ProofKind, Verified};
    ///
    /// /// A query that decides something has to be signed: a capability covers the path alone.
    /// fn may_choose_by_query(caller: &Verified) -> bool {
    ///     caller.proof() == ProofKind::Signature
    /// }
    /// ```
    pub fn proof(&self) -> ProofKind {
        match &self.principal {
            Principal::Token(token) => match token.proven {
                Proven::Session { .. } => ProofKind::Signature,
                Proven::Capability { .. } => ProofKind::Capability,
            },
            Principal::ApiKey(_) => ProofKind::Signature,
        }
    }

    /// The signer.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The token's claims; `None` for an API key.
    pub fn claims(&self) -> Option<&Claims> {
        match &self.principal {
            Principal::Token(token) => Some(token.claims()),
            Principal::ApiKey(_) => None,
        }
    }

    /// The user's id, or `anon`.
    pub fn subject(&self) -> &str {
        match &self.principal {
            Principal::Token(token) => token.claims().subject.as_str(),
            Principal::ApiKey(key) => key.owner.as_str(),
        }
    }

    /// The API key that the token was granted to, or that signed.
    pub fn client_id(&self) -> &str {
        match &self.principal {
            Principal::Token(token) => token.claims().client_id.as_str(),
            Principal::ApiKey(key) => key.id.as_str(),
        }
    }

    /// The page's origin; `None` for direct callers.
    pub fn origin(&self) -> Option<&Origin> {
        self.claims().and_then(|claims| claims.origin.as_ref())
    }

    /// The host's own user id, vouched for by the host's backend.
    pub fn end_user(&self) -> Option<&str> {
        self.claims().and_then(|claims| claims.end_user.as_deref())
    }

    /// How sure the issuer is. An API key that signs is a server.
    pub fn assurance(&self) -> Assurance {
        self.claims().map_or(Assurance::Server, |claims| claims.assurance)
    }

    /// Whether the token has a scope. An API key's limits are its row's.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.claims().is_some_and(|claims| claims.has_scope(scope))
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("subject", &self.subject())
            .field("client_id", &self.client_id())
            .field("origin", &self.origin().map(Origin::as_str))
            .field("assurance", &self.assurance().as_str())
            .finish_non_exhaustive()
    }
}
