//! The layer where the path was shortened, or rewritten, in front of it.

use crate::authors::{code, send};
use axum::Router;
use axum::body::Body;
use axum::extract::OriginalUri;
use axum::routing::{get, post};
use bmap_verifier::protocol::refusal::{Mismatch, Refusal};
use bmap_verifier::test::{ManualClock, SignRequest, TestClaims, TestIssuer, TestToken};
use bmap_verifier::{MemoryReplayStore, NoRevocations, ToolKeys, Verified, Verifier, VerifyLayer};
use http::{Request, StatusCode, Uri};
use std::time::Duration;
use tower::{Layer, ServiceExt};

const BASE: &str = "https://geo.example";

type Verify = VerifyLayer<ToolKeys, MemoryReplayStore, NoRevocations, ManualClock>;

struct World {
    clock: ManualClock,
    token: TestToken,
    verify: Verify,
}

impl World {
    fn new() -> Self {
        let (issuer, clock) = (TestIssuer::new(), ManualClock::at_seconds(1_764_000_000));
        let verifier = Verifier::from_credential(issuer.credential("geo", BASE), clock.now());
        clock.advance(Duration::from_secs(6));
        let token = issuer.token(TestClaims::of("geo"), clock.now());
        let verify = VerifyLayer::with_clock(verifier, clock.clone());
        Self { clock, token, verify }
    }

    /// The layer as it stands inside of axum's `nest`.
    fn nested(&self) -> Verify {
        self.verify.clone().with_original_uri(|extensions| extensions.get::<OriginalUri>().map(|uri| &uri.0))
    }

    fn get(&self, target: &str) -> Request<String> {
        self.signed(Request::get(target), "")
    }

    fn signed(&self, request: http::request::Builder, body: &str) -> Request<String> {
        request.header("host", "geo.example").body(body.to_owned()).unwrap().sign(&self.token, self.clock.now())
    }

    /// A request to one target with a signature for another.
    fn moved(&self, signed_for: &str, sent_to: &str) -> Request<String> {
        let mut request = self.get(signed_for);
        *request.uri_mut() = sent_to.parse().unwrap();
        request
    }
}

/// Says which route was taken, and what its handler sees of the address.
fn routes() -> Router {
    let seen = |route: &'static str| {
        async move |_: Verified, uri: Uri, OriginalUri(original): OriginalUri| format!("{route}: {uri} of {original}")
    };
    Router::new()
        .route("/", get(seen("root")))
        .route("/a", get(seen("a")))
        .route("/b", get(seen("b")))
        .route("/echo", post(|_: Verified, body: String| async move { body }))
}

#[tokio::test]
async fn a_nested_layer_verifies_the_whole_path_and_the_handler_sees_the_shortened_one() {
    let world = World::new();
    let tool: Router =
        Router::new().route("/health", get(async || "ok")).nest("/api/v1", routes().layer(world.nested()));
    let answer = async |request| send(&tool, request).await;
    let ok = |text: &str| (StatusCode::OK, text.to_owned());
    assert_eq!(answer(world.get("/api/v1/a?q=1")).await, ok("a: /a?q=1 of /api/v1/a?q=1"));
    assert_eq!(answer(world.get("/api/v1")).await, ok("root: / of /api/v1"));
    assert_eq!(answer(world.get("/api/v1?q=1")).await, ok("root: /?q=1 of /api/v1?q=1"));
    assert_eq!(answer(world.signed(Request::post("/api/v1/echo"), "hello")).await, ok("hello"));
    assert_eq!(answer(Request::get("/health").body(String::new()).unwrap()).await, ok("ok"));
    let absolute = world.signed(Request::get("https://geo.example/api/v1/a"), "");
    assert_eq!(answer(absolute).await, ok("a: https://geo.example/a of https://geo.example/api/v1/a"));
    assert_eq!(
        code(&answer(Request::get("/api/v1/a").header("host", "geo.example").body(String::new()).unwrap()).await),
        "missing_signature"
    );
}

#[tokio::test]
async fn every_form_of_nesting_is_one_prefix_less() {
    let world = World::new();
    let service = || world.nested().layer(routes());
    let slash = Router::new().nest_service("/v1/", service());
    let twice = Router::new().nest("/outer", Router::new().nest("/{tenant}", routes().layer(world.nested())));
    let fallback = Router::new().fallback_service(service());
    for (tool, target, seen) in [
        (&slash, "/v1/a", "a: /a of /v1/a"),
        (&slash, "/v1/", "root: / of /v1/"),
        (&twice, "/outer/acme/b?q=%2F", "b: /b?q=%2F of /outer/acme/b?q=%2F"),
        (&fallback, "/a", "a: /a of /a"),
    ] {
        assert_eq!(send(tool, world.get(target)).await, (StatusCode::OK, seen.to_owned()));
    }
    // The layer outermost, as usual: there is no other address yet, and the routes inside nest as they like.
    let outermost = world.nested().layer(Router::new().nest("/api", routes()));
    assert_eq!(send(&outermost, world.get("/api/a")).await, (StatusCode::OK, "a: /a of /api/a".to_owned()));
}

#[tokio::test]
async fn without_the_original_uri_a_nested_layer_refuses_what_was_signed() {
    let world = World::new();
    let tool = Router::new().nest("/api", routes().layer(world.verify.clone()));
    assert_eq!(code(&send(&tool, world.get("/api/a")).await), "invalid_signature");
}

