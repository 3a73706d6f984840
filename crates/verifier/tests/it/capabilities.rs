//! Capability URLs (profile §10): what they open, what they do not, and what the tool and caches see.

use crate::authors::code;
use crate::world::Users;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::OriginalUri;
use axum::routing::any;
use bmap_protocol::tool_policy::{Proof, Rule};
use bmap_verifier::test::{ManualClock, SignRequest, TestClaims, TestIssuer};
use bmap_verifier::{
    LiveSettings, MemoryReplayStore, PeerAddress, Policy, ProofKind, Rate, ReplayLimits, Settings, ToolCredential,
    ToolKeys, Verified, Verifier, VerifyLayer,
};
use http::{HeaderMap, Request, StatusCode, Uri};
use std::time::Duration;
use tower::{Layer, ServiceExt};

const BASE: &str = "https://geo.example";
const PAGE: &str = "https://shop.example";
const START: u32 = 1_764_000_000;

/// A tool that serves tiles, its issuer, its users and its clock.
struct World {
    issuer: TestIssuer,
    clock: ManualClock,
    users: Users,
    settings: LiveSettings,
    layer: VerifyLayer<ToolKeys, MemoryReplayStore, Users, ManualClock>,
}

impl World {
    fn new(change: impl FnOnce(&mut Policy)) -> Self {
        let (issuer, clock, users) = (TestIssuer::new(), ManualClock::at_seconds(START), Users::default());
        let credential = issuer.credential("geo", BASE);
        let mut policy = Policy::default();
        policy.proofs = Some(vec![Proof::Capability]);
        change(&mut policy);
        let replay = MemoryReplayStore::new(ReplayLimits::default(), policy.window, i64::from(START) - 100);
        let ToolCredential { issuer: name, tool, own, epochs, issuer_keys, .. } = credential;
        let settings = LiveSettings::new(Settings::new(issuer_keys, own, policy));
        let keys = ToolKeys::new(tool, epochs);
        let verifier = Verifier::with_settings(name, settings.clone(), keys, replay, users.clone());
        let layer = VerifyLayer::with_clock(verifier, clock.clone());
        Self { issuer, clock, users, settings, layer }
    }

    fn capability(&self, claims: TestClaims) -> String {
        self.issuer.capability(claims, "/v1/tiles/", self.clock.now())
    }

