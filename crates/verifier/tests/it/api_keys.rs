//! Steps 6, 8 and 12 for an API key that signs by itself, as at the issuer and the gateway.

use crate::actors::{Draft, NOW, PAGE, PageToken, TestIssuer, edit_input, get, now};
use axum::Router;
use axum::body::Body;
use axum::routing::get as route_get;
use bmap_protocol::check::Window;
use bmap_protocol::digest::BodyDigest;
use bmap_protocol::ids::{ApiKeyId, Issuer, ToolId, UserId};
use bmap_protocol::keys::{MacKey, ToolKey};
use bmap_protocol::refusal::{Denial, Refusal};
use bmap_protocol::sign::RequestKey;
use bmap_protocol::token::UnverifiedToken;
use bmap_verifier::{
    ApiKeyGrant, ApiKeyProof, Keys, MemoryReplayStore, PeerAddress, Policy, Principal, ReplayLimits, Standing,
    UnixTime, Verifier, VerifyLayer,
};
use ed25519_dalek::SigningKey;
use http::{Request, Response};
use tower::ServiceExt;

pub(crate) const KEY: [u8; 16] = [7; 16];

/// A gateway that knows one API key, and whose users are all good or all gone.
struct Gateway(Router);

struct OneKey(ApiKeyGrant);

impl Keys for OneKey {
    fn try_tool_keys(&self, _: &UnverifiedToken<'_>, _: &mut dyn FnMut(&ToolId, u32, &ToolKey) -> bool) {}

    async fn api_key(&self, id: &ApiKeyId) -> Result<Option<ApiKeyGrant>, Refusal> {
        Ok((*id == self.0.id).then(|| self.0.clone()))
    }
}

struct Users {
    active: bool,
}

impl Standing for Users {
    async fn check(&self, principal: &Principal) -> Result<(), Refusal> {
        assert!(matches!(principal, Principal::ApiKey(_)));
        if self.active { Ok(()) } else { Err(Refusal::Denied(Denial::UserInactive)) }
    }
}

impl Gateway {
    fn new(proof: ApiKeyProof, active: bool, allowed: &[&str]) -> Self {
        Self::with_former(proof, None, active, allowed)
    }

    fn with_former(proof: ApiKeyProof, former: Option<ApiKeyProof>, active: bool, allowed: &[&str]) -> Self {
        let grant = ApiKeyGrant {
            id: ApiKeyId::from_uuid(KEY),
            owner: UserId::from_uuid([1; 16]),
            proof,
            former,
            allowed_ips: allowed.iter().map(|net| net.parse().unwrap()).collect(),
        };
        let limits = ReplayLimits { entries: 1024, per_key: 1024 };
        let verifier = Verifier::new(
            Issuer::parse("https://auth.example").unwrap(),
            Vec::new(),
            vec!["https://geo.example".parse().unwrap()],
            Policy::default(),
            OneKey(grant),
            MemoryReplayStore::new(limits, Window::DEFAULT, i64::from(NOW) - 1000),
            Users { active },
        );
        let layer = VerifyLayer::with_clock(verifier, now as fn() -> UnixTime);
        Self(Router::new().route("/a", route_get(|| async { "let in" })).layer(layer))
    }

    async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.0.clone().oneshot(request).await.unwrap()
    }

    /// The code that a request is refused with; empty where it is let in.
    async fn code(&self, request: Request<Body>) -> String {
        let response = self.send(request).await;
        let body = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
        let problem = serde_json::from_slice::<serde_json::Value>(&body);
        problem.map_or_else(|_| String::new(), |problem| problem["code"].as_str().unwrap().to_owned())
    }
}

