//! The inputs that every variant gets: one tool, one token, many signed requests with a nonce each.

use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::check::Window;
use bmap_protocol::digest::BodyDigest;
use bmap_protocol::ids::{Issuer, ToolId};
use bmap_protocol::keys::{MacKey, RootSecret, SigningKey, TokenDigest, ToolKey};
use bmap_protocol::origin::Origin;
use bmap_protocol::sign::{self, RequestKey, Stamp};
use bmap_protocol::token::IssuerKey;
use bmap_verifier::replay::Record;
use bmap_verifier::{MemoryReplayStore, NoRevocations, Policy, ReplayLimits, ToolKeys, Verifier};
use ed25519_dalek::Signer;
use http::request::Parts;
use serde_json::json;

pub(crate) const NOW: u32 = 1_764_000_000;
pub(crate) const BODY: &[u8] =
    br#"{"lat":42.6977,"lon":23.3219,"limit":10,"radius_km":25,"fields":["name","country","population"]}"#;
pub(crate) const HOST: &str = "geo.example";
const PAGE: &str = "https://shop.example";

pub(crate) struct World {
    pub(crate) issuer_key: ed25519_dalek::SigningKey,
    pub(crate) tool_key: ToolKey,
    pub(crate) host: &'static str,
    pub(crate) own: Origin,
}

/// Nonces that are live before anything is measured.
pub(crate) const LIVE: u64 = 100_000;

/// A nonce for a number.
pub(crate) fn spread(number: u64) -> [u8; 16] {
    u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes()
}

/// A token with its key.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) jti: String,
    pub(crate) key: SigningKey,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::at(HOST, Origin::parse("https://geo.example").unwrap())
    }

    pub(crate) fn at(host: &'static str, own: Origin) -> Self {
        let issuer = Issuer::parse("https://auth.example").unwrap();
        let tool_key = RootSecret::from_bytes([1; 32]).epoch(1).tool_key(&issuer, &ToolId::parse("geo").unwrap());
        Self { issuer_key: ed25519_dalek::SigningKey::from_bytes(&[2; 32]), tool_key, host, own }
    }

    /// A verifier at work: [`LIVE`] nonces are live, so that none of its memory is touched for the first time.
    pub(crate) fn verifier(&self, started: u32, now: u32) -> Verifier {
        let limits = ReplayLimits { per_key: u32::MAX, ..ReplayLimits::default() };
        let replay = MemoryReplayStore::new(limits, Window::DEFAULT, started.into());
        for number in 0..LIVE {
            let record =
                Record { key: [0; 16], nonce: spread(number), until: Window::DEFAULT.record_until(now.into()) };
            assert_eq!(replay.record_now(&record, now.into()), Ok(()));
        }
        Verifier::new(
            Issuer::parse("https://auth.example").unwrap(),
            vec![IssuerKey::new("bj1.bench", &self.issuer_key.verifying_key().to_bytes()).unwrap()],
            vec![self.own.clone()],
            Policy::default(),
            ToolKeys::new(ToolId::parse("geo").unwrap(), vec![(1, self.tool_key.clone())]),
            replay,
            NoRevocations,
        )
    }

    pub(crate) fn mint(&self, number: u64, now: u64) -> Token {
        let mut jti = [0; 16];
        jti[..8].copy_from_slice(&number.to_be_bytes());
        let jti = Base64UrlUnpadded::encode_string(&jti);
        let claims = json!({
            "iss": "https://auth.example", "sub": "usr_0192f0c1a7e27c3c9f60b2b4b1c7a001", "aud": "geo",
            "client_id": "bmk_0192f0c1a7e27c3c9f60b2b4b1c7a0ff", "iat": now - 10, "exp": now + 290, "jti": jti,
            "scope": "search route", "origin": PAGE, "asr": "server", "cnf": {"kid": "bt1.geo.1"},
        });
        let encode = |value: &serde_json::Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let signed =
            format!("{}.{}", encode(&json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "bj1.bench"})), encode(&claims));
        let signature = self.issuer_key.sign(signed.as_bytes()).to_bytes();
        let text = format!("{signed}.{}", Base64UrlUnpadded::encode_string(&signature));
        let key = self.tool_key.signing_key(&TokenDigest::of(text.as_bytes()));
        Token { text, jti, key }
    }

    /// A signed request as the SDK sends it. `body`: POST with [`BODY`], else GET.
    pub(crate) fn request(&self, token: &Token, number: u64, created: u64, body: bool) -> Signed {
        let key = RequestKey::token(&token.key, &token.text).unwrap();
        self.request_with(&key, token, number, created, body)
    }

    /// The same, covered in the order of the profile's example.
    pub(crate) fn request_in_order(&self, token: &Token, number: u64, created: u64, body: bool) -> Signed {
        self.request_with(&RequestKey::Hmac(MacKey::new(&token.key)), token, number, created, body)
    }

    fn request_with(&self, key: &RequestKey, token: &Token, number: u64, created: u64, body: bool) -> Signed {
        let authorization = sign::authorization(&token.text);
        let digest = BodyDigest::of(BODY).header_value();
        let mut nonce = [9; 16];
        nonce[..8].copy_from_slice(&number.to_be_bytes());
        let (method, target) = if body { ("POST", "/v1/nearby?units=km") } else { ("GET", "/v1/search?q=Sofia") };
        let (path, query) = target.split_once('?').unwrap();
        let request = sign::Request {
            method,
            authority: self.host,
            path,
            query: Some(query),
            authorization: Some(&authorization),
            content_type: body.then_some("application/json"),
            content_encoding: None,
            content_digest: body.then_some(digest.as_str()),
            more: &[],
        };
        let stamp = Stamp { created, nonce, key_id: &token.jti };
        let base = sign::base(&request, &stamp).unwrap();
        let headers = sign::sign(&request, &stamp, key).unwrap();
        let mut builder = http::Request::builder()
            .method(method)
            .uri(target)
            .header("host", self.host)
            .header("origin", PAGE)
            .header("accept", "*/*")
            .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)")
            .header("authorization", &authorization)
            .header("signature-input", &headers.signature_input)
            .header("signature", &headers.signature);
        if body {
            builder = builder.header("content-type", "application/json").header("content-digest", &digest);
        }
        let head = builder.body(()).unwrap().into_parts().0;
        Signed { head, base, nonce, body: if body { BODY } else { b"" } }
    }
}

/// A signed request with what its parts were made of.
pub(crate) struct Signed {
    pub(crate) head: Parts,
    pub(crate) base: Vec<u8>,
    pub(crate) nonce: [u8; 16],
    pub(crate) body: &'static [u8],
}
