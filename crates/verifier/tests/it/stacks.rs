//! The layer among those of tower-http, in one `ServiceBuilder` and on a router.

use crate::authors::{code, send};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::OriginalUri;
use axum::middleware::{Next, from_fn};
use axum::response::Response as AxumResponse;
use axum::routing::{get, post};
use bmap_verifier::test::{ManualClock, SignRequest, TestClaims, TestIssuer, TestToken};
use bmap_verifier::{MemoryReplayStore, NoRevocations, ToolKeys, Verified, Verifier, VerifyLayer};
use http::{HeaderValue, Request, Response, StatusCode};
use std::convert::Infallible;
use std::time::Duration;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::decompression::RequestDecompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::normalize_path::NormalizePathLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

const PAGE: &str = "https://shop.example";
const LIMIT: usize = 64;

type Verify = VerifyLayer<ToolKeys, MemoryReplayStore, NoRevocations, ManualClock>;

struct World {
    clock: ManualClock,
    token: TestToken,
    verify: Verify,
}

impl World {
    fn new() -> Self {
        let (issuer, clock) = (TestIssuer::new(), ManualClock::at_seconds(1_764_000_000));
        let verifier = Verifier::from_credential(issuer.credential("geo", "https://geo.example"), clock.now());
        clock.advance(Duration::from_secs(6));
        let token = issuer.token(TestClaims::of("geo").origin(PAGE), clock.now());
        let verify = VerifyLayer::with_clock(verifier, clock.clone());
        Self { clock, token, verify }
    }

    fn get(&self, path: &str) -> Request<String> {
        self.sign(Request::get(format!("https://geo.example{path}")).header("accept-encoding", "gzip"), "")
    }

    fn echo(&self, body: &str) -> Request<String> {
        self.sign(Request::post("https://geo.example/echo"), body)
    }

    fn sign(&self, request: http::request::Builder, body: &str) -> Request<String> {
        request.body(body.to_owned()).unwrap().sign(&self.token, self.clock.now())
    }

    /// Holds a stack to what it must do, whatever else stands in it.
    async fn check<S, O>(&self, stack: &str, tool: S)
    where
        S: Service<Request<Body>, Response = Response<O>, Error = Infallible> + Clone,
        O: http_body::Body<Data = Bytes, Error: Into<axum::BoxError>> + Send + 'static,
    {
        let (status, text) = send(&tool, self.echo("hello")).await;
        assert_eq!((status, text.as_str()), (StatusCode::OK, "hello"), "{stack}");
        let once = plain(self.get("/a?q=Sofia"));
        assert_eq!(send(&tool, once.clone()).await.0, StatusCode::OK, "{stack}");
        assert_eq!(code(&send(&tool, once).await), "replayed", "{stack}");
        assert_eq!(
            code(&send(&tool, self.echo("hello").map(|_| "hallo".to_owned())).await),
            "digest_mismatch",
            "{stack}"
        );
        let mut moved = plain(self.get("/a"));
        *moved.uri_mut() = "https://geo.example/b".parse().unwrap();
        assert_eq!(code(&send(&tool, moved).await), "invalid_signature", "{stack}");
        let unsigned = Request::get("https://geo.example/a").header("origin", PAGE).body(String::new()).unwrap();
        let answer = tool.clone().oneshot(unsigned.map(Body::from)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{stack}");
        assert_eq!(answer.headers()["access-control-allow-origin"], PAGE, "{stack}: the page can read the code");
        // A preflight has no signature, and the layer answers it.
        let preflight = Request::options("https://geo.example/a")
            .header("origin", PAGE)
            .header("access-control-request-method", "GET")
            .body(Body::empty())
            .unwrap();
        let answer = tool.clone().oneshot(preflight).await.unwrap();
        assert_eq!(answer.status(), StatusCode::NO_CONTENT, "{stack}");
        assert_eq!(answer.headers()["access-control-allow-origin"], PAGE, "{stack}");
    }
}

/// The request of a client that takes no compressed answers, so that a refusal's body can be read as it comes.
fn plain(mut request: Request<String>) -> Request<String> {
    request.headers_mut().remove("accept-encoding");
    request
}

fn routes() -> Router {
    Router::new()
        .route("/a", get(|_: Verified| async { "a".repeat(1000) }))
        .route("/b", get(|_: Verified| async { "b" }))
        .route("/echo", post(|_: Verified, body: String| async move { body }))
}

fn timeout() -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_secs(30))
}