    /// The tool's answer: what its handler saw of the address and of the proof.
    async fn send(&self, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
        let seen = async |caller: Verified, uri: Uri, OriginalUri(original): OriginalUri| {
            format!("{uri} {original} {:?} {}", caller.proof(), caller.subject())
        };
        // Around the router: one inside of it would find the whole address in the extensions, where axum keeps it.
        let tool = self.layer.layer(Router::new().route("/{*path}", any(seen)));
        let answer = tool.oneshot(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    /// The refusal's code, or nothing.
    async fn asks(&self, request: http::request::Builder) -> String {
        let (status, _, body) = self.send(request.header("host", "geo.example").body(Body::empty()).unwrap()).await;
        if status == StatusCode::OK { String::new() } else { code(&(status, body)) }
    }

    async fn tile(&self, capability: &str) -> String {
        self.asks(Request::get(format!("/v1/tiles/7/72/47.mvt?bmap-cap={capability}"))).await
    }
}

fn tiles() -> TestClaims {
    TestClaims::of("geo").scope("tiles").origin(PAGE)
}

#[tokio::test]
async fn t37_a_capability_opens_its_path_many_times_and_the_tool_sees_no_trace_of_it() {
    let world = World::new(|_| {});
    let capability = world.capability(tiles());
    for _ in 0..3 {
        let uri = format!("https://geo.example/v1/tiles/7/72/47.mvt?style=light&bmap-cap={capability}");
        let request = Request::get(uri).header("host", "geo.example").body(Body::empty()).unwrap();
        let (status, headers, body) = world.send(request).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let target = "https://geo.example/v1/tiles/7/72/47.mvt?style=light";
        assert_eq!(body, format!("{target} {target} Capability {}", TestClaims::USER));
        assert_eq!(headers["cache-control"], "private, max-age=300");
        assert_eq!(
            (&headers["referrer-policy"], &headers["x-content-type-options"]),
            (&"no-referrer".parse().unwrap(), &"nosniff".parse().unwrap())
        );
    }
    // The page's own script, which is told that it may read the answer.
    let request = Request::get(format!("/v1/tiles/1?bmap-cap={capability}")).header("origin", PAGE);
    let (_, headers, body) = world.send(request.header("host", "geo.example").body(Body::empty()).unwrap()).await;
    assert_eq!((&headers["access-control-allow-origin"], body.contains("bmap-cap")), (&PAGE.parse().unwrap(), false));
    assert_eq!(world.asks(Request::head(format!("/v1/tiles/1?bmap-cap={capability}"))).await, "");
    // A minute before its end it is kept for a minute.
    world.clock.advance(Duration::from_secs(240));
    let request = Request::get(format!("/v1/tiles/1?bmap-cap={capability}")).header("host", "geo.example");
    assert_eq!(world.send(request.body(Body::empty()).unwrap()).await.1["cache-control"], "private, max-age=60");
    world.clock.advance(Duration::from_secs(59));
    assert_eq!(world.tile(&capability).await, "");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.tile(&capability).await, "token_expired", "at its last second it is over");
}

#[tokio::test]
async fn t37_only_a_tool_whose_policy_lists_the_proof_takes_capabilities() {
    let world = World::new(|policy| policy.proofs = None);
    let capability = world.capability(tiles());
    assert_eq!(world.tile(&capability).await, "missing_signature");
    let mut settings = (*world.settings.load()).clone();
    settings.policy.proofs = Some(vec![Proof::Capability]);
    world.settings.replace(settings.clone());
    assert_eq!(world.tile(&capability).await, "");
    // A signature is taken as before, and its query is the tool's.
    let token = world.issuer.token(tiles(), world.clock.now());
    world.clock.advance(Duration::from_secs(6));
    let signed = |target: &str| {
        let request = Request::get(target).header("host", "geo.example").header("origin", PAGE);
        request.body(String::new()).unwrap().sign(&token, world.clock.now()).map(Body::from)
    };
    let (_, headers, body) = world.send(signed("/v1/tiles/1?a=b")).await;
    assert!(body.contains("Signature") && !headers.contains_key("referrer-policy"), "{body}");
    assert_eq!(
        code(&{
            let (status, _, body) = world.send(signed(&format!("/v1/tiles/1?bmap-cap={capability}"))).await;
            (status, body)
        }),
        "malformed_request"
    );
    settings.policy.proofs = None;
    world.settings.replace(settings);
    assert_eq!(world.tile(&capability).await, "missing_signature", "a remembered one too");
    assert!(world.send(signed("/v1/tiles/1?bmap-cap=mine")).await.2.contains("bmap-cap=mine"));
}

#[tokio::test]
async fn t37_whatever_is_beside_it_or_in_it_is_refused_by_its_own_code() {
    let world = World::new(|_| {});
    let good = world.capability(tiles());
    let at = |target: &str| target.replace("CAP", &good);
    let get = |target: &str| Request::get(at(target));
    for (request, refusal) in [
        (get("/v1/tiles/1?bmap-cap=CAP&a=1"), "malformed_request"),
        (get("/v1/tiles/1?bmap-cap=CAP&bmap-cap=CAP"), "malformed_request"),
        (get("/v1/tiles/1?%62map-cap=CAP"), "malformed_request"),
        (get("/v1/tiles/../admin?bmap-cap=CAP"), "malformed_request"),
        (get("/v1/tiles/1?bmap-cap=CAP").header("authorization", "Basic eA=="), "malformed_request"),
        (get("/v1/tiles/1?bmap-cap=CAP").header("signature", "a=:AA==:"), "malformed_request"),
        (get("/v1/tiles/1?bmap-cap=CAP").header("signature-input", "a=()"), "malformed_request"),
        (get("/v1/tiles/1?bmap-cap=CAP").header("dpop", "e30"), "malformed_request"),
        (get("/v1/tiles/1?bmap-cap=CAP").header("origin", PAGE).header("origin", PAGE), "malformed_request"),
        (get("/v1/tiles/1?bmap-cap="), "invalid_token"),
        (get("/v1/tiles/1?bmap-cap"), "invalid_token"),
        (get("/v1/tiles/1?bmap-cap=CAPA"), "invalid_token"),
        (get("/v1/tilesX/1?bmap-cap=CAP"), "scope_denied"),
        (get("/v1/?bmap-cap=CAP"), "scope_denied"),
        (get("/V1/tiles/1?bmap-cap=CAP"), "scope_denied"),
        (Request::post(at("/v1/tiles/1?bmap-cap=CAP")), "scope_denied"),
        (Request::options(at("/v1/tiles/1?bmap-cap=CAP")), "scope_denied"),
        (Request::builder().method("get").uri(at("/v1/tiles/1?bmap-cap=CAP")), "scope_denied"),
        (get("/v1/tiles/1?bmap-cap=CAP").header("origin", "https://evil.example"), "origin_denied"),
        (get("/v1/tiles/1?bmap-cap=CAP").header("origin", "null"), "origin_denied"),
        (get("/v1/tiles/1?bmap-cap=CAP").header("upgrade", "websocket"), "scope_denied"),
        (get("/v1/tiles/1?bmap-cap=CAP").header("sec-fetch-dest", "document"), "scope_denied"),
        (get("/v1/tiles/1?bmap-cap=CAP").header("sec-fetch-dest", "IFRAME"), "scope_denied"),
        (
            get("/v1/tiles/1?bmap-cap=CAP").header("sec-fetch-dest", "image").header("sec-fetch-dest", "embed"),
            "scope_denied",
        ),
        (get("/v1/tiles/1?bmap-cap=CAP").header("sec-fetch-dest", "image"), ""),
        (get("/v1/tiles/1?bmap-cap=CAP").header("origin", PAGE).header("upgrade", "websocket"), ""),
        (Request::get(at("https://router.example/v1/tiles/1?bmap-cap=CAP")), "malformed_request"),
    ] {
        let shown = format!("{request:?}");
        assert_eq!(world.asks(request).await, refusal, "{shown}");
    }
    let elsewhere = Request::get(at("/v1/tiles/1?bmap-cap=CAP")).header("host", "router.example");
    let (status, _, body) = world.send(elsewhere.body(Body::empty()).unwrap()).await;
    assert_eq!(code(&(status, body)), "invalid_signature");
    let with_body = Request::get(at("/v1/tiles/1?bmap-cap=CAP")).header("host", "geo.example");
    let (status, _, body) = world.send(with_body.body(Body::from("x")).unwrap()).await;
    assert_eq!(code(&(status, body)), "malformed_request");
    // An origin that the capability does not name.
    let anonymous = world.capability(TestClaims::of("geo").anonymous());
    let request = Request::get(format!("/v1/tiles/1?bmap-cap={anonymous}"));
    assert_eq!(world.asks(request.header("origin", PAGE)).await, "origin_denied");
    // Another tool's, another issuer's, and one that lives too long.
    let others = [TestClaims::of("router"), tiles().lifetime(Duration::from_secs(306))];
    for claims in others {
        assert_eq!(world.tile(&world.capability(claims)).await, "invalid_token");
    }
    assert_eq!(world.tile(&World::new(|_| {}).capability(tiles())).await, "invalid_token");
    assert_eq!(world.tile(&world.capability(tiles().lifetime(Duration::from_secs(305)))).await, "");
}

#[tokio::test]
async fn what_the_tool_asks_of_tokens_it_asks_of_capabilities() {
    let from = |address: &str, capability: &str| {
        let mut request = Request::get(format!("/v1/tiles/1?bmap-cap={capability}"));
        request.extensions_mut().unwrap().insert(PeerAddress(address.parse().unwrap()));
        request
    };
    let rule =
        Rule { path: "/v1/tiles/7".into(), methods: Vec::new(), min_assurance: None, scopes: vec!["more".into()] };
    let world = World::new(|policy| {
        policy.rules = vec![rule];
        policy.scopes = vec!["tiles".into()];
        policy.min_assurance = bmap_verifier::protocol::token::Assurance::User;
        policy.allowed_ips = vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
    });
    let good = world.capability(tiles());
    assert_eq!(world.asks(from("10.0.0.1", &good)).await, "");
    assert_eq!(world.asks(from("192.0.2.1", &good)).await, "ip_denied");
    let mut deeper = Request::get(format!("/v1/tiles/7/1?bmap-cap={good}"));
    deeper.extensions_mut().unwrap().insert(PeerAddress("10.0.0.1".parse().unwrap()));
    assert_eq!(world.asks(deeper).await, "scope_denied");
    let none = world.capability(tiles().scope(""));
    assert_eq!(world.asks(from("10.0.0.1", &none)).await, "scope_denied");
    let page_only = tiles().assurance(bmap_verifier::protocol::token::Assurance::Origin);
    assert_eq!(world.asks(from("10.0.0.1", &world.capability(page_only))).await, "assurance_too_low");
    // Bound to a network: compared within one family.
    let bound = world.capability(tiles().address("10.0.0.9".parse().unwrap()));
    assert_eq!(world.asks(from("10.0.0.200", &bound)).await, "");
    assert_eq!(world.asks(from("10.0.1.9", &bound)).await, "ip_denied");
    assert_eq!(world.asks(from("2001:db8::1", &bound)).await, "");

    world.users.deactivate();
    assert_eq!(world.asks(from("10.0.0.1", &good)).await, "user_inactive");
}

#[tokio::test]
async fn the_rate_of_a_capability_is_its_own() {
    let world = World::new(|policy| policy.rate = Some(Rate { per_second: 1, burst: 2 }));
    let (first, second) = (world.capability(tiles()), world.capability(tiles()));
    assert_eq!([world.tile(&first).await, world.tile(&first).await], ["", ""]);
    assert_eq!(world.tile(&first).await, "rate_limited");
    assert_eq!(world.tile(&second).await, "");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.tile(&first).await, "");
}

