//! Actors: an issuer that mints, a page that signs, a tool that verifies. Nothing is shared between tests.

use axum::body::Body;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::digest::BodyDigest;
use bmap_protocol::ids::{Issuer, ToolId};
use bmap_protocol::keys::{MacKey, RootSecret, TokenDigest, ToolKey};
use bmap_protocol::origin::Origin;
use bmap_protocol::sign::{self, RequestKey, Stamp};
use bmap_protocol::token::{Assurance, IssuerKey};
use bmap_verifier::{AllowedOrigins, Policy, ReplayLimits, ToolCredential, UnixTime, Verifier};
use ed25519_dalek::{Signer, SigningKey};
use http::{HeaderValue, Request};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) const NOW: u32 = 1_764_000_000;
pub(crate) const PAGE: &str = "https://shop.example";

pub(crate) fn now() -> UnixTime {
    UnixTime::from_seconds(NOW)
}

/// Mints tokens for any tool.
pub(crate) struct TestIssuer {
    root: RootSecret,
    key: SigningKey,
}

impl TestIssuer {
    pub(crate) fn new() -> Self {
        Self { root: RootSecret::from_bytes([1; 32]), key: SigningKey::from_bytes(&[2; 32]) }
    }

    pub(crate) fn tool_key(&self, tool: &str) -> ToolKey {
        let issuer = Issuer::parse("https://auth.example").unwrap();
        self.root.epoch(1).tool_key(&issuer, &ToolId::parse(tool).unwrap())
    }

    pub(crate) fn credential(&self, tool: &str) -> ToolCredential {
        ToolCredential {
            issuer: Issuer::parse("https://auth.example").unwrap(),
            tool: ToolId::parse(tool).unwrap(),
            own: vec![Origin::parse("https://geo.example").unwrap()],
            epochs: vec![(1, self.tool_key(tool))],
            issuer_keys: vec![IssuerKey::new("bj1.test", &self.key.verifying_key().to_bytes()).unwrap()],
            origins: AllowedOrigins::NamedByToken,
            min_assurance: Assurance::Origin,
            scopes: Vec::new(),
            policy: Default::default(),
        }
    }

    /// A tool's verifier whose replay store began long ago.
    pub(crate) fn verifier(&self, change: impl FnOnce(&mut Policy)) -> Verifier {
        self.verifier_with(ReplayLimits { entries: 4096, per_key: 1024 }, change)
    }

    pub(crate) fn verifier_with(&self, limits: ReplayLimits, change: impl FnOnce(&mut Policy)) -> Verifier {
        let mut policy = Policy::default();
        change(&mut policy);
        Verifier::with_policy(self.credential("geo"), policy, limits, UnixTime::from_seconds(NOW - 1000))
    }

    /// A token with the default claims, changed.
    pub(crate) fn mint(&self, change: impl FnOnce(&mut Value)) -> PageToken {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let mut jti = [0; 16];
        jti[..8].copy_from_slice(&COUNTER.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let jti = Base64UrlUnpadded::encode_string(&jti);
        let mut claims = json!({
            "iss": "https://auth.example", "aud": "geo", "sub": "usr_0192f0c1a7e27c3c9f60b2b4b1c7a001",
            "client_id": "bmk_0192f0c1a7e27c3c9f60b2b4b1c7a0ff", "iat": NOW - 10, "exp": NOW + 290, "jti": jti,
            "scope": "search route", "origin": PAGE, "asr": "server", "cnf": {"kid": "bt1.geo.1"},
        });
        change(&mut claims);
        let jti = claims["jti"].as_str().unwrap_or_default().to_owned();
        let encode = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let signed =
            format!("{}.{}", encode(&json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "bj1.test"})), encode(&claims));
        let signature = Base64UrlUnpadded::encode_string(&self.key.sign(signed.as_bytes()).to_bytes());
        self.hand_over("geo", format!("{signed}.{signature}"), jti)
    }

    /// The signing key for a token of a tool, as the issuer hands it to the page.
    pub(crate) fn hand_over(&self, tool: &str, token: String, jti: String) -> PageToken {
        let key = self.tool_key(tool).signing_key(&TokenDigest::of(token.as_bytes()));
        PageToken { token, jti, key: RequestKey::Hmac(MacKey::new(&key)) }
    }
}