#[tokio::test]
async fn each_layer_alone_outside_and_inside() {
    let world = World::new();
    let verify = || world.verify.clone().in_stack();
    macro_rules! both {
        ($($name:literal $layer:expr;)*) => {$(
            let outside = ServiceBuilder::new().layer($layer).layer(verify()).service(routes());
            world.check(concat!($name, " outside"), outside).await;
            let inside = ServiceBuilder::new().layer(verify()).layer($layer).service(routes());
            world.check(concat!($name, " inside"), inside).await;
            let on_a_router = routes().layer(ServiceBuilder::new().layer($layer).layer(verify()));
            world.check(concat!($name, " outside on a router"), on_a_router).await;
            let on_a_router = routes().layer(ServiceBuilder::new().layer(verify()).layer($layer));
            world.check(concat!($name, " inside on a router"), on_a_router).await;
            let by_itself = routes().layer(world.verify.clone()).layer($layer);
            world.check(concat!($name, " outside on a router, a call for each"), by_itself).await;
            let by_itself = routes().layer($layer).layer(world.verify.clone());
            world.check(concat!($name, " inside on a router, a call for each"), by_itself).await;
        )*};
    }
    both! {
        "trace" TraceLayer::new_for_http();
        "compression" CompressionLayer::new();
        "timeout" timeout();
        "body limit" RequestBodyLimitLayer::new(LIMIT);
        "normalised path" NormalizePathLayer::trim_trailing_slash();
    }
    // Two that keep the types of both bodies need no adapter.
    world.check("timeout", ServiceBuilder::new().layer(timeout()).layer(world.verify.clone()).service(routes())).await;
    world.check("timeout", ServiceBuilder::new().layer(world.verify.clone()).layer(timeout()).service(routes())).await;
}

