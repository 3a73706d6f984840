//! An issuer without a process: keys, credentials and tokens.

use super::claims::{EPOCH, TestClaims, issuer, valid};
use super::rng;
use crate::allowed_origins::AllowedOrigins;
use crate::clock::UnixTime;
use crate::credential::{ToolCredential, base_origin};
use base64ct::{Base64UrlUnpadded, Encoding};

use bmap_protocol::capability::CapabilityMac;
use bmap_protocol::ids::ToolId;
use bmap_protocol::keys::{MacKey, RootSecret, TokenDigest, ToolKey};
use bmap_protocol::sign::RequestKey;
use bmap_protocol::token::{Assurance, Claims, Confirmation, IssuerKey, TYPE};
use bmap_protocol::tool_policy::ToolPolicy;
use ed25519_dalek::{Signer, SigningKey};
use serde::Serialize;
use std::fmt;

/// The id of the test issuer's one key.
const KEY_ID: &str = "bj1.test";

/// Makes credentials of tools and tokens for them, with keys of its own.
///
/// ```
/// use bmap_verifier::test::{TestClaims, TestIssuer};
/// use bmap_verifier::{SystemClock, Verifier};
///
/// let issuer = TestIssuer::new();
/// let credential = issuer.credential("geo", "https://geo.example");
/// assert_eq!(credential.issuer.as_str(), "https://issuer.test");
/// let verifier = Verifier::from_credential(credential, SystemClock.now());
/// let token = issuer.token(TestClaims::of("geo").scope("search"), SystemClock.now());
/// assert!(token.claims().has_scope("search"));
/// # let _ = verifier;
/// ```
pub struct TestIssuer {
    root: RootSecret,
    key: SigningKey,
}

/// A token and its signing key, as the issuer hands them to a page.
///
/// ```
/// use bmap_verifier::test::{SignRequest, TestClaims, TestIssuer};
/// use bmap_verifier::SystemClock;
/// use http::Request;
///
/// let token = TestIssuer::new().token(TestClaims::of("geo"), SystemClock.now());
/// let request = Request::get("https://geo.example/v1/search?q=Sofia").body("")?.sign(&token, SystemClock.now());
/// assert_eq!(request.headers()["authorization"], format!("HTTPSig {}", token.compact()));
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone)]
pub struct TestToken {
    compact: String,
    claims: Claims,
    key: RequestKey,
}

#[derive(Serialize)]
struct Header {
    alg: &'static str,
    typ: &'static str,
    kid: &'static str,
}

#[derive(Serialize)]
struct Wire<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    client_id: &'a str,
    iat: u64,
    exp: u64,
    jti: &'a str,
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embed_origin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_user: Option<&'a str>,
    asr: Assurance,
    cnf: WireConfirmation,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    adr: Option<String>,
}

#[derive(Serialize)]
struct WireConfirmation {
    kid: String,
}

impl TestIssuer {
    /// An issuer with random keys: its credentials are worth nothing outside of this process.
    #[track_caller]
    #[expect(clippy::new_without_default, reason = "a default that is another one each time would surprise")]
    pub fn new() -> Self {
        Self::from_bytes(rng::bytes())
    }

