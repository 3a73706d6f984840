//! An issuer that mints, and a page that signs. The time is the real one: the servers have no other.

use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::ids::{Issuer, ToolId};
use bmap_protocol::keys::{MacKey, RootSecret, TokenDigest};
use bmap_protocol::origin::Origin;
use bmap_protocol::sign::{self, RequestKey, Stamp};
use bmap_protocol::token::{Assurance, IssuerKey};
use bmap_verifier::replay::Record;
use bmap_verifier::{AllowedOrigins, SystemClock, ToolCredential};
use ed25519_dalek::{Signer, SigningKey};
use http::Request;
use http::request::Parts;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

const ISSUER: &str = "https://auth.example";
const PAGE: &str = "https://shop.example";

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    SystemClock.now().seconds()
}

pub(crate) fn tool() -> ToolId {
    ToolId::parse("geo").unwrap()
}

fn root() -> RootSecret {
    RootSecret::from_bytes([1; 32])
}

fn issuer_key() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

pub(crate) fn credential() -> ToolCredential {
    let issuer = Issuer::parse(ISSUER).unwrap();
    ToolCredential {
        epochs: vec![(1, root().epoch(1).tool_key(&issuer, &tool()))],
        issuer,
        tool: tool(),
        own: vec![Origin::parse("https://geo.example").unwrap()],
        issuer_keys: vec![IssuerKey::new("bj1.test", &issuer_key().verifying_key().to_bytes()).unwrap()],
        origins: AllowedOrigins::NamedByToken,
        min_assurance: Assurance::Origin,
        scopes: Vec::new(),
        policy: Default::default(),
    }
}

/// 16 bytes that no other has.
pub(crate) fn unique() -> [u8; 16] {
    static COUNTER: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [7; 16];
    bytes[..8].copy_from_slice(&COUNTER.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    bytes
}

/// A record of a request that was signed then, as a verifier makes it.
pub(crate) fn record(created: i64) -> Record {
    Record { key: [1; 16], nonce: unique(), until: crate::world::WINDOW.record_until(created) }
}

/// A page with a token.
pub(crate) struct Page {
    token: String,
    jti: String,
    key: RequestKey,
}

impl Page {
    pub(crate) fn new() -> Self {
        let jti = Base64UrlUnpadded::encode_string(&unique());
        let claims = json!({
            "iss": ISSUER, "aud": "geo", "sub": "usr_0192f0c1a7e27c3c9f60b2b4b1c7a001",
            "client_id": "bmk_0192f0c1a7e27c3c9f60b2b4b1c7a0ff", "iat": now() - 100, "exp": now() + 199, "jti": jti,
            "scope": "search", "origin": PAGE, "asr": "server", "cnf": {"kid": "bt1.geo.1"},
        });
        let encode = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "bj1.test"});
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = Base64UrlUnpadded::encode_string(&issuer_key().sign(signed.as_bytes()).to_bytes());
        let token = format!("{signed}.{signature}");
        let tool_key = root().epoch(1).tool_key(&Issuer::parse(ISSUER).unwrap(), &tool());
        let key = tool_key.signing_key(&TokenDigest::of(token.as_bytes()));
        Self { token, jti, key: RequestKey::Hmac(MacKey::new(&key)) }
    }

    /// A request that is signed now.
    pub(crate) fn signs(&self) -> Parts {
        self.signs_at(now())
    }

    /// A request that is signed at `created`, seconds since 1970, with a nonce of its own.
    pub(crate) fn signs_at(&self, created: i64) -> Parts {
        let authorization = sign::authorization(&self.token);
        let request = sign::Request {
            method: "GET",
            authority: "geo.example",
            path: "/v1/search",
            query: Some("q=Sofia"),
            authorization: Some(&authorization),
            content_type: None,
            content_encoding: None,
            content_digest: None,
            more: &[],
        };
        let stamp = Stamp { created: created.cast_unsigned(), nonce: unique(), key_id: &self.jti };
        let signed = sign::sign(&request, &stamp, &self.key).unwrap();
        Request::get("/v1/search?q=Sofia")
            .header("host", "geo.example")
            .header("origin", PAGE)
            .header("authorization", &authorization)
            .header("signature-input", signed.signature_input)
            .header("signature", signed.signature)
            .body(())
            .unwrap()
            .into_parts()
            .0
    }
}