#[tokio::test]
async fn r13_a_signature_for_one_place_of_a_router_holds_at_no_other() {
    let world = World::new();
    let tool = Router::new()
        .nest("/one", routes().layer(world.nested()))
        .nest("/two", routes().layer(world.nested()))
        .fallback_service(world.nested().layer(routes()));
    for (signed_for, sent_to) in [
        ("/one/a", "/two/a"),
        ("/one/a", "/a"),
        ("/a", "/one/a"),
        ("/one/a", "/one/b"),
        ("/one/a", "/one/a?q=1"),
        ("/one/a?q=1", "/one/a"),
        ("/one", "/two"),
        ("/", "/one"),
    ] {
        assert_eq!(
            code(&send(&tool, world.moved(signed_for, sent_to)).await),
            "invalid_signature",
            "{signed_for} {sent_to}"
        );
    }
    assert_eq!(send(&tool, world.get("/two/a")).await.0, StatusCode::OK);
}

/// Headers by which proxies and frameworks say another address.
const ADDRESSES: [&str; 10] = [
    "x-original-uri",
    "x-original-url",
    "x-rewrite-url",
    "x-forwarded-uri",
    "x-forwarded-path",
    "x-forwarded-prefix",
    "x-replaced-path",
    "x-envoy-original-path",
    "forwarded",
    "original-uri",
];

#[tokio::test]
async fn r13_no_header_of_a_client_is_the_original_address() {
    let world = World::new();
    let nested = Router::new().nest("/api", routes().layer(world.nested()));
    let outermost = Router::new().fallback_service(world.nested().layer(routes()));
    let alone = Router::new().fallback_service(world.verify.layer(routes()));
    for name in ADDRESSES {
        for (tool, signed_for, sent_to) in
            [(&nested, "/api/a", "/api/b"), (&nested, "/a", "/api/a"), (&outermost, "/a", "/b"), (&alone, "/a", "/b")]
        {
            for value in [signed_for, &format!("{BASE}{signed_for}")] {
                let mut request = world.moved(signed_for, sent_to);
                request.headers_mut().insert(name, value.parse().unwrap());
                let (status, body) = send(tool, request).await;
                assert!([400, 401].contains(&status.as_u16()), "{name}: {signed_for} {sent_to} {status} {body}");
            }
        }
    }
}

/// Gives every request to `from` the address `to`, as a rewriting layer does.
fn rewriting(from: &'static str, to: &'static str) -> impl Fn(Request<Body>) -> Request<Body> + Clone + Send + Sync {
    move |mut request| {
        if request.uri().path() == from {
            *request.uri_mut() = to.parse().unwrap();
        }
        request
    }
}

#[tokio::test]
async fn r13_a_path_that_is_rewritten_between_router_and_layer_is_refused() {
    let world = World::new();
    let tool =
        |from, to| Router::new().fallback_service(world.nested().layer(routes()).map_request(rewriting(from, to)));
    // What was signed is /a, and what would be routed is /b. The original address holds, and must not be enough.
    assert_eq!(code(&send(&tool("/a", "/b"), world.get("/a")).await), "invalid_signature");
    // What is routed is /b, and was signed for it, but the request was sent to /a.
    assert_eq!(code(&send(&tool("/a", "/b"), world.moved("/b", "/a")).await), "invalid_signature");
    assert_eq!(code(&send(&tool("/a", "/b?q=1"), world.get("/a")).await), "invalid_signature");
    assert_eq!(
        code(&send(&tool("/a/", "/a"), world.get("/a/")).await),
        "invalid_signature",
        "a slash that was trimmed"
    );
    assert_eq!(send(&tool("/c", "/b"), world.get("/a")).await.0, StatusCode::OK);
    // An address whose end is left is a prefix that was taken off, whatever took it off.
    assert_eq!(send(&tool("/x/a", "/a"), world.get("/x/a")).await, (StatusCode::OK, "a: /a of /x/a".to_owned()));
}

#[tokio::test]
async fn r13_a_path_that_is_rewritten_outside_of_everything_is_what_is_verified_and_what_is_routed() {
    let world = World::new();
    for verify in [world.verify.clone(), world.nested()] {
        let tool = |from, to| verify.layer(routes()).map_request(rewriting(from, to));
        // A request signed for /a is never let in as /b.
        assert_eq!(code(&send(&tool("/a", "/b"), world.get("/a")).await), "invalid_signature");
        assert_eq!(code(&send(&tool("/c", "/b"), world.moved("/a", "/c")).await), "invalid_signature");
        // Nor the other way: what is routed was signed.
        let let_in = send(&tool("/c", "/a"), world.moved("/a", "/c")).await;
        assert!(let_in.1.starts_with("a: /a "), "{let_in:?}");
        let in_a_router = Router::new().fallback_service(verify.layer(routes())).map_request(rewriting("/a", "/b"));
        assert_eq!(code(&send(&in_a_router, world.get("/a")).await), "invalid_signature");
    }
}

#[test]
fn the_log_has_the_reason_and_the_caller_does_not() {
    let refusal = Refusal::InvalidSignature(Mismatch::Rewritten);
    assert_eq!(refusal.code().as_str(), "invalid_signature");
    assert!(refusal.to_string().ends_with("the request's address was rewritten in front of the verifier"));
}
