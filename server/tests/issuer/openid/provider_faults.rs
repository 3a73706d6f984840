//! A provider that is down, slow, huge or lying: no request waits for long, nothing piles up, and the issuer recovers
//! by itself.

use super::fake::{DISCOVERY, Fake, Journey, KEYS, Say, TOKEN, header, id_token, jwk};
use super::{assert_failed, code_in, sign_in_fields, start};
use crate::world::World;
use serde_json::json;
use std::time::{Duration, Instant};

#[expect(clippy::disallowed_methods, reason = "a test measures real time")]
fn now() -> Instant {
    Instant::now()
}

/// A return that a good provider would vouch for.
async fn back(fake: &Fake, world: &World) -> crate::http_client::Answer {
    let journey = Journey::begin(world).await;
    fake.give_claims(&fake.claims(world, &journey));
    journey.back().send(world.address).await
}

#[tokio::test]
async fn r23_and_t14_a_discovery_document_that_is_not_this_providers_is_none() {
    let (fake, world) = Fake::with_world().await;
    let with = |name: &str, value: serde_json::Value| {
        let mut document = fake.discovery();
        document[name] = value;
        Say::Json(document)
    };
    let mut padded = fake.discovery();
    padded["padding"] = json!("x".repeat(65 * 1024));
    for say in [
        Say::Bytes(500, b"{}".to_vec()),
        Say::Bytes(200, Vec::new()),
        Say::Bytes(200, b"{".to_vec()),
        Say::Bytes(200, b"\xff\xfe".to_vec()),
        Say::Json(json!([])),
        Say::Json(padded),
        Say::GoTo(format!("{}/elsewhere", fake.issuer)),
        with("issuer", json!("https://other.example")),
        with("issuer", json!(format!("{}/", fake.issuer))),
        with("jwks_uri", json!("http://169.254.169.254/latest")),
        with("token_endpoint", json!("http://10.0.0.1/token")),
        with("authorization_endpoint", json!("javascript:alert(1)")),
        with("jwks_uri", json!(null)),
    ] {
        fake.say(DISCOVERY, say);
        world.clock.advance_seconds(10);
        start("fake", &sign_in_fields()).send(world.address).await.assert_refused("issuer_unavailable");
    }
    assert!(fake.asked("/elsewhere").is_empty(), "no redirect is followed");
    fake.say(DISCOVERY, Say::Json(fake.discovery()));
    start("fake", &sign_in_fields()).send(world.address).await.assert_refused("issuer_unavailable");
    world.clock.advance_seconds(5);
    Journey::begin(&world).await;
}

#[tokio::test]
async fn r23_and_f19_keys_that_cannot_be_read_are_kept_for_an_hour() {
    let (fake, world) = Fake::with_world().await;
    code_in(back(&fake, &world).await.header("location").unwrap());
    let huge = json!({ "keys": [jwk(9, "k1")], "padding": "x".repeat(5 << 20) }).to_string();
    for say in [
        Say::Bytes(500, b"{}".to_vec()),
        Say::Bytes(200, huge.into_bytes()),
        Say::Bytes(200, b"nonsense".to_vec()),
        Say::Json(json!({ "keys": 7 })),
        Say::GoTo("/elsewhere".to_owned()),
    ] {
        let before = fake.asked(KEYS).len();
        fake.say(KEYS, say);
        world.clock.advance_seconds(600);
        code_in(back(&fake, &world).await.header("location").unwrap());
        assert_eq!(fake.asked(KEYS).len(), before + 1, "it was asked, and the last good set counts");
    }
    world.clock.advance_seconds(601);
    assert_failed(&back(&fake, &world).await, "sign_in_failed");
    fake.say(KEYS, Say::Json(json!({ "keys": [jwk(9, "k1")] })));
    world.clock.advance_seconds(5);
    code_in(back(&fake, &world).await.header("location").unwrap());
}

#[tokio::test]
async fn f19_a_new_key_is_found_and_unknown_ones_cost_a_request_in_thirty_seconds() {
    let (fake, world) = Fake::with_world().await;
    code_in(back(&fake, &world).await.header("location").unwrap());
    let of_new_key = async || {
        let journey = Journey::begin(&world).await;
        let mut head = header();
        head["kid"] = json!("k2");
        fake.give(&id_token(&head, &fake.claims(&world, &journey), 8));
        journey.back().send(world.address).await
    };
    fake.say(KEYS, Say::Json(json!({ "keys": [jwk(9, "k1"), jwk(8, "k2")] })));
    assert_failed(&of_new_key().await, "sign_in_failed");
    assert_eq!(fake.asked(KEYS).len(), 1, "read a moment ago");
    world.clock.advance_seconds(30);
    code_in(of_new_key().await.header("location").unwrap());
    fake.say(KEYS, Say::Json(json!({ "keys": [jwk(9, "k1")] })));
    world.clock.advance_seconds(30);
    code_in(of_new_key().await.header("location").unwrap());
    // A hundred tokens of an unknown key: one request.
    for _ in 0..40 {
        let journey = Journey::begin(&world).await;
        let mut head = header();
        head["kid"] = json!("k3");
        fake.give(&id_token(&head, &fake.claims(&world, &journey), 8));
        assert_failed(&journey.back().send(world.address).await, "sign_in_failed");
    }
    assert_eq!(fake.asked(KEYS).len(), 3);
}

