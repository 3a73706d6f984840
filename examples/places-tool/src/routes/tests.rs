//! The tool without an issuer: handlers called with a caller out of nothing, and the routes behind their verifier with signed requests.

use super::*;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use bmap_test_kit::folder::Folder;
use bmap_verifier::protocol::token::Assurance;
use bmap_verifier::test::{SignRequest, TestClaims, TestIssuer, TestToken};
use serde_json::Value;
use tower::ServiceExt as _;

const PAGE: &str = "https://shop.example";

fn cities() -> Arc<Cities> {
    let folder = Folder::new();
    folder.write("cities.json", r#"[{"name":"Sofia","lat":"42.7","lng":"23.3","country":"BG","admin1":"42"}]"#);
    folder.write("admin1.json", r#"[{"code":"BG.42","name":"Sofia-Capital"}]"#);
    Arc::new(Cities::load(folder.path()).unwrap())
}

async fn json(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn a_search_names_its_caller() {
    let tool = || State(Tool { cities: cities(), counters: Arc::default() });
    let query = |q: &str| Ok(Query(SearchQuery { q: q.to_owned(), limit: None }));
    let caller = || Verified::for_test(TestClaims::of("places").assurance(Assurance::User).origin(PAGE).end_user("17"));
    let (status, answer) = json(get_search(tool(), caller(), query("sofia")).await.unwrap()).await;
    assert_eq!((status, &answer["results"][0]["region"]), (StatusCode::OK, &"Sofia-Capital".into()));
    let named = serde_json::json!({"user": TestClaims::USER, "assurance": "user", "origin": PAGE, "end_user": "17"});
    assert_eq!(answer["caller"], named);
    let refused = get_search(tool(), caller(), query(" ")).await.unwrap_err().into_response();
    assert_eq!(json(refused).await.1["code"], "invalid_query");
}

/// The routes as `main` serves them, behind a verifier that has been running for a minute.
struct Served {
    issuer: TestIssuer,
    routes: Verify<Router, LinkKeys, MemoryReplayStore, LinkStanding>,
    counters: Arc<Counters>,
}

impl Served {
    fn new() -> Self {
        let (issuer, counters, policy) = (TestIssuer::new(), Arc::<Counters>::default(), Policy::default());
        let started = SystemClock.now().seconds() - 60;
        let replay = MemoryReplayStore::new(ReplayLimits::default(), policy.window, started);
        let link = Link::off(issuer.credential("places", "https://places.example"));
        let verifier = VerifyLayer::new(link.verifier(policy, replay));
        Self { routes: protected(&verifier, cities(), Arc::clone(&counters)), issuer, counters }
    }

    fn token(&self) -> TestToken {
        self.issuer.token(TestClaims::of("places").origin(PAGE), SystemClock.now())
    }

    fn nearby(&self, body: &'static str) -> Request<&'static str> {
        let request = Request::post("https://places.example/v1/nearby").header("content-type", "application/json");
        request.body(body).unwrap().sign(&self.token(), SystemClock.now())
    }

    async fn send(&self, request: Request<&'static str>) -> (StatusCode, Value) {
        json(self.routes.clone().oneshot(request.map(Body::from)).await.unwrap()).await
    }
}

#[tokio::test]
async fn a_signed_request_is_let_in_and_a_changed_one_enters_no_handler() {
    let served = Served::new();
    let (status, answer) = served.send(served.nearby(r#"{"lat":42.7,"lon":23.3}"#)).await;
    assert_eq!((status, &answer["results"][0]["name"]), (StatusCode::OK, &"Sofia".into()), "{answer}");
    let changed = served.nearby(r#"{"lat":42.7,"lon":23.3}"#).map(|_| r#"{"lat":42.7,"lon":23.4}"#);
    let (status, answer) = served.send(changed).await;
    assert_eq!((status, &answer["code"]), (StatusCode::UNAUTHORIZED, &"digest_mismatch".into()));
    let unsigned = Request::get("https://places.example/v1/search?q=Sofia").body("").unwrap();
    assert_eq!(served.send(unsigned).await.1["code"], "missing_signature");
    assert_eq!(served.counters.nearby.load(std::sync::atomic::Ordering::Relaxed), 1);
    // The tool's own refusals are behind the verifier.
    assert_eq!(served.send(served.nearby(r#"{"lat":420,"lon":23.3}"#)).await.1["code"], "invalid_body");
}
