//! What the author of a tool has for tests: an issuer without a process, signed requests, a clock, and callers out of nothing.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Query;
use axum::routing::{get as route_get, post as route_post};
use axum::{Extension, Router};
use bmap_verifier::protocol::token::Assurance;
use bmap_verifier::test::{ManualClock, SignRequest, TestClaims, TestIssuer, TestToken};
use bmap_verifier::{Clock, ToolCredential, UnixTime, Verified, Verifier, VerifyLayer};
use http::{Request, Response, StatusCode};
use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;
use tower::{Service, ServiceExt};

const BASE: &str = "https://geo.example";
const PAGE: &str = "https://shop.example";

async fn describe(caller: Verified) -> String {
    format!(
        "{} {} {:?} {:?} {:?} search={}",
        caller.subject(),
        caller.client_id(),
        caller.origin().map(ToString::to_string),
        caller.end_user(),
        caller.assurance(),
        caller.has_scope("search")
    )
}

/// A tool as its author writes it: all that differs in production are the two arguments.
fn tool(credential: ToolCredential, clock: impl Clock) -> Router {
    let verifier = Verifier::from_credential(credential, clock.now());
    Router::new()
        .route("/v1/who", route_get(describe))
        .route("/v1/echo", route_post(|_: Verified, body: String| async move { body }))
        .layer(VerifyLayer::with_clock(verifier, clock))
}

/// A tool that has been running for longer than the pause after its start.
fn running(credential: ToolCredential, clock: &ManualClock) -> Router {
    let tool = tool(credential, clock.clone());
    clock.advance(Duration::from_secs(6));
    tool
}

fn clock() -> ManualClock {
    ManualClock::at_seconds(1_764_000_000)
}

/// Sends a request; the status and the text of the answer.
pub(crate) async fn send<S, O>(tool: &S, request: Request<impl Into<Body>>) -> (StatusCode, String)
where
    S: Service<Request<Body>, Response = Response<O>, Error = Infallible> + Clone,
    O: http_body::Body<Data = Bytes, Error: Into<axum::BoxError>> + Send + 'static,
{
    let response = tool.clone().oneshot(request.map(Into::into)).await.unwrap();
    let status = response.status();
    let body = to_bytes(Body::new(response.into_body()), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// The code of a refusal.
pub(crate) fn code((_, body): &(StatusCode, String)) -> String {
    let problem: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("no refusal: {body}"));
    problem["code"].as_str().unwrap().to_owned()
}

fn who() -> Request<&'static str> {
    Request::get(format!("{BASE}/v1/who?q=Sofia")).body("").unwrap()
}

