//! A caller that has a tool token and signs, with the protocol's own sending end.

use crate::clock;
use crate::stack::{ApiKey, Stack, address};
use crate::wire::Request;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::digest::BodyDigest;
use bmap_protocol::keys::{MacKey, SigningKey};
use bmap_protocol::sign::{self, RequestKey, Stamp};
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};

/// A caller with a token and its key: a backend, or a page.
pub struct Caller {
    /// The whole answer of the token endpoint.
    pub response: Value,
    tool_url: String,
    signs_from: u64,
    nonces: AtomicU64,
}

/// The signed parts beside method and target.
#[derive(Clone, Copy, Debug, Default)]
pub struct Content<'a> {
    /// Content type and body.
    pub body: Option<(&'a str, &'a [u8])>,
    /// More headers to send and to cover.
    pub more: &'a [(&'a str, &'a str)],
}

impl Caller {
    /// A direct caller, who gets a token with an API key.
    pub fn new(stack: &Stack, key: &ApiKey) -> Self {
        Self::with(stack, stack.token_response(key))
    }

    /// A caller who has got a token already.
    pub fn with(stack: &Stack, response: Value) -> Self {
        Self::at(&stack.tool_url, stack.signs_from, response)
    }

    /// A caller of a tool at this URL, which takes what was signed from a second on.
    pub fn at(tool_url: &str, signs_from: u64, response: Value) -> Self {
        Self { response, tool_url: tool_url.to_owned(), signs_from, nonces: AtomicU64::new(0) }
    }

    /// A text of the token's answer.
    ///
    /// # Panics
    /// If the answer has none of that name.
    pub fn text(&self, name: &str) -> &str {
        self.response[name].as_str().unwrap_or_else(|| panic!("no {name} in the token's answer"))
    }

    /// Signs a request to `url` as of now, or in the first seconds of the tool for when it takes one.
    ///
    /// # Panics
    /// If it can't be signed.
    pub fn sign(&self, url: &str, method: &str, target: &str, content: Content<'_>) -> Request {
        self.sign_at(clock::now().max(self.signs_from), url, method, target, content)
    }

    /// Signs a request to `url` as of `created`, seconds since 1970.
    ///
    /// # Panics
    /// If it can't be signed.
    pub fn sign_at(&self, created: u64, url: &str, method: &str, target: &str, content: Content<'_>) -> Request {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let authorization = sign::authorization(self.text("access_token"));
        let body = content.body.map(|(_, body)| body);
        let digest = body.map(|body| BodyDigest::of(body).header_value());
        let content_type = content.body.map(|(kind, _)| kind);
        let mut key = [0; 32];
        Base64UrlUnpadded::decode(self.text("signing_key"), &mut key).expect("a key in base64url");
        let mut nonce = [0x5a; 16];
        nonce[..8].copy_from_slice(&self.nonces.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let request = sign::Request {
            method,
            authority: address(url),
            path,
            query,
            authorization: Some(&authorization),
            content_type,
            content_encoding: None,
            content_digest: digest.as_deref(),
            more: content.more,
        };
        let stamp = Stamp { created, nonce, key_id: self.text("key_id") };
        let key = RequestKey::Hmac(MacKey::new(&SigningKey::from_bytes(key)));
        let signed = sign::sign(&request, &stamp, &key).expect("a request that can be signed");
        let own = [
            ("authorization", Some(authorization.as_str())),
            ("content-type", content_type),
            ("content-digest", digest.as_deref()),
            ("signature-input", Some(&signed.signature_input)),
            ("signature", Some(&signed.signature)),
        ];
        let lines =
            own.into_iter().filter_map(|(name, value)| Some((name, value?))).chain(content.more.iter().copied());
        lines.fold(Request::new(method, target, body), |request, (name, value)| request.with(name, value))
    }

    /// A search that is signed as of `created`, seconds since 1970.
    pub fn search_at(&self, created: u64) -> Request {
        self.sign_at(created, &self.tool_url, "GET", "/v1/search?q=Sofia", Content::default())
    }

    /// A signed search.
    pub fn search(&self) -> Request {
        self.sign(&self.tool_url, "GET", "/v1/search?q=Sofia", Content::default())
    }

    /// A signed search around a place.
    pub fn nearby(&self) -> Request {
        let body = Some(("application/json", &br#"{"lat":42.7,"lon":23.3}"#[..]));
        self.sign(&self.tool_url, "POST", "/v1/nearby", Content { body, ..Content::default() })
    }
}
