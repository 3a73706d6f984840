//! What a token of a test says.

use crate::credential::TEST_ISSUER;

use bmap_protocol::address_prefix::AddressPrefix;
use bmap_protocol::ids::{ApiKeyId, Issuer, ToolId, UserId};
use bmap_protocol::origin::Origin;
use bmap_protocol::token::{Assurance, Claims, Confirmation, Subject};
use std::fmt::Display;
use std::net::IpAddr;
use std::time::Duration;

/// The epoch of the keys in every credential of the test issuer.
pub(super) const EPOCH: u32 = 1;

/// What a token says: for [`crate::test::TestIssuer::token`], and for [`crate::Verified::for_test`], which needs no token.
///
/// Without more it is a direct caller's, such as a backend with its API key: a user, [`Assurance::Server`], no origin, no scope, five minutes.
///
/// ```
/// use bmap_verifier::Verified;
/// use bmap_verifier::protocol::token::Assurance;
/// use bmap_verifier::test::TestClaims;
///
/// let claims = TestClaims::of("geo").anonymous().assurance(Assurance::Origin).origin("https://shop.example").scope("search route");
/// let caller = Verified::for_test(claims);
/// assert!(caller.has_scope("route"));
/// assert_eq!((caller.subject(), caller.assurance()), ("anon", Assurance::Origin));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct TestClaims {
    claims: Claims,
    lifetime: Duration,
}

impl TestClaims {
    /// The user whom a token is about where a test does not say another.
    pub const USER: &str = "usr_01930000000070008000000000000001";
    /// The API key that a token comes from where a test does not say another.
    pub const CLIENT: &str = "bmk_01930000000070008000000000000002";

    /// A token for a tool.
    ///
    /// # Panics
    /// The id is none of a tool.
    #[track_caller]
    pub fn of(tool: &str) -> Self {
        let tool = valid(tool, ToolId::parse(tool));
        let claims = Claims {
            issuer: issuer(),
            audience: tool.clone(),
            subject: Subject::User(valid(Self::USER, UserId::parse(Self::USER))),
            client_id: valid(Self::CLIENT, ApiKeyId::parse(Self::CLIENT)),
            issued_at: 0,
            expires_at: 0,
            not_before: None,
            id: NO_ID.into(),
            scope: "".into(),
            origin: None,
            embed_origin: None,
            end_user: None,
            assurance: Assurance::Server,
            confirmation: Confirmation::Session { tool, epoch: EPOCH },
            session: None,
            address: None,
        };
        Self { claims, lifetime: Duration::from_secs(300) }
    }

    /// The user: `usr_` and 32 lower-case hex digits.
    ///
    /// # Panics
    /// The text is no user id.
    #[track_caller]
    pub fn subject(mut self, user: &str) -> Self {
        self.claims.subject = Subject::User(valid(user, UserId::parse(user)));
        self
    }

    /// No user: a public request, whose subject reads `anon`.
    pub fn anonymous(mut self) -> Self {
        self.claims.subject = Subject::Anonymous;
        self
    }

    /// The API key that the token was granted to: `bmk_` and 32 lower-case hex digits.
    ///
    /// # Panics
    /// The text is no API key id.
    #[track_caller]
    pub fn client(mut self, key: &str) -> Self {
        self.claims.client_id = valid(key, ApiKeyId::parse(key));
        self
    }

    /// How sure the issuer is of the caller.
    pub fn assurance(mut self, assurance: Assurance) -> Self {
        self.claims.assurance = assurance;
        self
    }

    /// The page that may use it. [`crate::test::SignRequest::sign`] sends it as `Origin`, as the page's browser does.
    ///
    /// # Panics
    /// The text is no serialised origin.
    #[track_caller]
    pub fn origin(mut self, origin: &str) -> Self {
        self.claims.origin = Some(valid(origin, Origin::parse(origin)));
        self
    }

    /// The page around the widget's frame.
    ///
    /// # Panics
    /// The text is no serialised origin.
    #[track_caller]
    pub fn embed_origin(mut self, origin: &str) -> Self {
        self.claims.embed_origin = Some(valid(origin, Origin::parse(origin)));
        self
    }

    /// Its scopes, with spaces between them.
    pub fn scope(mut self, scopes: &str) -> Self {
        self.claims.scope = scopes.into();
        self
    }

    /// The host's own id of the user, 1 to 256 bytes.
    pub fn end_user(mut self, id: &str) -> Self {
        self.claims.end_user = Some(id.into());
        self
    }

    /// The session that the token is renewed in, 1 to 256 bytes.
    pub fn session(mut self, id: &str) -> Self {
        self.claims.session = Some(id.into());
        self
    }

    /// From its issue to its end, whole seconds. Default: five minutes. A verifier takes 1 s to ten minutes.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// The address whose network the token is bound to.
    pub fn address(mut self, address: IpAddr) -> Self {
        self.claims.address = Some(AddressPrefix::of(address));
        self
    }

    /// As claims of a token that was issued at `issued_at`, seconds.
    pub(crate) fn issued(self, issued_at: u64, id: &str) -> Claims {
        let expires_at = issued_at.saturating_add(self.lifetime.as_secs());
        Claims { issued_at, expires_at, id: id.into(), ..self.claims }
    }

    /// As claims of a token that is nowhere: issued in 1970.
    pub(crate) fn unsigned(self) -> Claims {
        self.issued(0, NO_ID)
    }
}

/// 16 bytes of zeros as a `jti`.
const NO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// The test issuer's name.
#[track_caller]
pub(super) fn issuer() -> Issuer {
    valid(TEST_ISSUER, Issuer::parse(TEST_ISSUER))
}

/// What a test gave, or the end of that test.
#[track_caller]
pub(super) fn valid<T, E: Display>(given: &str, parsed: Result<T, E>) -> T {
    match parsed {
        Ok(parsed) => parsed,
        Err(fault) => panic!("{given:?}: {fault}"),
    }
}
