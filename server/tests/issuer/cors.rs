use crate::actors::{Host, exchange};
use crate::http_client::{Answer, Call};
use crate::world::event;
use crate::world::{PAGE, World, stored};
use base64ct::{Base64, Encoding};
use bmap_issuer::request_limits::RequestRates;
use bmap_model::api_key::KeyScope;
use bmap_model::clock::UnixTime;
use bmap_protocol::api_key::ApiSecret;
use bmap_protocol::origin::Origin;
use bmap_protocol::seal::SigningKind;
use std::collections::BTreeMap;

const ALLOW_ORIGIN: &str = "access-control-allow-origin";

fn preflight(origin: &str) -> Call {
    Call::new("OPTIONS", "/oauth/token")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type")
}

#[tokio::test]
async fn a_registered_page_gets_its_preflight_without_a_token() {
    let world = World::start().await;
    world.host().await;
    let answer = preflight(PAGE).send(world.address).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    for (name, value) in [
        (ALLOW_ORIGIN, PAGE),
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", bmap_verifier::cors::ALLOW_HEADERS),
        ("access-control-max-age", "7200"),
        ("vary", "Origin"),
    ] {
        assert_eq!(answer.header(name), Some(value));
    }
    assert_eq!(answer.header("access-control-allow-credentials"), None);
}

#[tokio::test]
async fn a_page_may_read_its_answers_also_the_refusals() {
    let world = World::start().await;
    let host = world.host().await;
    let granted = exchange(&host.ticket().await).send(world.address).await;
    let refused = exchange("bmt_x").send(world.address).await;
    for (answer, status) in [(granted, 200), (refused, 400)] {
        assert_eq!(answer.status, status);
        assert_eq!((answer.header(ALLOW_ORIGIN), answer.header("vary")), (Some(PAGE), Some("Origin")));
        assert_eq!(answer.header("access-control-expose-headers"), Some(bmap_verifier::cors::EXPOSE_HEADERS));
    }
}

#[tokio::test]
async fn r50_no_other_origin_gets_more_than_its_refusal() {
    let world = World::start().await;
    let origins = ["https://foo.com", "https://bar.com"].map(stored).to_vec();
    let host = world.host_with(SigningKind::HmacSha256, KeyScope { origins, ..World::scope() }).await;
    assert_eq!(preflight("https://foo.com").send(world.address).await.status, 204);
    for origin in [
        "https://barfoo.com",
        "https://foo.com.evil",
        "https://foo.com.",
        "https://sub.foo.com",
        "http://foo.com",
        "null",
        "HTTPS://foo.com",
        "https://FOO.com",
        "https://foo.com:443",
        "https://foo.com/",
        "https://foo.com https://bar.com",
        "https://foo.com, https://bar.com",
        "*",
        "",
        "https://foo.com%00.evil",
        "' OR 1=1--",
    ] {
        for call in [preflight(origin), exchange("bmt_x").without("origin").header("origin", origin)] {
            let answer = call.send(world.address).await;
            answer.assert_refused("origin_denied");
            // What a browser sends as an origin reads the refusal; everything else is answered as to no page.
            let echoed = Origin::parse(origin).is_ok().then_some(origin);
            assert_eq!((answer.header(ALLOW_ORIGIN), answer.header("vary")), (echoed, Some("Origin")), "{origin}");
            assert_eq!(answer.header("access-control-allow-methods"), None, "{origin}");
        }
    }
    let two = preflight("https://foo.com").header("origin", "https://bar.com").send(world.address).await;
    two.assert_refused("malformed_request");
    // A good credential does not help an unregistered page.
    let stranger = host.direct_call().header("origin", "https://barfoo.com");
    host.send(stranger).await.assert_refused("origin_denied");
}

#[tokio::test]
async fn a_page_reads_why_its_key_stopped_working_until_the_key_ends() {
    let world = World::start().await;
    let ends = i64::try_from(world.now()).unwrap() + 60;
    let host = world.host_with(SigningKind::HmacSha256, KeyScope { expires_at: Some(ends), ..World::scope() }).await;
    let ticket = host.ticket().await;
    world.issuer.store.revoke_api_key(&host.id, UnixTime(1), &event()).await.unwrap();
    let answer = exchange(&ticket).send(world.address).await;
    answer.assert_refused("key_revoked");
    assert_eq!(answer.header(ALLOW_ORIGIN), Some(PAGE));
    world.clock.advance_seconds(60);
    preflight(PAGE).send(world.address).await.assert_refused("origin_denied");
}

#[tokio::test]
async fn other_routes_have_no_cors() {
    let world = World::start().await;
    let host = world.host().await;
    for call in [Call::new("GET", "/auth/openid"), host.ticket_call().header("authorization", &host.basic())] {
        let answer = call.header("origin", PAGE).send(world.address).await;
        assert!(answer.status < 300);
        assert_eq!(answer.header(ALLOW_ORIGIN), None);
    }
}

/// All that a page sees of an answer, without what differs from one request to the next.
pub(crate) fn seen(answer: &Answer) -> (u16, serde_json::Value, BTreeMap<String, String>) {
    let mut body = answer.json();
    for name in ["request_id", "server_time"] {
        body[name] = serde_json::Value::Null;
    }
    let headers = answer.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let differs = |name: &String| ["x-request-id", "date", "ratelimit", "content-length"].contains(&name.as_str());
    (answer.status, body, headers.filter(|(name, _)| !differs(name)).collect())
}

fn wrong_basic(host: &Host<'_>) -> String {
    let pair = format!("{}:{}", host.id, *ApiSecret::from_bytes([9; 32]).reveal());
    format!("Basic {}", Base64::encode_string(pair.as_bytes()))
}

const EVIL: &str = "https://evil.example";

