//! Whoever has a tool token and signs, with the protocol's own sending end.

use crate::clock;
use crate::stack::{ApiKey, Stack, address};
use crate::wire::Request;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::digest::BodyDigest;
use bmap_protocol::keys::{MacKey, SigningKey};
use bmap_protocol::sign::{self, RequestKey, Stamp};
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};

/// A direct caller: no page, no browser.
pub struct Caller {
    /// The whole answer of the token endpoint.
    pub response: Value,
    authority: String,
    nonces: AtomicU64,
}

impl Caller {
    /// Gets a token with an API key.
    pub fn new(stack: &Stack, key: &ApiKey) -> Self {
        let response = stack.token_response(key);
        Self { response, authority: address(&stack.tool_url).to_owned(), nonces: AtomicU64::new(0) }
    }

    /// A text of the token's answer.
    ///
    /// # Panics
    /// If the answer has none of that name.
    pub fn text(&self, name: &str) -> &str {
        self.response[name].as_str().unwrap_or_else(|| panic!("no {name} in the token's answer"))
    }

    /// Signs a request to the tool as of now. `more` headers are sent and covered.
    ///
    /// # Panics
    /// If it can't be signed.
    pub fn sign_with(&self, method: &str, target: &str, body: Option<&[u8]>, more: &[(&str, &str)]) -> Request {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let authorization = sign::authorization(self.text("access_token"));
        let digest = body.map(|body| BodyDigest::of(body).header_value());
        let content_type = body.map(|_| "application/json");
        let mut key = [0; 32];
        Base64UrlUnpadded::decode(self.text("signing_key"), &mut key).expect("a key in base64url");
        let mut nonce = [0x5a; 16];
        nonce[..8].copy_from_slice(&self.nonces.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let request = sign::Request {
            method,
            authority: &self.authority,
            path,
            query,
            authorization: Some(&authorization),
            content_type,
            content_digest: digest.as_deref(),
            more,
        };
        let stamp = Stamp { created: clock::now(), nonce, key_id: self.text("key_id") };
        let signed = sign::sign(&request, &stamp, &RequestKey::Hmac(MacKey::new(&SigningKey::from_bytes(key))))
            .expect("a request that can be signed");
        let own = [
            ("authorization", Some(authorization.as_str())),
            ("content-type", content_type),
            ("content-digest", digest.as_deref()),
        ];
        let headers = own.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let signature =
            [("signature-input", signed.signature_input.as_str()), ("signature", signed.signature.as_str())];
        headers
            .chain(more.iter().copied())
            .chain(signature)
            .fold(Request::new(method, target, body), |request, (name, value)| request.with(name, value))
    }

    /// A signed search.
    pub fn search(&self) -> Request {
        self.sign_with("GET", "/v1/search?q=Sofia", None, &[])
    }

    /// A signed search around a place.
    pub fn nearby(&self) -> Request {
        self.sign_with("POST", "/v1/nearby", Some(br#"{"lat":42.7,"lon":23.3}"#), &[])
    }
}