    /// The issuer whose keys follow from these bytes, the same in every process: for a tool that a test starts as a process of its own.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let key = MacKey::from_key_bytes(&bytes).mac(b"bmap-verifier: the test issuer's Ed25519 key");
        Self { root: RootSecret::from_bytes(bytes), key: SigningKey::from_bytes(&key) }
    }

    /// The credential of a tool that is called at `base_url`. Pages, assurance and scopes are left open: a test that narrows them changes the
    /// fields. A tool that is a process gets [`ToolCredential::expose`] as `BMAP_TOOL_CREDENTIAL`.
    ///
    /// # Panics
    /// The id is none of a tool, or the URL none of http or https.
    #[track_caller]
    pub fn credential(&self, tool: &str, base_url: &str) -> ToolCredential {
        let tool = valid(tool, ToolId::parse(tool));
        let own = valid(base_url, base_origin(base_url).ok_or("not a URL like https://geo.example"));
        let issuer_key = IssuerKey::new(KEY_ID, &self.key.verifying_key().to_bytes());
        ToolCredential {
            issuer: issuer(),
            own: vec![own],
            epochs: vec![(EPOCH, self.tool_key(&tool))],
            issuer_keys: vec![valid(KEY_ID, issuer_key)],
            origins: AllowedOrigins::NamedByToken,
            min_assurance: Assurance::Origin,
            scopes: Vec::new(),
            policy: ToolPolicy::default(),
            tool,
        }
    }

    /// A token that is issued at `now`, with an id of its own.
    #[track_caller]
    pub fn token(&self, claims: TestClaims, now: UnixTime) -> TestToken {
        let id = Base64UrlUnpadded::encode_string(&rng::bytes::<16>());
        let claims = claims.issued(u64::try_from(now.seconds()).unwrap_or(0), &id);
        let header = Header { alg: "EdDSA", typ: TYPE, kid: KEY_ID };
        let signed = format!("{}.{}", part(&header), part(&Wire::of(&claims)));
        let signature = Base64UrlUnpadded::encode_string(&self.key.sign(signed.as_bytes()).to_bytes());
        let compact = format!("{signed}.{signature}");
        let key = self.tool_key(&claims.audience).signing_key(&TokenDigest::of(compact.as_bytes()));
        let key = valid("the token", RequestKey::token(&key, &compact));
        TestToken { compact, claims, key }
    }

    /// A capability for the paths below a prefix, from `now` on for the claims' lifetime: 300 s where a test does not say less. It stands last in a query,
    /// as `bmap-cap=…` (profile §10); the tool's policy lists the proof.
    ///
    /// ```
    /// use bmap_verifier::test::{TestClaims, TestIssuer};
    /// use bmap_verifier::SystemClock;
    ///
    /// let capability = TestIssuer::new().capability(TestClaims::of("geo").scope("tiles"), "/v1/tiles/", SystemClock.now());
    /// assert!(format!("/v1/tiles/7/72/47.mvt?bmap-cap={capability}").contains("bmap-cap=bmc1."));
    /// ```
    #[track_caller]
    pub fn capability(&self, claims: TestClaims, path_prefix: &str, now: UnixTime) -> String {
        let id = Base64UrlUnpadded::encode_string(&rng::bytes::<16>());
        let claims = claims.issued(u64::try_from(now.seconds()).unwrap_or(0), &id);
        let key = CapabilityMac::new(&self.tool_key(&claims.audience).capability_key());
        key.mint(&claims, EPOCH, path_prefix, claims.expires_at)
    }

    fn tool_key(&self, tool: &ToolId) -> ToolKey {
        self.root.epoch(EPOCH).tool_key(&issuer(), tool)
    }
}

impl TestToken {
    /// The token, as it stands behind `HTTPSig` in `Authorization`.
    pub fn compact(&self) -> &str {
        &self.compact
    }

    /// What it says.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    pub(super) fn key(&self) -> &RequestKey {
        &self.key
    }
}

impl<'a> Wire<'a> {
    fn of(claims: &'a Claims) -> Self {
        let origin = |origin: &'a Option<bmap_protocol::origin::Origin>| origin.as_ref().map(|origin| origin.as_str());
        Self {
            iss: claims.issuer.as_str(),
            sub: claims.subject.as_str(),
            aud: claims.audience.as_str(),
            client_id: claims.client_id.as_str(),
            iat: claims.issued_at,
            exp: claims.expires_at,
            jti: &claims.id,
            scope: &claims.scope,
            origin: origin(&claims.origin),
            embed_origin: origin(&claims.embed_origin),
            end_user: claims.end_user.as_deref(),
            asr: claims.assurance,
            cnf: WireConfirmation { kid: Confirmation::session_kid(&claims.audience, EPOCH) },
            sid: claims.session.as_deref(),
            adr: claims.address.map(|address| address.to_string()),
        }
    }
}

/// A part of a compact token.
#[track_caller]
fn part(value: &impl Serialize) -> String {
    Base64UrlUnpadded::encode_string(&valid("a part of the token", serde_json::to_vec(value)))
}

impl fmt::Debug for TestIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestIssuer").finish_non_exhaustive()
    }
}

impl fmt::Debug for TestToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestToken").field("claims", &self.claims).finish_non_exhaustive()
    }
}