/// A page's token and its key.
pub(crate) struct PageToken {
    pub(crate) token: String,
    pub(crate) jti: String,
    pub(crate) key: RequestKey,
}

/// A request that a page is about to sign.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) method: &'static str,
    pub(crate) host: &'static str,
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
    pub(crate) created: u64,
    pub(crate) nonce: [u8; 16],
    pub(crate) origin: Option<&'static str>,
}

pub(crate) fn get(target: &str) -> Draft {
    static COUNTER: AtomicU64 = AtomicU64::new(1);
    let mut nonce = [7; 16];
    nonce[..8].copy_from_slice(&COUNTER.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    Draft {
        method: "GET",
        host: "geo.example",
        target: target.to_owned(),
        body: Vec::new(),
        created: u64::from(NOW),
        nonce,
        origin: Some(PAGE),
    }
}

pub(crate) fn post(target: &str, body: &[u8]) -> Draft {
    Draft { method: "POST", body: body.to_vec(), ..get(target) }
}

impl Draft {
    /// Signs as the SDK does, and makes the request that will travel.
    pub(crate) fn sign(&self, page: &PageToken) -> Request<Body> {
        let (path, query) = self.target.split_once('?').map_or((self.target.as_str(), None), |(p, q)| (p, Some(q)));
        let authorization = sign::authorization(&page.token);
        let digest = (!self.body.is_empty()).then(|| BodyDigest::of(&self.body).header_value());
        let content_type = (!self.body.is_empty()).then_some("application/json");
        let request = sign::Request {
            method: self.method,
            authority: self.host,
            path,
            query,
            authorization: Some(&authorization),
            content_type,
            content_encoding: None,
            content_digest: digest.as_deref(),
            more: &[],
        };
        let stamp = Stamp { created: self.created, nonce: self.nonce, key_id: &page.jti };
        let signed = sign::sign(&request, &stamp, &page.key).unwrap();
        let mut builder = Request::builder()
            .method(self.method)
            .uri(&self.target)
            .header("host", self.host)
            .header("authorization", &authorization)
            .header("signature-input", signed.signature_input)
            .header("signature", signed.signature);
        for (name, value) in
            [("content-type", content_type), ("content-digest", digest.as_deref()), ("origin", self.origin)]
        {
            if let Some(value) = value {
                builder = builder.header(name, value);
            }
        }
        builder.body(if self.body.is_empty() { Body::empty() } else { Body::from(self.body.clone()) }).unwrap()
    }
}

/// Puts a request to a verifier; the code that it is refused with.
pub(crate) async fn decide(verifier: &Verifier, request: Request<Body>) -> Result<(), &'static str> {
    decide_at(verifier, request, now()).await
}

pub(crate) async fn decide_at(verifier: &Verifier, request: Request<Body>, now: UnixTime) -> Result<(), &'static str> {
    let (head, body) = request.into_parts();
    let peer = head.extensions.get::<bmap_verifier::PeerAddress>().map(|peer| peer.0);
    verifier.verify(&head, body, peer, &move || now).await.map(|_| ()).map_err(|refusal| refusal.code().as_str())
}

/// Changes the headers of a signed request on its way.
pub(crate) fn set(mut request: Request<Body>, name: &'static str, value: &str) -> Request<Body> {
    request.headers_mut().insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    request
}

pub(crate) fn without(mut request: Request<Body>, name: &'static str) -> Request<Body> {
    request.headers_mut().remove(name);
    request
}

pub(crate) fn header(request: &Request<Body>, name: &str) -> String {
    request.headers()[name].to_str().unwrap().to_owned()
}

/// Replaces in `Signature-Input`; what is signed stays.
pub(crate) fn edit_input(request: Request<Body>, from: &str, to: &str) -> Request<Body> {
    let input = header(&request, "signature-input");
    assert!(input.contains(from), "{from} is not in {input}");
    let edited = input.replacen(from, to, 1);
    set(request, "signature-input", &edited)
}