#[tokio::test]
async fn all_of_them_at_once() {
    async fn pass(request: axum::extract::Request, next: Next) -> AxumResponse {
        next.run(request).await
    }
    let world = World::new();
    let verify = || world.verify.clone().in_stack();
    let outside = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .layer(timeout())
        .layer(CompressionLayer::new())
        .layer(RequestBodyLimitLayer::new(LIMIT))
        .layer(verify())
        .service(routes());
    world.check("all outside", outside).await;
    let inside = ServiceBuilder::new()
        .layer(verify())
        .layer(from_fn(pass))
        .layer(TraceLayer::new_for_http())
        .layer(timeout())
        .layer(CompressionLayer::new())
        .layer(RequestBodyLimitLayer::new(LIMIT))
        .service(routes());
    world.check("all inside", inside).await;
    let nested = world.verify.clone().with_original_uri(|extensions| extensions.get::<OriginalUri>().map(|uri| &uri.0));
    let inside =
        ServiceBuilder::new().layer(nested.in_stack()).layer(TraceLayer::new_for_http()).layer(CompressionLayer::new());
    let tool = Router::new().nest("/api", routes().layer(inside));
    assert_eq!(send(&tool, plain(world.get("/api/b"))).await, (StatusCode::OK, "b".to_owned()));
    assert_eq!(send(&tool, plain(world.get("/b"))).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_answer_is_compressed_on_either_side_and_its_page_may_read_it() {
    let world = World::new();
    let outside = ServiceBuilder::new().layer(CompressionLayer::new()).layer(world.verify.clone()).service(routes());
    let inside =
        ServiceBuilder::new().layer(world.verify.clone().in_stack()).layer(CompressionLayer::new()).service(routes());
    let outside = outside.oneshot(world.get("/a").map(Body::from)).await.unwrap().map(Body::new);
    let inside = inside.oneshot(world.get("/a").map(Body::from)).await.unwrap();
    for answer in [outside, inside] {
        assert_eq!(answer.headers()["content-encoding"], "gzip");
        assert_eq!(answer.headers()["access-control-allow-origin"], PAGE);
    }
}

#[tokio::test]
async fn a_body_is_bounded_by_the_smaller_of_both_limits() {
    let world = World::new();
    let long = "x".repeat(LIMIT + 1);
    let limit = || RequestBodyLimitLayer::new(LIMIT);
    let outside = ServiceBuilder::new().layer(limit()).layer(world.verify.clone().in_stack()).service(routes());
    let inside = ServiceBuilder::new().layer(world.verify.clone().in_stack()).layer(limit()).service(routes());
    let exact = "x".repeat(LIMIT);
    assert_eq!(send(&outside, world.echo(&exact)).await, (StatusCode::OK, exact.clone()));
    assert_eq!(send(&inside, world.echo(&exact)).await, (StatusCode::OK, exact));
    assert_eq!(send(&outside, with_length(world.echo(&long))).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    // Its length is not announced: the body that is cut by the limit is never taken for a whole one.
    assert_eq!(send(&outside, in_pieces(world.echo(&long))).await.0, StatusCode::BAD_REQUEST);
    let (status, _) = send(&inside, in_pieces(world.echo(&long))).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "the handler's own answer: the request was let in");
}

fn with_length(mut request: Request<String>) -> Request<String> {
    let length = request.body().len().into();
    request.headers_mut().insert("content-length", length);
    request
}

/// The request with a body whose length is known at its end.
fn in_pieces(request: Request<String>) -> Request<Body> {
    let pieces = |body: String| {
        let pieces: Vec<Bytes> = body.into_bytes().chunks(20).map(Bytes::copy_from_slice).collect();
        Body::from_stream(futures_util::stream::iter(pieces.into_iter().map(Ok::<_, Infallible>)))
    };
    request.map(pieces)
}

#[tokio::test]
async fn a_timeout_outside_ends_a_body_that_does_not_come() {
    let world = World::new();
    let tool = ServiceBuilder::new()
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_millis(50)))
        .layer(world.verify.clone())
        .service(routes());
    let never =
        world.echo("hello").map(|_| Body::from_stream(futures_util::stream::pending::<Result<Bytes, Infallible>>()));
    assert_eq!(send(&tool, never).await.0, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(world.verify.body_bytes_held(), 0);
}

#[tokio::test]
async fn r13_a_slash_is_trimmed_inside_of_the_layer_and_outside_of_it_the_signature_does_not_hold() {
    let world = World::new();
    let trim = NormalizePathLayer::trim_trailing_slash;
    let outside = trim().layer(world.verify.layer(routes()));
    let inside = world.verify.layer(trim().layer(routes()));
    assert_eq!(code(&send(&outside, plain(world.get("/b/"))).await), "invalid_signature");
    assert_eq!(send(&inside, plain(world.get("/b/"))).await, (StatusCode::OK, "b".to_owned()));
    // Doubled slashes are refused before anything inside could take them for one.
    let mut doubled = plain(world.get("/b"));
    *doubled.uri_mut() = "https://geo.example//b".parse().unwrap();
    assert_eq!(code(&send(&inside, doubled).await), "malformed_request");
}

#[tokio::test]
async fn t29_cors_of_the_tool_adds_nothing_inside_and_outside_it_is_the_tools_own_word() {
    let world = World::new();
    let cors = || CorsLayer::very_permissive().allow_origin(AllowOrigin::mirror_request());
    let evil = HeaderValue::from_static("https://evil.example");
    let from = |origin: &HeaderValue| {
        let mut request = plain(world.get("/b"));
        request.headers_mut().insert("origin", origin.clone());
        request.map(Body::from)
    };
    // Inside, what it says is dropped: a page reads what the layer lets it read.
    let inside = ServiceBuilder::new().layer(world.verify.clone()).layer(cors()).service(routes());
    let answer = inside.clone().oneshot(from(&HeaderValue::from_static(PAGE))).await.unwrap();
    assert_eq!(
        (answer.status(), &answer.headers()["access-control-allow-origin"]),
        (StatusCode::OK, &PAGE.parse().unwrap())
    );
    assert!(!answer.headers().contains_key("access-control-allow-credentials"));
    let answer = inside.oneshot(from(&evil)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    // Outside, it answers preflights itself and lets any page read refusals. Nothing is let in by that.
    let outside = ServiceBuilder::new().layer(cors()).layer(world.verify.clone()).service(routes());
    let answer = outside.oneshot(from(&evil)).await.unwrap();
    assert_eq!((answer.status(), &answer.headers()["access-control-allow-origin"]), (StatusCode::FORBIDDEN, &evil));
}

#[tokio::test]
async fn a_packed_body_is_verified_as_it_was_sent_and_unpacked_inside() {
    /// `hello`, by gzip.
    const PACKED: [u8; 25] =
        [31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 203, 72, 205, 201, 201, 7, 0, 134, 166, 16, 54, 5, 0, 0, 0];
    let world = World::new();
    let packed = || {
        let request = Request::post("https://geo.example/echo").header("content-encoding", "gzip");
        request.body(PACKED).unwrap().sign(&world.token, world.clock.now()).map(|body| Body::from(body.to_vec()))
    };
    let unpack = RequestDecompressionLayer::new;
    let inside = ServiceBuilder::new().layer(world.verify.clone().in_stack()).layer(unpack()).service(routes());
    assert_eq!(send(&inside, packed()).await, (StatusCode::OK, "hello".to_owned()));
    let outside = ServiceBuilder::new().layer(unpack()).layer(world.verify.clone().in_stack()).service(routes());
    assert_eq!(code(&send(&outside, packed()).await), "invalid_signature");
    // What says how the body is packed is covered too.
    let mut other = packed();
    other.headers_mut().insert("content-encoding", "br".parse().unwrap());
    assert_eq!(code(&send(&inside, other).await), "invalid_signature");
}
