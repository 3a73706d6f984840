//! ID tokens, one thing wrong with each.

use super::fake::{Fake, Journey, KEYS, Say, header, id_token, jwk, key, public_key, signing_input};
use super::{assert_failed, code_in};
use crate::world::World;
use base64ct::{Base64, Encoding};
use bmap_issuer::openid::provider::Provider;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

/// The outcome of a token that is made from good claims.
async fn outcome(fake: &Fake, world: &World, make: impl FnOnce(Value) -> String) -> crate::http_client::Answer {
    let journey = Journey::begin(world).await;
    fake.give(&make(fake.claims(world, &journey)));
    journey.back().send(world.address).await
}

fn with(mut claims: Value, name: &str, value: Value) -> String {
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    id_token(&header(), &claims, 9)
}

#[tokio::test]
async fn a_good_token_is_good_to_the_edge_of_its_time() {
    let (fake, world) = Fake::with_world().await;
    let now = world.now();
    for (name, value) in [
        ("exp", json!(now - 59)),
        ("iat", json!(now + 60)),
        ("iat", json!(now - 600)),
        ("aud", json!(["bmap-at-fake"])),
        ("azp", json!("bmap-at-fake")),
        ("email", Value::Null),
        ("email", json!(7)),
        ("sub", json!("x".repeat(255))),
        ("auth_time", json!("never")),
    ] {
        let answer = outcome(&fake, &world, |claims| with(claims, name, value.clone())).await;
        code_in(answer.header("location").unwrap());
    }
    let several = json!(["other", "bmap-at-fake"]);
    let both = |mut claims: Value| {
        claims["azp"] = json!("bmap-at-fake");
        with(claims, "aud", several)
    };
    code_in(outcome(&fake, &world, both).await.header("location").unwrap());
}

#[tokio::test]
async fn r01_and_t11_a_claim_that_is_wrong_missing_or_of_another_type_is_refused() {
    let (fake, world) = Fake::with_world().await;
    let now = world.now();
    for (name, value) in [
        ("iss", json!("https://other.example")),
        ("iss", json!(format!("{}/", fake.issuer))),
        ("iss", Value::Null),
        ("aud", json!("another-client")),
        ("aud", json!([])),
        ("aud", json!(["another-client"])),
        ("aud", json!(["bmap-at-fake", "another-client"])),
        ("aud", Value::Null),
        ("aud", json!(7)),
        ("azp", json!("another-client")),
        ("exp", json!(now - 60)),
        ("exp", Value::Null),
        ("exp", json!("never")),
        ("exp", json!(now.to_string())),
        ("exp", json!(-1)),
        ("iat", json!(now + 61)),
        ("iat", json!(now - 601)),
        ("iat", Value::Null),
        ("nonce", json!("another")),
        ("nonce", json!("")),
        ("nonce", Value::Null),
        ("sub", json!("")),
        ("sub", json!("x".repeat(256))),
        ("sub", json!("a\nb")),
        ("sub", json!("é")),
        ("sub", json!(7)),
        ("sub", Value::Null),
    ] {
        let answer = outcome(&fake, &world, |claims| with(claims, name, value.clone())).await;
        assert_eq!(
            answer.header("location").unwrap().split('#').nth(1),
            Some("error=sign_in_failed"),
            "{name} {value}"
        );
    }
    let raw = |claims: Value, from: &str, to: &str| {
        let text = claims.to_string().replace(from, to);
        let input = signing_input(&header(), &text);
        format!("{input}.{}", jsonwebtoken::crypto::sign(input.as_bytes(), &key(9), Algorithm::EdDSA).unwrap())
    };
    let huge = |claims: Value| raw(claims, &format!("\"exp\":{}", now + 300), "\"exp\":1e400");
    assert_failed(&outcome(&fake, &world, huge).await, "sign_in_failed");
    let twice = |claims: Value| raw(claims, "\"sub\":\"ana\"", "\"sub\":\"ana\",\"sub\":\"bob\"");
    assert_failed(&outcome(&fake, &world, twice).await, "sign_in_failed");
}

