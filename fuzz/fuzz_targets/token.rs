//! A compact token: no panic, and what is believed is what the issuer signed, claim for claim.
//!
//! The first byte chooses. Even: the rest is a compact token as a stranger sends it. Odd: the rest is a header and claims, with a line
//! feed between, that an issuer signs; so the claims' parser gets every JSON.
#![no_main]

use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_fuzz::{CASES, ISSUER_KEY, text};
use bmap_protocol::token::{Claims, Confirmation, IssuerKey, UnverifiedToken};
use ed25519_dalek::{Signer, SigningKey};
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::sync::LazyLock;

static KEY: LazyLock<(SigningKey, IssuerKey)> = LazyLock::new(|| {
    let key = SigningKey::from_bytes(&[3; 32]);
    let public = IssuerKey::new("bj1.fuzz", &key.verifying_key().to_bytes()).unwrap();
    (key, public)
});

fuzz_target!(|input: &[u8]| {
    let Some((choice, rest)) = input.split_first() else { return };
    if choice & 1 == 0 {
        foreign(rest);
    } else {
        signed(rest);
    }
});

fn foreign(bytes: &[u8]) {
    let Ok(compact) = std::str::from_utf8(bytes) else { return };
    let Ok(token) = UnverifiedToken::parse(compact) else { return };
    assert_eq!(token.compact(), compact);
    token.unverified_audience();
    if token.verify(std::slice::from_ref(&*ISSUER_KEY)).is_ok() {
        assert!(CASES.iter().any(|case| text(case, "token") == compact), "a token that no issuer signed");
    }
}

fn signed(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (header, claims) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    let (key, public) = &*KEY;
    let signed = format!("{}.{}", Base64UrlUnpadded::encode_string(header), Base64UrlUnpadded::encode_string(claims));
    let signature = Base64UrlUnpadded::encode_string(&key.sign(signed.as_bytes()).to_bytes());
    let compact = format!("{signed}.{signature}");
    let Ok(token) = UnverifiedToken::parse(&compact) else { return };
    let audience = token.unverified_audience();
    let Ok(read) = token.verify(std::slice::from_ref(public)) else { return };
    assert_eq!(audience.as_ref(), Some(&read.audience), "the key was chosen by another audience");
    let header: Value = serde_json::from_slice(header).expect("an accepted header is JSON");
    assert_eq!((text(&header, "alg"), text(&header, "typ"), text(&header, "kid")), ("EdDSA", "at+jwt", "bj1.fuzz"));
    assert_eq!(header.as_object().unwrap().len(), 3, "only the three members of the profile");
    match serde_json::from_slice(claims) {
        Ok(claims) => same(&read, &claims),
        // An unknown claim is read over and its text is not made: an escaped half of a surrogate pair in it is JSON (RFC 8259 §8.2),
        // and no text.
        Err(_) => drop(serde_json::from_slice::<IgnoredAny>(claims).expect("accepted claims are JSON")),
    }
}

/// The claims as a reader of plain JSON has them.
fn same(read: &Claims, claims: &Value) {
    let optional = |name: &str| claims.get(name).and_then(Value::as_str);
    assert_eq!(optional("iss"), Some(read.issuer.as_str()));
    assert_eq!(optional("aud"), Some(read.audience.as_str()));
    assert_eq!(optional("sub"), Some(read.subject.as_str()));
    assert_eq!(optional("client_id"), Some(read.client_id.as_str()));
    assert_eq!(claims["iat"].as_u64(), Some(read.issued_at));
    assert_eq!(claims["exp"].as_u64(), Some(read.expires_at));
    assert_eq!(claims.get("nbf").and_then(Value::as_u64), read.not_before);
    assert_eq!(optional("jti"), Some(&*read.id));
    assert_eq!(optional("scope"), Some(&*read.scope));
    assert_eq!(optional("origin"), read.origin.as_ref().map(|origin| origin.as_str()));
    assert_eq!(optional("embed_origin"), read.embed_origin.as_ref().map(|origin| origin.as_str()));
    assert_eq!(optional("end_user"), read.end_user.as_deref());
    assert_eq!(optional("asr"), Some(read.assurance.as_str()));
    if let Confirmation::Session { tool, epoch } = &read.confirmation {
        assert_eq!(claims["cnf"]["kid"].as_str(), Some(&*format!("bt1.{tool}.{epoch}")));
    }
    assert_eq!(Base64UrlUnpadded::decode_vec(&read.id).map(|id| id.len()), Ok(16));
}