fn echo(body: &'static str) -> Request<&'static str> {
    Request::post(format!("{BASE}/v1/echo")).header("content-type", "text/plain").body(body).unwrap()
}

#[tokio::test]
async fn a_request_that_was_signed_without_an_issuer_is_let_in_with_its_body() {
    let (issuer, clock) = (TestIssuer::new(), clock());
    let tool = running(issuer.credential("geo", BASE), &clock);
    let claims = TestClaims::of("geo")
        .subject("usr_0192f0c1a7e27c3c9f60b2b4b1c7a001")
        .client("bmk_0192f0c1a7e27c3c9f60b2b4b1c7a0ff")
        .origin(PAGE)
        .embed_origin("https://blog.example")
        .end_user("visitor 17 \"ä\"")
        .session("s1")
        .scope("search route")
        .assurance(Assurance::User);
    let token = issuer.token(claims, clock.now());
    let (status, body) = send(&tool, who().sign(&token, clock.now())).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(
        body,
        "usr_0192f0c1a7e27c3c9f60b2b4b1c7a001 bmk_0192f0c1a7e27c3c9f60b2b4b1c7a0ff Some(\"https://shop.example\") \
         Some(\"visitor 17 \\\"ä\\\"\") User search=true"
    );
    assert_eq!(token.claims().session.as_deref(), Some("s1"));
    assert_eq!(token.claims().embed_origin.as_ref().unwrap().as_str(), "https://blog.example");
    assert_eq!(send(&tool, echo("hello").sign(&token, clock.now())).await, (StatusCode::OK, "hello".to_owned()));
    // A caller without a page, and one without a user.
    let direct = issuer.token(TestClaims::of("geo").anonymous(), clock.now());
    let (status, body) = send(&tool, who().sign(&direct, clock.now())).await;
    assert!(status == StatusCode::OK && body.starts_with("anon "), "{body}");
}

#[tokio::test]
async fn what_is_changed_behind_the_signature_is_refused() {
    let (issuer, clock) = (TestIssuer::new(), clock());
    let tool = running(issuer.credential("geo", BASE), &clock);
    let token = issuer.token(TestClaims::of("geo").origin(PAGE), clock.now());
    let once = echo("hello").sign(&token, clock.now());
    let twice = once.clone();
    assert_eq!(send(&tool, once).await.0, StatusCode::OK);
    assert_eq!(code(&send(&tool, twice).await), "replayed", "a clone has the nonce of the first");
    assert_eq!(code(&send(&tool, who()).await), "missing_signature");
    let other_body = echo("hello").sign(&token, clock.now()).map(|_| "hallo");
    assert_eq!(code(&send(&tool, other_body).await), "digest_mismatch");
    let mut other_path = who().sign(&token, clock.now());
    *other_path.uri_mut() = format!("{BASE}/v1/who?q=Plovdiv").parse().unwrap();
    assert_eq!(code(&send(&tool, other_path).await), "invalid_signature");
    let mut other_type = echo("hello").sign(&token, clock.now());
    other_type.headers_mut().insert("content-type", "text/html".parse().unwrap());
    assert_eq!(code(&send(&tool, other_type).await), "invalid_signature");
    let mut other_page = who().sign(&token, clock.now());
    other_page.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    assert_eq!(code(&send(&tool, other_page).await), "origin_denied");
    let mut other_tool = who();
    *other_tool.uri_mut() = "https://router.example/v1/who".parse().unwrap();
    assert_eq!(code(&send(&tool, other_tool.sign(&token, clock.now())).await), "invalid_signature");
    let other_issuer = TestIssuer::new().token(TestClaims::of("geo"), clock.now());
    assert_eq!(code(&send(&tool, who().sign(&other_issuer, clock.now())).await), "invalid_signature");
    let of_another_tool = issuer.token(TestClaims::of("router"), clock.now());
    assert_eq!(code(&send(&tool, who().sign(&of_another_tool, clock.now())).await), "invalid_signature");
}

#[tokio::test]
async fn time_is_the_tests_own() {
    let (issuer, clock) = (TestIssuer::new(), clock());
    let tool = tool(issuer.credential("geo", BASE), clock.clone());
    let token = issuer.token(TestClaims::of("geo").lifetime(Duration::from_secs(100)), clock.now());
    let at_the_start = send(&tool, who().sign(&token, clock.now())).await;
    assert_eq!(code(&at_the_start), "replay_store_unavailable", "the pause after a start can be seen in a test");
    clock.advance(Duration::from_secs(6));
    let early = who().sign(&token, clock.now());
    assert_eq!(send(&tool, who().sign(&token, clock.now())).await.0, StatusCode::OK);
    clock.advance(Duration::from_secs(61));
    assert_eq!(code(&send(&tool, early).await), "clock_skew");
    assert_eq!(send(&tool, who().sign(&token, clock.now())).await.0, StatusCode::OK);
    clock.advance(Duration::from_secs(33));
    assert_eq!(code(&send(&tool, who().sign(&token, clock.now())).await), "token_expired");
    let too_long = issuer.token(TestClaims::of("geo").lifetime(Duration::from_secs(601)), clock.now());
    assert_eq!(code(&send(&tool, who().sign(&too_long, clock.now())).await), "invalid_token");
    clock.set(UnixTime::from_seconds(1_764_000_000));
    let token = issuer.token(TestClaims::of("geo"), clock.now());
    assert_eq!(code(&send(&tool, who().sign(&token, clock.now())).await), "clock_unreliable");
}

#[tokio::test]
async fn timers_end_when_the_test_has_moved_the_clock_there() {
    let clock = clock();
    let waits = |seconds| {
        let clock = clock.clone();
        tokio::spawn(async move { clock.sleep(Duration::from_secs(seconds)).await })
    };
    let (short, long) = (waits(30), waits(60));
    tokio::task::yield_now().await;
    clock.set(UnixTime::from_seconds(1_764_009_999));
    clock.advance(Duration::from_millis(29_999));
    tokio::task::yield_now().await;
    assert!(!short.is_finished(), "a clock that is set moves no timer");
    clock.advance(Duration::from_millis(1));
    tokio::time::timeout(Duration::from_secs(5), short).await.expect("the timer has ended").unwrap();
    assert!(!long.is_finished());
    assert_eq!(clock.now().seconds(), 1_764_010_029);
    // As a tool has it: a body that does not come is ended.
    let (issuer, clock) = (TestIssuer::new(), ManualClock::at_seconds(1_764_000_000));
    let tool = running(issuer.credential("geo", BASE), &clock);
    let token = issuer.token(TestClaims::of("geo"), clock.now());
    let pending = futures_util::stream::pending::<Result<Bytes, Infallible>>();
    let request = echo("hello").sign(&token, clock.now()).map(|_| Body::from_stream(pending));
    let answer = tokio::spawn(async move { send(&tool, request).await });
    tokio::task::yield_now().await;
    clock.advance(Duration::from_secs(31));
    let answer = tokio::time::timeout(Duration::from_secs(5), answer).await.expect("the body was ended").unwrap();
    assert_eq!(code(&answer), "body_timeout");
}

#[tokio::test]
async fn the_credential_is_narrowed_by_its_fields() {
    let (issuer, clock) = (TestIssuer::new(), clock());
    let mut credential = issuer.credential("geo", BASE);
    credential.scopes = vec!["search".to_owned()];
    credential.min_assurance = Assurance::User;
    let tool = running(credential, &clock);
    let outcome = async |claims: TestClaims| {
        let token = issuer.token(claims, clock.now());
        send(&tool, who().sign(&token, clock.now())).await
    };
    assert_eq!(outcome(TestClaims::of("geo").scope("search")).await.0, StatusCode::OK);
    assert_eq!(code(&outcome(TestClaims::of("geo").scope("route")).await), "scope_denied");
    let claims = TestClaims::of("geo").scope("search").assurance(Assurance::Origin);
    assert_eq!(code(&outcome(claims).await), "assurance_too_low");
}

#[tokio::test]
async fn hosts_are_signed_as_the_verifier_reads_them() {
    let (issuer, clock) = (TestIssuer::new(), clock());
    let tool = running(issuer.credential("geo", BASE), &clock);
    let token = issuer.token(TestClaims::of("geo"), clock.now());
    for uri in ["https://GEO.example/v1/who", "https://geo.example:443/v1/who"] {
        let request = Request::get(uri).body("").unwrap().sign(&token, clock.now());
        assert_eq!(send(&tool, request).await.0, StatusCode::OK, "{uri}");
    }
    // As a listener hands it over: a path, and the host in its header.
    let request = Request::get("/v1/who").header("host", "geo.example").body(String::new()).unwrap();
    assert_eq!(send(&tool, request.sign(&token, clock.now())).await.0, StatusCode::OK);
}

#[test]
fn keys_are_random_or_follow_from_bytes() {
    let text = |issuer: TestIssuer| issuer.credential("geo", BASE).expose().to_string();
    assert_ne!(text(TestIssuer::new()), text(TestIssuer::new()));
    assert_eq!(text(TestIssuer::from_bytes([7; 32])), text(TestIssuer::from_bytes([7; 32])));
    assert_ne!(text(TestIssuer::from_bytes([7; 32])), text(TestIssuer::from_bytes([8; 32])));
    let issuer = TestIssuer::from_bytes([7; 32]);
    let id = |token: TestToken| token.claims().id.clone();
    let token = || issuer.token(TestClaims::of("geo"), UnixTime::from_seconds(1));
    assert_ne!(id(token()), id(token()), "a token is another one each time");
    let read = ToolCredential::parse(&text(TestIssuer::from_bytes([7; 32]))).unwrap();
    assert_eq!(read.issuer.as_str(), bmap_verifier::credential::TEST_ISSUER, "this build is one with the feature");
}

#[test]
fn t33_an_issuer_and_a_token_do_not_print_their_keys() {
    let issuer = TestIssuer::from_bytes([7; 32]);
    assert_eq!(format!("{issuer:?}"), "TestIssuer { .. }");
    let token = issuer.token(TestClaims::of("geo"), UnixTime::from_seconds(1));
    let (_, signature) = token.compact().rsplit_once('.').unwrap();
    assert!(!format!("{token:?}").contains(signature));
}

/// A handler of axum with a caller and another argument.
async fn search(caller: Verified, Query(query): Query<HashMap<String, String>>) -> Result<String, StatusCode> {
    if !caller.has_scope("search") {
        return Err(StatusCode::FORBIDDEN);
    }
    Ok(format!("{} for {}", query["q"], caller.end_user().unwrap_or("a stranger")))
}

#[tokio::test]
async fn a_handler_is_called_with_a_caller_out_of_nothing() {
    let query = || Query([("q".to_owned(), "Sofia".to_owned())].into());
    let caller = Verified::for_test(TestClaims::of("geo").scope("search").end_user("17"));
    assert_eq!(search(caller, query()).await, Ok("Sofia for 17".to_owned()));
    assert_eq!(search(Verified::for_test(TestClaims::of("geo")), query()).await, Err(StatusCode::FORBIDDEN));
    let caller = Verified::for_test(TestClaims::of("geo").origin(PAGE));
    assert_eq!(
        describe(caller).await,
        format!("{} {} Some({PAGE:?}) None Server search=false", TestClaims::USER, TestClaims::CLIENT)
    );
}

#[tokio::test]
async fn a_router_without_the_layer_is_called_with_a_caller_in_the_extensions() {
    let router = Router::new().route("/search", route_get(search)).route(
        "/plain",
        route_get(|Extension(caller): Extension<Verified>| async move { caller.subject().to_owned() }),
    );
    for (path, answer) in [("/search?q=Sofia", "Sofia for a stranger"), ("/plain", TestClaims::USER)] {
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        request.extensions_mut().insert(Verified::for_test(TestClaims::of("geo").scope("search")));
        assert_eq!(send(&router, request).await, (StatusCode::OK, answer.to_owned()));
    }
}

#[test]
fn what_a_test_gives_wrong_ends_it_with_a_sentence() {
    fn sentence(of: impl FnOnce() + std::panic::UnwindSafe) -> String {
        *std::panic::catch_unwind(of).unwrap_err().downcast::<String>().unwrap()
    }
    for (given, said) in [
        (sentence(|| drop(TestClaims::of("Geo"))), "\"Geo\": not a valid tool id"),
        (sentence(|| drop(TestClaims::of("geo").subject("ana"))), "\"ana\": not a valid user id"),
        (sentence(|| drop(TestClaims::of("geo").client("ana"))), "\"ana\": not a valid API key id"),
        (sentence(|| drop(TestClaims::of("geo").origin("shop.example"))), "an origin starts with https://"),
        (sentence(|| drop(TestIssuer::new().credential("geo", "geo.example"))), "not a URL like https://geo.example"),
        (sentence(|| drop(sign("/v1/who"))), "has neither a host in its URI nor the header Host"),
        (sentence(|| drop(sign("https://geo.example/a/../b"))), "dot segment"),
    ] {
        assert!(given.contains(said), "{given}");
    }
}

fn sign(uri: &str) -> Request<&'static str> {
    let token = TestIssuer::new().token(TestClaims::of("geo"), UnixTime::from_seconds(1));
    Request::get(uri).body("").unwrap().sign(&token, UnixTime::from_seconds(1))
}
