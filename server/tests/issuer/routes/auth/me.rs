use crate::http_client::Call;
use crate::world::World;
use base64ct::{Base64UrlUnpadded, Encoding};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

#[tokio::test]
async fn whoever_is_signed_in_is_told_who_they_are() {
    let world = World::start().await;
    let pair = world.person("ana@shop.example").await.sign_in().await;
    let answer = world.me(&pair.access).await;
    let body = answer.granted();
    assert_eq!((body["email"].as_str(), &body["id"]), (Some("ana@shop.example"), &pair.claims()["sub"]));
    assert_eq!(body["session"]["id"], pair.claims()["sid"]);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn an_access_token_ends_after_ten_minutes() {
    let world = World::start().await;
    let pair = world.person("ana@shop.example").await.sign_in().await;
    world.clock.advance_seconds(599);
    world.me(&pair.access).await.granted();
    world.clock.advance_seconds(1);
    world.me(&pair.access).await.assert_refused("token_expired");
}

#[tokio::test]
async fn a_token_is_shown_once_and_as_bearer() {
    let world = World::start().await;
    let pair = world.person("ana@shop.example").await.sign_in().await;
    let call = || Call::new("GET", "/auth/me");
    let token = &pair.access;
    for scheme in ["bearer", "Bearer  "] {
        call().header("authorization", &format!("{scheme} {token}")).send(world.address).await.granted();
    }
    for call in [
        call(),
        call().header("authorization", token),
        call().header("authorization", "Bearer "),
        call().header("authorization", &format!("HTTPSig {token}")),
        call().header("authorization", &format!("Basic {token}")),
        call().header("authorization", &format!("Bearer {token}")).header("authorization", &format!("Bearer {token}")),
        call().header("cookie", &format!("access_token={token}")),
        call().header("authorization", &format!("Bearer {}", ".".repeat(15_000))),
        Call::new("GET", &format!("/auth/me?access_token={token}")),
    ] {
        call.send(world.address).await.assert_refused("invalid_token");
    }
}

/// A token of that header and those claims, signed with the issuer's own key or with another one.
fn signed(world: &World, header: &Value, claims: &Value, own_key: bool) -> String {
    let encode = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
    let input = format!("{}.{}", encode(header), encode(claims));
    let other = {
        let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
        der.extend_from_slice(&[9; 32]);
        EncodingKey::from_ed_der(&der)
    };
    let key = if own_key { world.signing_key() } else { other };
    let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &key, Algorithm::EdDSA).unwrap();
    format!("{input}.{signature}")
}

#[tokio::test]
async fn r01_r03_r07_other_headers_claims_and_keys_are_refused() {
    let world = World::start().await;
    let pair = world.person("ana@shop.example").await.sign_in().await;
    let claims = pair.claims();
    let head = pair.access.split('.').next().unwrap();
    let header: Value = serde_json::from_slice(&Base64UrlUnpadded::decode_vec(head).unwrap()).unwrap();
    assert_eq!((header["typ"].as_str(), header["alg"].as_str()), (Some("at+jwt"), Some("EdDSA")));
    let with = |value: &Value, name: &str, new: Value| {
        let mut value = value.clone();
        value[name] = new;
        value
    };
    let without = |name: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    // The forger is good: what it signs unchanged is taken.
    world.me(&signed(&world, &header, &claims, true)).await.granted();
    let mut forged = vec![signed(&world, &header, &claims, false)];
    for (name, value) in [
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!("ES256")),
        ("typ", json!("JWT")),
        ("kid", json!("../../dev/null")),
        ("jku", json!("http://127.0.0.1:1/keys")),
        ("crit", json!(["exp"])),
        ("zip", json!("DEF")),
        ("b64", json!(false)),
    ] {
        forged.push(signed(&world, &with(&header, name, value), &claims, true));
    }
    for (name, value) in [
        ("exp", json!("never")),
        ("exp", json!(claims["exp"].as_i64().unwrap() + 1)),
        ("exp", json!(1e300)),
        ("iat", json!("0")),
        ("aud", json!("places")),
        ("aud", json!([claims["aud"], "places"])),
        ("iss", json!("https://evil.example")),
        ("sub", json!("usr_00000000000000000000000000000000")),
        ("sub", json!("anon")),
        ("sid", json!("ses_00000000000000000000000000000000")),
        ("jti", json!("x")),
        ("scope", json!("admin")),
        ("nbf", json!("99999999999")),
    ] {
        forged.push(signed(&world, &header, &with(&claims, name, value), true));
    }
    for name in ["iss", "sub", "aud", "iat", "exp", "jti", "sid"] {
        forged.push(signed(&world, &header, &without(name), true));
    }
    // The public key as the secret of an HMAC.
    let hmac = EncodingKey::from_secret(world.issuer.signer.public_key());
    let mut hmac_header = Header::new(Algorithm::HS256);
    hmac_header.typ = Some("at+jwt".to_owned());
    hmac_header.kid = header["kid"].as_str().map(str::to_owned);
    forged.push(jsonwebtoken::encode(&hmac_header, &claims, &hmac).unwrap());
    let unsigned = pair.access.rsplit_once('.').unwrap().0;
    forged.extend([format!("{unsigned}."), unsigned.to_owned(), format!("{}.", pair.access)]);
    for token in forged {
        world.me(&token).await.assert_refused("invalid_token");
    }
    world.me(&pair.access).await.granted();
}