/// A request signed by an API key: without a token, and with the key's id.
pub(crate) fn signed(draft: &Draft, key: RequestKey, id: [u8; 16]) -> Request<Body> {
    let key_id = ApiKeyId::from_uuid(id);
    let (path, query) = draft.target.split_once('?').map_or((draft.target.as_str(), None), |(p, q)| (p, Some(q)));
    let digest = (!draft.body.is_empty()).then(|| BodyDigest::of(&draft.body).header_value());
    let request = bmap_protocol::sign::Request {
        method: draft.method,
        authority: draft.host,
        path,
        query,
        content_digest: digest.as_deref(),
        ..Default::default()
    };
    let stamp = bmap_protocol::sign::Stamp { created: draft.created, nonce: draft.nonce, key_id: key_id.as_str() };
    let headers = bmap_protocol::sign::sign(&request, &stamp, &key).unwrap();
    let mut request = Request::builder().method(draft.method).uri(&draft.target).header("host", draft.host);
    for (name, value) in [("origin", draft.origin), ("content-digest", digest.as_deref())] {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    let request = request.header("signature-input", headers.signature_input).header("signature", headers.signature);
    request.body(Body::from(draft.body.clone())).unwrap()
}

pub(crate) fn hmac(byte: u8) -> (RequestKey, ApiKeyProof) {
    let key = MacKey::from_key_bytes(&[byte; 32]);
    (RequestKey::Hmac(key.clone()), ApiKeyProof::HmacSha256(key))
}

fn ed25519(byte: u8) -> (RequestKey, ApiKeyProof) {
    let key = SigningKey::from_bytes(&[byte; 32]);
    let public_key = key.verifying_key().to_bytes();
    (RequestKey::Ed25519(Box::new(key)), ApiKeyProof::Ed25519(public_key))
}

#[tokio::test]
async fn a_key_of_either_kind_is_let_in_and_no_other() {
    for make in [hmac, ed25519] {
        let gateway = Gateway::new(make(1).1, true, &[]);
        let good = signed(&get("/a"), make(1).0, KEY);
        assert_eq!(gateway.code(good).await, "");
        assert_eq!(gateway.code(signed(&get("/a"), make(2).0, KEY)).await, "invalid_signature", "another key");
        assert_eq!(gateway.code(signed(&get("/a"), make(1).0, [8; 16])).await, "invalid_signature", "an unknown id");
        let changed = edit_input(signed(&get("/a"), make(1).0, KEY), "created=1764000000", "created=1764000001");
        assert_eq!(gateway.code(changed).await, "invalid_signature");
        let draft = get("/a");
        assert_eq!(gateway.code(signed(&draft, make(1).0, KEY)).await, "");
        assert_eq!(gateway.code(signed(&draft, make(1).0, KEY)).await, "replayed");
    }
    // One kind does not stand for the other: a public key is no MAC key (R03).
    let gateway = Gateway::new(ed25519(1).1, true, &[]);
    let ApiKeyProof::Ed25519(public_key) = ed25519(1).1 else { panic!() };
    let confused = RequestKey::Hmac(MacKey::from_key_bytes(&public_key));
    assert_eq!(gateway.code(signed(&get("/a"), confused, KEY)).await, "invalid_signature");
}

#[tokio::test]
async fn r31_the_key_that_work_is_done_on_for_a_signature_of_the_other_kind_opens_nothing() {
    // Every attacker has it: the Ed25519 key of 32 zeros, and its public half as a MAC key.
    let ApiKeyProof::Ed25519(public_key) = ed25519(0).1 else { panic!() };
    for gateway in [Gateway::new(hmac(1).1, true, &[]), Gateway::new(ed25519(1).1, true, &[])] {
        for key in [ed25519(0).0, RequestKey::Hmac(MacKey::from_key_bytes(&public_key))] {
            assert_eq!(gateway.code(signed(&get("/a"), key, KEY)).await, "invalid_signature");
        }
    }
}

#[tokio::test]
async fn step_8_standing_is_asked_after_the_proof_and_never_before() {
    let gateway = Gateway::new(hmac(1).1, false, &[]);
    assert_eq!(gateway.code(signed(&get("/a"), hmac(1).0, KEY)).await, "user_inactive");
    assert_eq!(
        gateway.code(signed(&get("/a"), hmac(2).0, KEY)).await,
        "invalid_signature",
        "nothing is told of the user"
    );
}

#[tokio::test]
async fn step_12_a_key_has_its_own_addresses() {
    let gateway = Gateway::new(hmac(1).1, true, &["10.0.0.0/8"]);
    let from = |address: &str| {
        let mut request = signed(&get("/a"), hmac(1).0, KEY);
        request.extensions_mut().insert(PeerAddress(address.parse().unwrap()));
        request
    };
    assert_eq!(gateway.code(from("10.1.2.3")).await, "");
    assert_eq!(gateway.code(from("11.1.2.3")).await, "ip_denied");
    assert_eq!(gateway.code(signed(&get("/a"), hmac(1).0, KEY)).await, "ip_denied", "an address that is not known");
}

#[tokio::test]
async fn a_former_secret_signs_as_long_as_it_is_there_and_under_the_same_limits() {
    for make in [hmac, ed25519] {
        let gateway = Gateway::with_former(make(1).1, Some(make(2).1), true, &[]);
        assert_eq!(gateway.code(signed(&get("/a"), make(1).0, KEY)).await, "");
        assert_eq!(gateway.code(signed(&get("/a"), make(2).0, KEY)).await, "");
        assert_eq!(gateway.code(signed(&get("/a"), make(3).0, KEY)).await, "invalid_signature");
        // A nonce is used up by either: they are one key id.
        let draft = get("/a");
        assert_eq!(gateway.code(signed(&draft, make(1).0, KEY)).await, "");
        assert_eq!(gateway.code(signed(&draft, make(2).0, KEY)).await, "replayed");
        let without = Gateway::new(make(1).1, true, &[]);
        assert_eq!(without.code(signed(&get("/a"), make(2).0, KEY)).await, "invalid_signature");
        for key in [1, 2] {
            let inactive = Gateway::with_former(make(1).1, Some(make(2).1), false, &[]);
            assert_eq!(inactive.code(signed(&get("/a"), make(key).0, KEY)).await, "user_inactive");
            let elsewhere = Gateway::with_former(make(1).1, Some(make(2).1), true, &["10.0.0.0/8"]);
            assert_eq!(elsewhere.code(signed(&get("/a"), make(key).0, KEY)).await, "ip_denied");
        }
    }
}

#[tokio::test]
async fn an_origin_that_no_token_names_is_not_told_about_the_answer() {
    let gateway = Gateway::new(hmac(1).1, true, &[]);
    let response = gateway.send(signed(&get("/a"), hmac(1).0, KEY)).await;
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("access-control-allow-origin"), "no key names {PAGE}");
    assert_eq!(response.headers()["vary"], "Origin");
}

#[tokio::test]
async fn a_token_is_not_taken_where_no_tool_key_is() {
    let page: PageToken = TestIssuer::new().mint(|_| {});
    let gateway = Gateway::new(hmac(1).1, true, &[]);
    assert_eq!(gateway.code(get("/a").sign(&page)).await, "invalid_signature");
}
