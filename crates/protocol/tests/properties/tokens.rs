//! Tokens: whatever an issuer's key signed, only claims in their grammar come out; whatever it did not sign, nothing does.

use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::ids::ToolId;
use bmap_protocol::token::{Claims, IssuerKey, MAX_TOKEN, TokenFault, UnverifiedToken};
use ed25519_dalek::{Signer, SigningKey};
use proptest::prelude::*;
use serde_json::{Value, json};

const HEADER: &str = r#"{"alg":"EdDSA","typ":"at+jwt","kid":"bj1.x"}"#;

fn mint(header: &[u8], claims: &[u8]) -> String {
    let signed = format!("{}.{}", Base64UrlUnpadded::encode_string(header), Base64UrlUnpadded::encode_string(claims));
    let signature = SigningKey::from_bytes(&[3; 32]).sign(signed.as_bytes());
    format!("{signed}.{}", Base64UrlUnpadded::encode_string(&signature.to_bytes()))
}

fn verify(token: &str) -> Result<Claims, TokenFault> {
    let public_key = SigningKey::from_bytes(&[3; 32]).verifying_key().to_bytes();
    UnverifiedToken::parse(token)?.verify(&[IssuerKey::new("bj1.x", &public_key).unwrap()])
}

fn good_claims() -> Value {
    json!({
        "iss": "https://auth.example", "sub": "anon", "aud": "geo", "client_id": "bmk_0192f0c1a7e27c3c9f60b2b4b1c7a0ff",
        "iat": 1000, "exp": 1300, "jti": "AAAAAAAAAAAAAAAAAAAAAA", "scope": "a b", "origin": "https://shop.example",
        "embed_origin": "https://frame.example", "end_user": "u1", "asr": "server", "sid": "s1", "nbf": 1000,
        "cnf": {"kid": "bt1.geo.1"},
    })
}

/// JSON of any shape, with the values that a careless reader takes for absent or for another type.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec!["anon", "geo", "*", "", "null", "99999999999", "bt1.geo.1", "https://a.example/"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(super::cases(400))]

    #[test]
    fn signed_json_of_any_shape_is_no_claims_and_no_panic(value in json_value()) {
        prop_assert_eq!(verify(&mint(HEADER.as_bytes(), value.to_string().as_bytes())), Err(TokenFault::Claims));
        prop_assert_eq!(verify(&mint(value.to_string().as_bytes(), b"{}")), Err(TokenFault::Header));
    }

    #[test]
    fn signed_bytes_are_no_claims_and_no_panic(header in prop::collection::vec(any::<u8>(), 0..60), claims in prop::collection::vec(any::<u8>(), 0..60)) {
        prop_assert_eq!(verify(&mint(HEADER.as_bytes(), &claims)), Err(TokenFault::Claims));
        prop_assert_eq!(verify(&mint(&header, &claims)), Err(TokenFault::Header));
    }

    #[test]
    fn r01_a_claim_of_another_shape_is_refused_or_still_in_its_grammar(at: prop::sample::Index, value in json_value()) {
        let mut claims = good_claims();
        let names: Vec<String> = claims.as_object().unwrap().keys().cloned().collect();
        let name = at.get(&names);
        claims[name] = value.clone();
        match verify(&mint(HEADER.as_bytes(), claims.to_string().as_bytes())) {
            Err(fault) => prop_assert_eq!(fault, TokenFault::Claims),
            // An accepted value is the value that was written: nothing is converted, trimmed or taken for absent.
            Ok(read) => {
                prop_assert!(!value.is_null(), "{}", name);
                prop_assert_eq!(shown(&read, name), value, "{}", name);
            }
        }
        claims.as_object_mut().unwrap().remove(name);
        let optional = ["origin", "embed_origin", "end_user", "sid", "nbf"].contains(&name.as_str());
        prop_assert_eq!(verify(&mint(HEADER.as_bytes(), claims.to_string().as_bytes())).is_ok(), optional, "{}", name);
    }

    #[test]
    fn no_change_of_a_token_verifies(at: prop::sample::Index, bit in 0..7_u8) {
        let token = mint(HEADER.as_bytes(), good_claims().to_string().as_bytes());
        prop_assert!(verify(&token).is_ok());
        let mut changed = token.into_bytes();
        let at = at.index(changed.len());
        changed[at] ^= 1 << bit;
        prop_assert!(verify(std::str::from_utf8(&changed).unwrap()).is_err());
    }

    #[test]
    fn text_is_no_token_and_no_panic(text in prop_oneof![any::<String>(), "[A-Za-z0-9_.-]{0,200}"]) {
        prop_assert!(verify(&text).is_err());
        let named = UnverifiedToken::parse(&text).ok().and_then(|token| token.unverified_audience());
        prop_assert!(named.is_none_or(|tool| ToolId::parse(tool.as_str()).is_ok()));
    }
}

#[test]
fn a_token_has_at_most_so_many_bytes() {
    for (length, fault) in [(MAX_TOKEN, TokenFault::Header), (MAX_TOKEN + 1, TokenFault::Form)] {
        let token = format!("{}.e30.AA", "A".repeat(length - 7));
        assert_eq!((token.len(), verify(&token)), (length, Err(fault)));
    }
}

/// A claim as it was read, in the shape in which it was written.
fn shown(claims: &Claims, name: &str) -> Value {
    let text = |text: Option<&str>| text.map_or(Value::Null, Value::from);
    match name {
        "iss" => claims.issuer.as_str().into(),
        "sub" => claims.subject.as_str().into(),
        "aud" => claims.audience.as_str().into(),
        "client_id" => claims.client_id.as_str().into(),
        "iat" => claims.issued_at.into(),
        "exp" => claims.expires_at.into(),
        "nbf" => claims.not_before.map_or(Value::Null, Value::from),
        "jti" => (*claims.id).into(),
        "scope" => (*claims.scope).into(),
        "origin" => text(claims.origin.as_ref().map(|origin| origin.as_str())),
        "embed_origin" => text(claims.embed_origin.as_ref().map(|origin| origin.as_str())),
        "end_user" => text(claims.end_user.as_deref()),
        "sid" => text(claims.session.as_deref()),
        "asr" => claims.assurance.as_str().into(),
        other => panic!("{other} took an unexpected value"),
    }
}