#[tokio::test]
async fn r03_r07_and_t20_no_other_algorithm_and_no_key_that_a_token_brings_along() {
    let (fake, world) = Fake::with_world().await;
    let public = public_key(9);
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        Base64::encode_string(&[b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".as_slice(), &public].concat())
    );
    let jwk_text = jwk(9, "k1").to_string();
    let secrets = [public.as_slice(), pem.as_bytes(), jwk_text.as_bytes(), b""];
    for secret in secrets {
        let answer = outcome(&fake, &world, |claims| {
            let input = signing_input(&json!({ "alg": "HS256", "kid": "k1" }), &claims.to_string());
            let secret = EncodingKey::from_secret(secret);
            format!("{input}.{}", jsonwebtoken::crypto::sign(input.as_bytes(), &secret, Algorithm::HS256).unwrap())
        });
        assert_failed(&answer.await, "sign_in_failed");
    }
    for alg in ["none", "nOnE", "NONE", "", "ES256", "RS256", "PS256", "HS512"] {
        let head = json!({ "alg": alg, "kid": "k1" });
        let unsigned = outcome(&fake, &world, |claims| format!("{}.", signing_input(&head, &claims.to_string()))).await;
        assert_failed(&unsigned, "sign_in_failed");
        assert_failed(&outcome(&fake, &world, |claims| id_token(&head, &claims, 9)).await, "sign_in_failed");
    }
    // The attacker's own key, however it is brought along; and headers that ask for more than is understood.
    for (name, value) in [
        ("jwk", jwk(8, "k1")),
        ("jku", json!(format!("{}/evil", fake.issuer))),
        ("x5u", json!(format!("{}/evil", fake.issuer))),
        ("crit", json!(["exp"])),
        ("typ", json!("at+jwt")),
        ("typ", json!("logout+jwt")),
        ("zip", json!("DEF")),
        ("kid", json!("../../dev/null")),
        ("kid", json!("' OR 1=1--")),
        ("kid", json!("x".repeat(4096))),
    ] {
        let mut head = header();
        head[name] = value;
        let by = if name == "jwk" { 8 } else { 9 };
        assert_failed(&outcome(&fake, &world, |claims| id_token(&head, &claims, by)).await, "sign_in_failed");
    }
    assert!(fake.asked("/evil").is_empty());
    for broken in ["", ".", "..", "a.b.c", &".".repeat(15_000), &"x".repeat(20_000)] {
        assert_failed(&outcome(&fake, &world, |_| broken.to_owned()).await, "sign_in_failed");
    }
    let cut = |claims: Value| id_token(&header(), &claims, 9)[..300].to_owned();
    assert_failed(&outcome(&fake, &world, cut).await, "sign_in_failed");
    let other_key = |claims: Value| id_token(&header(), &claims, 8);
    assert_failed(&outcome(&fake, &world, other_key).await, "sign_in_failed");
    code_in(outcome(&fake, &world, |claims| id_token(&header(), &claims, 9)).await.header("location").unwrap());
}

#[tokio::test]
async fn only_configured_algorithms_count() {
    let (fake, world) =
        Fake::with_world_of(|provider| Provider { algorithms: vec![Algorithm::RS256], ..provider }).await;
    let answer = outcome(&fake, &world, |claims| id_token(&header(), &claims, 9)).await;
    assert_failed(&answer, "sign_in_failed");
    assert!(fake.asked(KEYS).is_empty(), "noise costs no request");
}

#[tokio::test]
async fn a_key_is_found_among_others_and_only_where_it_is_meant() {
    let (fake, world) = Fake::with_world().await;
    let without = |field: &str| {
        let mut jwk = jwk(9, "k1");
        jwk.as_object_mut().unwrap().remove(field);
        jwk
    };
    let changed = |field: &str, value: &str| {
        let mut jwk = jwk(9, "k1");
        jwk[field] = json!(value);
        jwk
    };
    let strange = json!({ "kty": "strange", "kid": "k1" });
    let shared = json!({ "kty": "oct", "k": "AAAA", "kid": "k1" });
    let nameless = json!({ "alg": "EdDSA" });
    for (keys, head, is_good) in [
        (vec![strange, json!(7), shared, jwk(8, "k0"), jwk(9, "k1")], header(), true),
        (vec![without("alg"), jwk(8, "k0")], header(), true),
        (vec![without("use")], header(), true),
        (vec![changed("use", "enc")], header(), false),
        (vec![changed("alg", "ES256")], header(), false),
        (vec![changed("crv", "X25519")], header(), false),
        (vec![changed("kid", "k2")], header(), false),
        (vec![without("kid")], header(), false),
        // A token without a key id means the only key, if there is one only.
        (vec![without("kid")], nameless.clone(), true),
        (vec![jwk(9, "k1")], nameless.clone(), true),
        (vec![jwk(9, "k1"), jwk(8, "k0")], nameless, false),
        (vec![], header(), false),
    ] {
        world.clock.advance_seconds(301);
        fake.say(KEYS, Say::Json(json!({ "keys": keys })));
        let answer = outcome(&fake, &world, |claims| id_token(&head, &claims, 9)).await;
        let has_code = answer.header("location").unwrap().contains("#code=");
        assert_eq!(has_code, is_good, "{keys:?} {head}");
    }
}