#[tokio::test]
async fn an_answer_that_goes_on_can_ask_whether_its_caller_may_still_be_there() {
    let world = World::new(|_| {});
    let capability = world.capability(tiles());
    let request = Request::get(format!("/v1/tiles/1?bmap-cap={capability}")).header("host", "geo.example");
    let (head, body) = request.body(Body::empty()).unwrap().into_parts();
    let verifier = world.layer.verifier();
    let (caller, _) = verifier.verify(&head, body, None, &world.clock).await.unwrap();
    assert_eq!(caller.proof(), ProofKind::Capability);
    let stands = async || verifier.still_stands(&caller, &world.clock).await.map_err(|refusal| refusal.code().as_str());
    assert_eq!(stands().await, Ok(()));
    type Change = fn(&mut Settings);
    let changes: [(Change, &str); 4] = [
        (|settings| settings.policy.scopes = vec!["more".into()], "scope_denied"),
        (|settings| settings.policy.proofs = None, "missing_signature"),
        (|settings| settings.epochs = Some(vec![9]), "invalid_signature"),
        (|settings| settings.policy.min_assurance = bmap_verifier::protocol::token::Assurance::Server, ""),
    ];
    let before = (*world.settings.load()).clone();
    for (change, refusal) in changes {
        let mut settings = before.clone();
        change(&mut settings);
        world.settings.replace(settings);
        assert_eq!(stands().await.err().unwrap_or_default(), refusal);
    }
    world.clock.advance(Duration::from_secs(300));
    assert_eq!(stands().await, Err("token_expired"));
    world.users.deactivate();
    assert_eq!(stands().await, Err("user_inactive"));
}

/// A layer inside of `nest` leaves the whole address in the request's extensions, where the tool would find the capability.
#[tokio::test]
async fn inside_of_nest_no_capability_is_taken() {
    let world = World::new(|_| {});
    let layer = world.layer.clone().with_original_uri(|extensions| extensions.get::<OriginalUri>().map(|uri| &uri.0));
    let inside = Router::new().route("/tiles/{id}", any(async |_: Verified| "seen")).layer(layer);
    let router: Router = Router::new().nest("/v1", inside);
    let request = Request::get(format!("/v1/tiles/1?bmap-cap={}", world.capability(tiles())));
    let answer = router.oneshot(request.header("host", "geo.example").body(Body::empty()).unwrap()).await.unwrap();
    let (status, body) = (answer.status(), to_bytes(answer.into_body(), 1 << 16).await.unwrap());
    assert_eq!(code(&(status, String::from_utf8(body.to_vec()).unwrap())), "malformed_request");
}