#[tokio::test]
async fn o19_an_unregistered_page_reads_that_its_origin_is_denied_and_nothing_else() {
    let world = World::start().await;
    let host = world.host().await;
    let pair = world.person("ana@shop.example").await.sign_in().await;
    let ticket = host.ticket().await;
    let refresh =
        |token: &str| Call::form("/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", token)]);
    let guesses = [
        host.direct_call(),
        host.direct_call().header("authorization", &host.basic()),
        host.direct_call().header("authorization", &wrong_basic(&host)),
        host.direct_call().header("authorization", "Basic"),
        host.signed(host.direct_call()),
        exchange(&ticket).without("origin"),
        exchange("bmt_x").without("origin"),
        refresh(&pair.refresh),
        refresh("bmr_x"),
        Call::json("/oauth/token", &serde_json::json!({})),
        Call::new("GET", "/oauth/token"),
        Call::new("OPTIONS", "/oauth/token").header("access-control-request-method", "POST"),
    ];
    let mut all = Vec::new();
    for guess in guesses {
        let answer = guess.clone().header("origin", EVIL).send(world.address).await;
        answer.assert_refused("origin_denied");
        assert_eq!(answer.header(ALLOW_ORIGIN), Some(EVIL));
        for name in
            ["access-control-allow-credentials", "access-control-expose-headers", "access-control-allow-methods"]
        {
            assert_eq!(answer.header(name), None, "{name}");
        }
        all.push((guess.method, seen(&answer)));
    }
    // Another method is counted in another way, which no page sees.
    assert!(all.iter().filter(|(method, _)| *method == "POST").all(|answer| *answer == all[0]), "{all:#?}");
    assert!(all.iter().all(|(_, (status, body, _))| (status, body) == (&all[0].1.0, &all[0].1.1)), "{all:#?}");
    // None of it was used up, and other routes tell the page nothing.
    exchange(&ticket).send(world.address).await.granted();
    refresh(&pair.refresh).send(world.address).await.granted();
    for call in [host.ticket_call().header("authorization", &host.basic()), Call::new("GET", "/auth/me")] {
        assert_eq!(call.header("origin", EVIL).send(world.address).await.header(ALLOW_ORIGIN), None);
    }
}

#[tokio::test]
async fn o19_without_budget_a_credential_that_holds_is_answered_as_one_that_does_not() {
    let world = World::start().await;
    let host = world.host().await;
    let app = world.app.clone().with_rates(RequestRates { address: 4, ..RequestRates::default() });
    let to = world.serve(&app).await;
    // The credential held from this address, and then others used up the address's budget.
    host.direct_call().header("authorization", &host.basic()).send(to).await.granted();
    for _ in 0..4 {
        let bad = host.direct_call().header("authorization", &wrong_basic(&host));
        bad.send(to).await.assert_refused("invalid_credentials");
    }
    host.direct_call().header("authorization", &host.basic()).send(to).await.granted();
    for credential in [host.basic(), wrong_basic(&host)] {
        let guess = host.direct_call().header("authorization", &credential).header("origin", EVIL).send(to).await;
        guess.assert_refused("rate_limited");
        assert_eq!(guess.header(ALLOW_ORIGIN), None);
    }
    // Nor was the credential looked at: what held from here holds on.
    host.direct_call().header("authorization", &host.basic()).send(to).await.granted();
}

#[tokio::test]
async fn u10_any_page_reads_the_keys_and_the_metadata() {
    let world = World::start().await;
    for path in ["/.well-known/jwks.json", "/.well-known/oauth-authorization-server"] {
        for call in [Call::new("GET", path), Call::new("HEAD", path)] {
            for origin in [EVIL, "null", "http://localhost:5173"] {
                let answer = call.clone().header("origin", origin).send(world.address).await;
                assert_eq!((answer.status, answer.header(ALLOW_ORIGIN)), (200, Some("*")), "{path}");
                assert_eq!(answer.header("access-control-allow-credentials"), None);
            }
            // A cache keeps one answer for all.
            assert_eq!(call.send(world.address).await.header(ALLOW_ORIGIN), Some("*"));
        }
        let asked = preflight(EVIL);
        let answer = Call { path: path.to_owned(), ..asked }.send(world.address).await;
        assert_eq!((answer.status, answer.header(ALLOW_ORIGIN)), (204, Some("*")));
        assert_eq!(answer.header("access-control-allow-methods"), Some("GET, HEAD"));
        assert!(answer.header("access-control-allow-headers").unwrap().contains("traceparent"));
    }
}

#[tokio::test]
async fn u02_a_registered_page_may_send_what_wrappers_add_to_the_token_endpoint_too() {
    let world = World::start().await;
    world.host().await;
    let answer = preflight(PAGE).send(world.address).await;
    let allowed: Vec<&str> = answer.header("access-control-allow-headers").unwrap().split(", ").collect();
    for name in ["traceparent", "tracestate", "baggage", "sentry-trace", "x-requested-with", "idempotency-key", "range"]
    {
        assert!(allowed.contains(&name), "{name}");
    }
}

#[tokio::test]
async fn preflights_are_answered_alike_for_what_there_is_and_what_there_is_not() {
    let world = World::start().await;
    let host = world.host().await;
    let unknown = bmap_protocol::ids::ApiKeyId::from_uuid([9; 16]);
    let mut all = Vec::new();
    for id in [host.id.as_str(), unknown.as_str(), "x"] {
        for origin in [PAGE, EVIL] {
            let call = Call { path: format!("/api-keys/{id}"), ..preflight(origin) };
            all.push(seen(&call.send(world.address).await));
        }
    }
    assert!(all.iter().all(|answer| *answer == all[0]), "{all:#?}");
}
