//! Tokens that are not ours, at the one place of the issuer that takes tokens: the renewal.

use crate::actors::{PageToken, sign_call};
use crate::http_client::Answer;
use crate::world::{PAGE, TOOL, World};
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::api_key::Ed25519Seed;
use bmap_protocol::ids::ToolId;
use bmap_protocol::keys::{MacKey, TokenDigest};
use bmap_protocol::sign::{RequestKey, authorization};
use ed25519_dalek::Signer;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// Sends a renewal with any text for a token, under the signing key that the text would have: only steps behind the MAC
/// can refuse it.
async fn renew_with(world: &World, token: &str) -> Answer {
    let tool = ToolId::parse(TOOL).unwrap();
    let key =
        world.issuer.roots.minting().tool_key(&world.issuer.url, &tool).signing_key(&TokenDigest::of(token.as_bytes()));
    let key = RequestKey::Hmac(MacKey::new(&key));
    let call = PageToken::renewal_form(token, TOOL);
    sign_call(world, call, &key, "AAAAAAAAAAAAAAAAAAAAAA", Some(&authorization(token))).send(world.address).await
}

fn claims(world: &World) -> Value {
    json!({
        "iss": world.issuer.url.as_str(), "sub": "usr_00000000000000000000000000000000", "aud": TOOL,
        "client_id": "bmk_00000000000000000000000000000000", "iat": world.now(), "exp": world.now() + 300,
        "jti": "AAAAAAAAAAAAAAAAAAAAAA", "scope": "", "origin": PAGE, "asr": "server", "cnf": { "kid": "bt1.places.1" },
    })
}

fn compact(header: &Value, claims: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let signed = format!(
        "{}.{}",
        Base64UrlUnpadded::encode_string(header.to_string().as_bytes()),
        Base64UrlUnpadded::encode_string(claims.as_bytes())
    );
    let signature = sign(signed.as_bytes());
    format!("{signed}.{}", Base64UrlUnpadded::encode_string(&signature))
}

/// The issuer's own signature, for claims that the issuer would never make.
async fn issuer_signs(world: &World) -> impl Fn(&[u8]) -> Vec<u8> + use<> {
    let row = world.issuer.store.issuer_keys().await.unwrap().remove(0);
    let data = format!("bmap/1/issuer-key\n{}\n{}", row.kid, row.public_key);
    let seed = bmap_protocol::seal::open(&world.issuer.roots.sealing().kek(), row.epoch, data.as_bytes(), &row.sealed)
        .unwrap();
    let key = Ed25519Seed::from_bytes(seed.as_slice().try_into().unwrap()).signing_key();
    move |bytes| key.sign(bytes).to_bytes().to_vec()
}

fn header(world: &World) -> Value {
    json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": world.issuer.signer.kid() })
}

#[tokio::test]
async fn r01_times_of_another_type_are_not_absent_times() {
    let world = World::start().await;
    world.host().await;
    let sign = issuer_signs(&world).await;
    let good = claims(&world).to_string();
    let exp = format!("\"exp\":{}", world.now() + 300);
    // The control: with its own claims this token gets past every check of the token, to its key, which is unknown.
    let control = compact(&header(&world), &good, &sign);
    renew_with(&world, &control).await.assert_refused("invalid_credentials");
    for (from, to) in [
        (exp.as_str(), "\"exp\":\"never\"".to_owned()),
        (&exp, "\"exp\":1e400".to_owned()),
        (&exp, "\"exp\":null".to_owned()),
        (&exp, format!("{exp}.5")),
        (&exp, "\"nothing\":1".to_owned()),
        (&exp, format!("{exp},\"nbf\":\"99999999999\"")),
        (&exp, format!("{exp},\"nbf\":99999999999")),
        (&exp, format!("\"exp\":{}", world.now() + 3000)),
    ] {
        let changed = good.replacen(from, &to, 1);
        assert_ne!(changed, good);
        let answer = renew_with(&world, &compact(&header(&world), &changed, &sign)).await;
        answer.assert_refused("invalid_token");
    }
}

#[tokio::test]
async fn r03_no_other_algorithm_is_taken() {
    let world = World::start().await;
    world.host().await;
    let public_key = *world.issuer.signer.public_key();
    let x = Base64UrlUnpadded::encode_string(&public_key);
    let jwk = json!({ "crv": "Ed25519", "kty": "OKP", "x": x }).to_string();
    let spki = [&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00][..], &public_key].concat();
    let pem =
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", base64ct::Base64::encode_string(&spki));
    for key in [public_key.to_vec(), x.into_bytes(), pem.into_bytes(), jwk.into_bytes()] {
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(world.issuer.signer.kid().to_owned());
        let token = jsonwebtoken::encode(&header, &claims(&world), &EncodingKey::from_secret(&key)).unwrap();
        renew_with(&world, &token).await.assert_refused("invalid_token");
    }
    let sign = issuer_signs(&world).await;
    for alg in ["none", "nOnE", "ES256", "eddsa", "Ed25519", ""] {
        let mut header = header(&world);
        header["alg"] = alg.into();
        for signature in [sign(b"x"), Vec::new()] {
            let token = compact(&header, &claims(&world).to_string(), |_| signature.clone());
            renew_with(&world, &token).await.assert_refused("invalid_token");
        }
        let token = compact(&header, &claims(&world).to_string(), &sign);
        renew_with(&world, &token).await.assert_refused("invalid_token");
    }
}

#[tokio::test]
async fn r05_dots_are_no_token_and_a_long_head_is_cut_off() {
    let world = World::start().await;
    world.host().await;
    renew_with(&world, &".".repeat(15_000)).await.assert_refused("invalid_token");
    renew_with(&world, &".".repeat(3_000)).await.assert_refused("invalid_signature");
    let call = PageToken::renewal_form("x", TOOL);
    let long = call.header("authorization", &format!("HTTPSig {}", ".".repeat(17 * 1024)));
    assert_eq!(long.send(world.address).await.status, 431);
}

#[tokio::test]
async fn r07_kids_and_foreign_header_parameters_choose_no_key() {
    let world = World::start().await;
    world.host().await;
    let sign = issuer_signs(&world).await;
    let good = claims(&world).to_string();
    for kid in ["../../dev/null", "' OR 1=1--", "\0", "", &"k".repeat(1500), "bj1.AAAAAAAAAAAAAAAA"] {
        let mut header = header(&world);
        header["kid"] = kid.into();
        renew_with(&world, &compact(&header, &good, &sign)).await.assert_refused("invalid_token");
    }
    for name in ["jku", "jwk", "x5u", "x5c", "crit", "zip", "b64"] {
        let mut header = header(&world);
        header[name] = "http://127.0.0.1:1/keys".into();
        renew_with(&world, &compact(&header, &good, &sign)).await.assert_refused("invalid_token");
    }
    // A kid of 4 KiB is a token over the limit, before a key is looked up.
    let mut header = header(&world);
    header["kid"] = "k".repeat(4096).into();
    renew_with(&world, &compact(&header, &good, &sign)).await.assert_refused("invalid_token");
}
