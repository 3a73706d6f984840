//! Rates of users, keys, pages and addresses (step 12), and of addresses before anything is looked at.

use crate::actors::{NOW, PageToken, TestIssuer, get};
use axum::body::Body;
use bmap_verifier::test::ManualClock;
use bmap_verifier::{Policy, Rate, Verifier};
use http::Request;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::time::Duration;

const RATE: Option<Rate> = Some(Rate { per_second: 1, burst: 2 });

struct World {
    issuer: TestIssuer,
    verifier: Verifier,
    clock: ManualClock,
}

impl World {
    fn new(change: impl FnOnce(&mut Policy)) -> Self {
        let issuer = TestIssuer::new();
        let verifier = issuer.verifier(change);
        Self { issuer, verifier, clock: ManualClock::at_seconds(NOW) }
    }

    async fn ask(&self, request: Request<Body>, peer: &str) -> String {
        let (head, body) = request.into_parts();
        let peer: Option<IpAddr> = peer.parse().ok();
        let decided = self.verifier.verify(&head, body, peer, &self.clock).await;
        decided
            .err()
            .map_or(String::new(), |refusal| format!("{} {:?}", refusal.code().as_str(), refusal.retry_after()))
    }

    /// Three requests with tokens that differ in one claim, as it changes them, or not.
    async fn three(&self, claim: &str, values: [Value; 3]) -> [String; 3] {
        let mut outcomes = Vec::new();
        for value in values {
            let page = self.issuer.mint(|claims| claims[claim] = value);
            outcomes.push(self.ask(get("/a").sign(&page), "").await);
        }
        outcomes.try_into().unwrap()
    }
}

const LIMITED: &str = "rate_limited Some(1)";
const ANA: &str = "usr_0192f0c1a7e27c3c9f60b2b4b1c7a001";
const BO: &str = "usr_0192f0c1a7e27c3c9f60b2b4b1c7a002";

#[tokio::test]
async fn a_user_has_one_rate_with_all_tokens() {
    let world = World::new(|policy| policy.rates.user = RATE);
    assert_eq!(world.three("sub", [json!(ANA), json!(ANA), json!(ANA)]).await, ["", "", LIMITED]);
    assert_eq!(world.three("sub", [json!(BO), json!(BO), json!(ANA)]).await, ["", "", LIMITED]);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.three("sub", [json!(ANA), json!(ANA), json!(BO)]).await, ["", LIMITED, ""]);
    // Those who have no account are not one caller.
    assert_eq!(world.three("sub", [json!("anon"), json!("anon"), json!("anon")]).await, [""; 3]);
}

#[tokio::test]
async fn keys_and_pages_have_rates_of_their_own() {
    let world = World::new(|policy| policy.rates.key = RATE);
    let key = |number: u8| json!(format!("bmk_0192f0c1a7e27c3c9f60b2b4b1c7a0f{number}"));
    assert_eq!(world.three("client_id", [key(1), key(1), key(1)]).await, ["", "", LIMITED]);
    assert_eq!(world.three("client_id", [key(2), key(1), key(2)]).await, ["", LIMITED, ""]);

    let world = World::new(|policy| policy.rates.origin = RATE);
    let page: PageToken = world.issuer.mint(|_| {});
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(world.ask(get("/a").sign(&page), "").await);
    }
    assert_eq!(outcomes, ["", "", LIMITED]);
    let direct = world.issuer.mint(|claims| {
        claims.as_object_mut().unwrap().remove("origin");
    });
    let mut request = get("/a");
    request.origin = None;
    assert_eq!(world.ask(request.sign(&direct), "").await, "", "no page, no rate of pages");
}

#[tokio::test]
async fn t26_an_address_is_counted_before_anything_is_looked_at_and_refused_requests_count() {
    let world = World::new(|policy| policy.rates.address = RATE);
    let unsigned = || Request::get("/a").header("host", "geo.example").body(Body::empty()).unwrap();
    let page = world.issuer.mint(|_| {});
    assert_eq!(world.ask(unsigned(), "192.0.2.1").await, "missing_signature None");
    assert_eq!(world.ask(unsigned(), "::ffff:192.0.2.1").await, "missing_signature None");
    assert_eq!(world.ask(get("/a").sign(&page), "192.0.2.1").await, LIMITED);
    assert_eq!(world.ask(get("/a").sign(&page), "192.0.2.2").await, "");
    // Of IPv6 the /64.
    for (peer, outcome) in [("2001:db8::1", ""), ("2001:db8::2", ""), ("2001:db8::3", LIMITED), ("2001:db8:0:1::3", "")]
    {
        assert_eq!(world.ask(get("/a").sign(&page), peer).await, outcome, "{peer}");
    }
    // Whose address is not known has no rate of it.
    for _ in 0..4 {
        assert_eq!(world.ask(get("/a").sign(&page), "").await, "");
    }
}