#[tokio::test]
async fn a_token_endpoint_that_does_not_do_its_part_ends_the_sign_in() {
    let (fake, world) = Fake::with_world().await;
    let token = json!({ "access_token": "at", "token_type": "Bearer" });
    for say in [
        Say::Bytes(500, b"{}".to_vec()),
        Say::Bytes(400, br#"{"error":"invalid_grant","error_description":"canary-7"}"#.to_vec()),
        Say::Bytes(200, b"canary-7".to_vec()),
        Say::Bytes(200, "x".repeat(65 * 1024).into_bytes()),
        Say::Json(token),
        Say::Json(json!({ "id_token": "x" })),
        Say::GoTo("/elsewhere".to_owned()),
    ] {
        let journey = Journey::begin(&world).await;
        fake.say(TOKEN, say);
        assert_failed(&journey.back().send(world.address).await, "sign_in_failed");
    }
    assert!(fake.asked("/elsewhere").is_empty());
    assert!(!crate::log::text().contains("canary-7"), "no text of a provider gets into the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_a_provider_that_hangs_holds_nobody_for_longer_than_its_deadline() {
    /// The deadline is 5 s; the rest is the machine's, which may be very busy. Without one it would be as long as the fake hangs.
    const MOST: Duration = Duration::from_secs(15);
    let (fake, world) = Fake::with_world().await;
    let journey = Journey::begin(&world).await;
    fake.give_claims(&fake.claims(&world, &journey));
    for (path, say) in [(TOKEN, Say::Nothing), (KEYS, Say::Drip)] {
        let before = fake.asked(path).len();
        let journey = Journey::begin(&world).await;
        fake.give_claims(&fake.claims(&world, &journey));
        fake.say(path, say);
        let began = now();
        assert_failed(&journey.back().send(world.address).await, "sign_in_failed");
        let took = began.elapsed();
        assert!(took > Duration::from_secs(4) && took < MOST, "{path}: {took:?}");
        assert_eq!(fake.asked(path).len(), before + 1);
    }
    // Many at once on a cold start: one request, and all of them answered when it ends.
    world.clock.advance_seconds(3601);
    fake.say(DISCOVERY, Say::Nothing);
    let before = fake.asked(DISCOVERY).len();
    let began = now();
    let calls = (0..100).map(|_| {
        let (call, to) = (start("fake", &sign_in_fields()), world.address);
        tokio::spawn(async move { call.send(to).await.assert_refused("issuer_unavailable") })
    });
    for call in futures_util::future::join_all(calls).await {
        call.unwrap();
    }
    assert!(began.elapsed() < MOST, "{:?}", began.elapsed());
    assert_eq!(fake.asked(DISCOVERY).len(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_many_returns_at_once_while_the_keys_are_broken_ask_for_them_once() {
    let (fake, world) = Fake::with_world().await;
    code_in(back(&fake, &world).await.header("location").unwrap());
    let huge = json!({ "keys": [jwk(9, "k1")], "padding": "x".repeat(5 << 20) }).to_string();
    let broken = [
        Say::Bytes(500, b"{}".to_vec()),
        Say::Bytes(200, huge.into_bytes()),
        Say::Bytes(200, b"nonsense".to_vec()),
        Say::Drip,
    ];
    // With a last good set a user whose token is good gets in; after its hour no user does, and nothing has stopped working.
    for (seconds, lets_in) in [(301, true), (3601, false)] {
        for say in &broken {
            world.clock.advance_seconds(seconds);
            fake.say(KEYS, say.clone());
            let mut journeys = Vec::new();
            for _ in 0..60 {
                journeys.push(Journey::begin(&world).await);
            }
            fake.give_claims(&fake.claims(&world, &journeys[30]));
            let before = fake.asked(KEYS).len();
            let calls = journeys.iter().map(|journey| {
                let (call, to) = (journey.back(), world.address);
                tokio::spawn(async move { call.send(to).await })
            });
            let answers = futures_util::future::join_all(calls).await;
            let is_in = |answer: &crate::http_client::Answer| answer.header("location").unwrap().contains("#code=");
            let let_in = answers.iter().filter(|answer| is_in(answer.as_ref().unwrap())).count();
            assert_eq!((let_in, fake.asked(KEYS).len()), (usize::from(lets_in), before + 1));
        }
        fake.say(KEYS, Say::Json(json!({ "keys": [jwk(9, "k1")] })));
        world.clock.advance_seconds(301);
        code_in(back(&fake, &world).await.header("location").unwrap());
    }
}
