//! The layer in front of an axum router: what a caller sees, and what the handler never does.

use crate::actors::{Draft, NOW, PAGE, TestIssuer, get, now, post};
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::routing::{get as route_get, post as route_post};
use axum::{Router, http};
use bmap_verifier::layer::drop_identity_headers;
use bmap_verifier::{Clock, MemoryReplayStore, NoRevocations, ToolKeys, UnixTime, Verified, VerifyLayer};
use http::{Request, Response, StatusCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use tower::{Layer, Service, ServiceExt};

struct Tool {
    router: Router,
    layer: VerifyLayer<ToolKeys, MemoryReplayStore, NoRevocations, fn() -> UnixTime>,
    entered: Arc<AtomicU32>,
}

impl Tool {
    fn new(issuer: &TestIssuer) -> Self {
        let entered = Arc::new(AtomicU32::new(0));
        let clock = now as fn() -> UnixTime;
        assert_eq!(clock.now().seconds(), i64::from(NOW));
        let layer = VerifyLayer::with_clock(issuer.verifier(|_| {}), clock);
        let router = Router::new()
            .route("/who", route_get(who))
            .route("/echo", route_post(echo))
            .layer(layer.clone())
            .with_state(Arc::clone(&entered));
        Self { router, layer, entered }
    }

    async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    fn entered(&self) -> u32 {
        self.entered.load(Ordering::Relaxed)
    }
}

async fn who(State(entered): State<Arc<AtomicU32>>, caller: Verified, headers: http::HeaderMap) -> String {
    entered.fetch_add(1, Ordering::Relaxed);
    let forged: Vec<_> = headers.keys().filter(|name| name.as_str().contains("bmap")).collect();
    format!("{} {:?} {forged:?}", caller.subject(), caller.origin().map(ToString::to_string))
}

async fn echo(State(entered): State<Arc<AtomicU32>>, _: Verified, body: String) -> String {
    entered.fetch_add(1, Ordering::Relaxed);
    body
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn a_verified_request_reaches_the_handler_with_its_body() {
    let issuer = TestIssuer::new();
    let (tool, page) = (Tool::new(&issuer), issuer.mint(|_| {}));
    let response = tool.send(get("/who").sign(&page)).await;
    assert_eq!(response.headers()["access-control-allow-origin"], PAGE);
    assert_eq!(response.headers()["vary"], "Origin");
    assert_eq!(text(response).await, format!("usr_0192f0c1a7e27c3c9f60b2b4b1c7a001 Some(\"{PAGE}\") []"));
    assert_eq!(text(tool.send(post("/echo", b"{\"a\":1}").sign(&page)).await).await, "{\"a\":1}");
    assert_eq!(tool.entered(), 2);
}

#[tokio::test]
async fn a_refused_request_never_enters_the_handler() {
    let issuer = TestIssuer::new();
    let (tool, page) = (Tool::new(&issuer), issuer.mint(|_| {}));
    let mut request = get("/who").sign(&page);
    request.headers_mut().remove("signature");
    request.headers_mut().remove("signature-input");
    let response = tool.send(request).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let headers = response.headers().clone();
    assert_eq!(headers["www-authenticate"], "HTTPSig error=\"missing_signature\"");
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(headers["cache-control"], "no-store");
    assert!(headers["accept-signature"].to_str().unwrap().ends_with("tag=\"bmap-1\""));
    assert_eq!(headers["access-control-allow-origin"], PAGE, "the SDK must be able to read the code");
    assert!(headers["access-control-expose-headers"].to_str().unwrap().contains("retry-after"));
    let problem: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(problem["code"], "missing_signature");
    assert_eq!(problem["status"], 401);
    assert_eq!(problem["server_time"], u64::from(NOW) * 1000);
    assert_eq!(problem["request_id"], headers["x-request-id"].to_str().unwrap());
    assert!(problem.get("retryable").is_none());

    for (changed, status) in [
        (post("/echo", b"{}").sign(&page).map(|_| Body::from("[]")), 401),
        (Draft { created: u64::from(NOW) - 100, ..get("/who") }.sign(&page), 401),
        (Draft { origin: Some("https://evil.example"), ..get("/who") }.sign(&page), 403),
        (post("/echo", &vec![b'x'; (1 << 20) + 1]).sign(&page), 413),
        (get("/not-there").sign(&issuer.hand_over("router", page.token.clone(), page.jti.clone())), 401),
    ] {
        assert_eq!(tool.send(changed).await.status().as_u16(), status);
    }
    let unknown = Request::get("/not-there").header("host", "geo.example").body(Body::empty()).unwrap();
    assert_eq!(
        tool.send(unknown).await.status(),
        StatusCode::UNAUTHORIZED,
        "an unknown caller does not learn which routes there are"
    );
    assert_eq!(tool.entered(), 0);
}

#[tokio::test]
async fn t33_a_request_id_gets_nothing_into_the_log() {
    let issuer = TestIssuer::new();
    let tool = Tool::new(&issuer);
    for (sent, kept) in [("abc-1.2_3", true), ("a b", false), ("a\"b", false), ("", false), (&"x".repeat(65), false)] {
        let request = Request::get("/who")
            .header("host", "geo.example")
            .header("x-request-id", sent)
            .body(Body::empty())
            .unwrap();
        let response = tool.send(request).await;
        assert_eq!(response.headers()["x-request-id"] == sent, kept, "{sent:?}");
    }
}

#[tokio::test]
async fn r09_identity_headers_in_any_spelling_are_dropped() {
    let issuer = TestIssuer::new();
    let (tool, page) = (Tool::new(&issuer), issuer.mint(|_| {}));
    let mut request = get("/who").sign(&page);
    for name in ["bmap-user", "bmap_user", "bmap.user", "x-bmap-user", "x_bmap_user", "x.bmap-user"] {
        request.headers_mut().append(name, http::HeaderValue::from_static("admin"));
    }
    request.headers_mut().append("bmap-user", http::HeaderValue::from_static("and again"));
    assert!(text(tool.send(request).await).await.ends_with(" []"));
    assert_eq!(tool.layer.dropped_identity_headers(), 7);
    let mut kept = get("/who").sign(&page);
    kept.headers_mut().append("x-bmapper", http::HeaderValue::from_static("1"));
    assert!(text(tool.send(kept).await).await.ends_with(" [\"x-bmapper\"]"));
    assert_eq!(tool.layer.dropped_identity_headers(), 7);
}

fn preflight(origin: &str) -> Request<Body> {
    Request::options("/who")
        .header("host", "geo.example")
        .header("origin", origin)
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "authorization,signature,signature-input")
        .body(Body::empty())
        .unwrap()
}

#[tokio::test]
async fn a_preflight_is_answered_without_a_token() {
    let issuer = TestIssuer::new();
    let tool = Tool::new(&issuer);
    let response = tool.send(preflight(PAGE)).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    let headers = response.headers();
    assert_eq!(headers["access-control-allow-origin"], PAGE);
    assert_eq!(headers["access-control-max-age"], "7200");
    assert_eq!(headers["vary"], "Origin");
    assert!(!headers.contains_key("access-control-allow-credentials"));
    for name in ["authorization", "content-digest", "signature", "signature-input", "content-type"] {
        assert!(headers["access-control-allow-headers"].to_str().unwrap().split(", ").any(|allowed| allowed == name));
    }
    // OPTIONS that is no preflight is a request like any other.
    for missing in ["access-control-request-method", "origin"] {
        let mut plain = preflight(PAGE);
        plain.headers_mut().remove(missing);
        assert_eq!(tool.send(plain).await.status(), StatusCode::UNAUTHORIZED, "{missing}");
    }
    assert_eq!(tool.entered(), 0);
}

#[tokio::test]
async fn r50_origins_that_only_look_right_get_no_acao() {
    let issuer = TestIssuer::new();
    let verifier = issuer.verifier(|policy| {
        policy.origins = bmap_verifier::AllowedOrigins::These(
            ["https://foo.com".parse().unwrap(), "https://bar.com".parse().unwrap()].into(),
        );
    });
    let router = Router::new().route("/who", route_get(|| async {})).layer(VerifyLayer::new(verifier));
    let send = |request| router.clone().oneshot(request);
    for origin in ["https://foo.com", "https://bar.com"] {
        assert_eq!(send(preflight(origin)).await.unwrap().headers()["access-control-allow-origin"], origin);
    }
    for origin in [
        "https://barfoo.com",
        "https://foo.com.evil",
        "null",
        "HTTPS://foo.com",
        "https://foo.com:443",
        "https://foo.com.",
        "*",
        "",
    ] {
        let response = send(preflight(origin)).await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{origin}");
        assert!(!response.headers().contains_key("access-control-allow-origin"), "{origin}");
        // Nor beside one that is right.
        let mut two = preflight("https://foo.com");
        two.headers_mut().append("origin", origin.parse().unwrap());
        assert_eq!(send(two).await.unwrap().status(), StatusCode::FORBIDDEN, "{origin}");
        let mut plain = preflight(origin);
        *plain.method_mut() = http::Method::GET;
        let response = send(plain).await.unwrap();
        assert!(!response.headers().contains_key("access-control-allow-origin"), "{origin}");
    }
}

#[tokio::test]
async fn a_handler_without_the_layer_fails_loudly_and_does_not_run() {
    let entered = Arc::new(AtomicU32::new(0));
    let router = Router::new().route("/who", route_get(who)).with_state(Arc::clone(&entered));
    let request = Request::get("/who").body(Body::empty()).unwrap();
    assert_eq!(router.oneshot(request).await.unwrap().status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(entered.load(Ordering::Relaxed), 0);
}

fn listed(headers: &http::HeaderMap, name: &str) -> Vec<String> {
    let lines: Vec<_> = headers.get_all(name).iter().map(|line| line.to_str().unwrap()).collect();
    assert_eq!(lines.len(), 1, "{name}: {lines:?}");
    lines[0].split(',').map(|name| name.trim().to_owned()).collect()
}

const SENT_BY_WRAPPERS: [&str; 11] = [
    "traceparent",
    "tracestate",
    "baggage",
    "sentry-trace",
    "if-none-match",
    "if-modified-since",
    "range",
    "idempotency-key",
    "x-requested-with",
    "cache-control",
    "content-encoding",
];

#[tokio::test]
async fn u02_a_page_may_send_what_wrappers_and_caches_add() {
    let issuer = TestIssuer::new();
    let allowed = listed(Tool::new(&issuer).send(preflight(PAGE)).await.headers(), "access-control-allow-headers");
    for name in SENT_BY_WRAPPERS.into_iter().chain(bmap_protocol::fields::OVERRIDES) {
        assert!(allowed.iter().any(|listed| listed == name), "{name}");
    }
    assert!(!allowed.iter().any(|name| name == "*" || name == "x-own"));
}

#[tokio::test]
async fn u11_a_page_reads_etag_range_and_what_the_tool_exposes_itself() {
    let issuer = TestIssuer::new();
    let layer = VerifyLayer::with_clock(
        issuer.verifier(|policy| {
            policy.allow_headers = vec![http::HeaderName::from_static("x-own")];
            policy.expose_headers = vec![http::HeaderName::from_static("x-total")];
        }),
        now as fn() -> UnixTime,
    );
    let own = [
        ("access-control-expose-headers", "x-page, x-pages"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-origin", "*"),
    ];
    let router = Router::new().route("/who", route_get(move || async move { (own, "") })).layer(layer);
    let answer = router.clone().oneshot(get("/who").sign(&issuer.mint(|_| {}))).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let exposed = listed(answer.headers(), "access-control-expose-headers");
    for name in ["etag", "link", "content-range", "location", "retry-after", "ratelimit", "ratelimit-policy"] {
        assert!(exposed.iter().any(|listed| listed == name), "{name}");
    }
    for name in ["x-page", "x-pages", "x-total", "x-request-id"] {
        assert!(exposed.iter().any(|listed| listed == name), "{name}");
    }
    // Which page may read is the layer's to say, and a tool's own word about it does not count.
    assert_eq!(listed(answer.headers(), "access-control-allow-origin"), [PAGE]);
    assert!(!answer.headers().contains_key("access-control-allow-credentials"));
    let allowed = router.oneshot(preflight(PAGE)).await.unwrap();
    assert!(listed(allowed.headers(), "access-control-allow-headers").iter().any(|name| name == "x-own"));
}

/// A service that is ready when it is told to be, and counts its clones and calls.
#[derive(Default)]
struct Counting {
    is_ready: Arc<AtomicBool>,
    clones: Arc<AtomicU32>,
}

impl Clone for Counting {
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, Ordering::Relaxed);
        Self { is_ready: Arc::clone(&self.is_ready), clones: Arc::clone(&self.clones) }
    }
}

impl Service<Request<Body>> for Counting {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.is_ready.load(Ordering::Relaxed) { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        std::future::ready(Ok(Response::new(Body::empty())))
    }
}

#[tokio::test]
async fn the_layer_is_ready_when_the_service_behind_it_is_and_clones_it_only_for_a_request_with_a_body() {
    let issuer = TestIssuer::new();
    let page = issuer.mint(|_| {});
    let inner = Counting::default();
    let mut service = VerifyLayer::with_clock(issuer.verifier(|_| {}), now as fn() -> UnixTime).layer(inner.clone());
    let is_ready = |service: &mut bmap_verifier::layer::Verify<Counting, _, _, _, _>| {
        service.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready()
    };
    assert!(!is_ready(&mut service));
    inner.is_ready.store(true, Ordering::Relaxed);
    assert!(is_ready(&mut service));
    let clones = inner.clones.load(Ordering::Relaxed);
    assert_eq!(service.call(get("/who").sign(&page)).await.unwrap().status(), StatusCode::OK);
    assert_eq!(inner.clones.load(Ordering::Relaxed), clones, "a request without a body passes on without a clone");
    assert_eq!(service.call(post("/echo", b"1").sign(&page)).await.unwrap().status(), StatusCode::OK);
    assert_eq!(inner.clones.load(Ordering::Relaxed), clones + 1);
}

#[test]
fn r09_identity_headers_are_dropped_in_every_spelling_and_no_others() {
    let mut headers = http::HeaderMap::new();
    let dropped =
        ["bmap-user", "bmap_scope", "bmap.origin", "x-bmap-user", "x_bmap_key", "x.bmap.user", "bmap-", "x-bmap_"];
    let kept =
        ["bmap", "bmapuser", "x-bmapuser", "xabmap-user", "xbmap-user", "y-bmap-user", "x--bmap-user", "x-b", "b"];
    for name in dropped.into_iter().chain(kept) {
        headers.append(http::HeaderName::from_static(name), http::HeaderValue::from_static("1"));
    }
    headers.append("bmap-user", http::HeaderValue::from_static("2"));
    assert_eq!(drop_identity_headers(&mut headers), dropped.len() + 1);
    let mut left: Vec<&str> = headers.keys().map(http::HeaderName::as_str).collect();
    left.sort_unstable();
    let mut kept = kept.to_vec();
    kept.sort_unstable();
    assert_eq!(left, kept);
    assert_eq!(drop_identity_headers(&mut headers), 0);
}
