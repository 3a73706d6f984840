//! Users with tokens, a page that signs, a tool behind a link.

use crate::issuer::ScriptedIssuer;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_issuer_link::{Link, LinkClock, LinkOptions, LinkState, LinkedVerifier};
use bmap_protocol::keys::{MacKey, TokenDigest, ToolKey};
use bmap_protocol::sign::{self, RequestKey, Stamp};
use bmap_verifier::{MemoryReplayStore, Policy, ReplayLimits, SystemClock, UnixTime};
use ed25519_dalek::{Signer, SigningKey};
use http::Request;
use http::request::Parts;
use http_body_util::Full;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

pub(crate) const PAGE: &str = "https://shop.example";
pub(crate) const USER: &str = "usr_0192f0c1a7e27c3c9f60b2b4b1c7a001";
pub(crate) const KEY: &str = "bmk_0192f0c1a7e27c3c9f60b2b4b1c7a0ff";
pub(crate) const SESSION: &str = "ses_1";

pub(crate) fn seconds() -> i64 {
    SystemClock.now().seconds()
}

/// A page's token and its key.
pub(crate) struct Page {
    pub(crate) token: String,
    pub(crate) jti: String,
    key: RequestKey,
}

/// A token signed by an issuer's key, for an epoch's `K_tool`.
pub(crate) fn mint(
    issuer: &str,
    kid: &str,
    signing: &SigningKey,
    tool_key: &ToolKey,
    epoch: u32,
    change: impl FnOnce(&mut Value),
) -> Page {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let mut jti = [0; 16];
    jti[..8].copy_from_slice(&COUNTER.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    let jti = Base64UrlUnpadded::encode_string(&jti);
    let now = seconds();
    let mut claims = json!({
        "iss": issuer, "aud": "geo", "sub": USER, "client_id": KEY, "iat": now - 10, "exp": now + 290, "jti": jti,
        "scope": "search", "origin": PAGE, "asr": "server", "cnf": {"kid": format!("bt1.geo.{epoch}")}, "sid": SESSION,
    });
    change(&mut claims);
    let encode = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
    let signed = format!("{}.{}", encode(&json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid})), encode(&claims));
    let token = format!("{signed}.{}", Base64UrlUnpadded::encode_string(&signing.sign(signed.as_bytes()).to_bytes()));
    let key = RequestKey::Hmac(MacKey::new(&tool_key.signing_key(&TokenDigest::of(token.as_bytes()))));
    Page { token, jti, key }
}

impl Page {
    /// A signed request, with a body that is sent later where there is one.
    pub(crate) fn request(&self, body: &[u8]) -> Parts {
        static COUNTER: AtomicU64 = AtomicU64::new(1);
        let mut nonce = [7; 16];
        nonce[..8].copy_from_slice(&COUNTER.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let authorization = sign::authorization(&self.token);
        let digest = (!body.is_empty()).then(|| bmap_protocol::digest::BodyDigest::of(body).header_value());
        let content_type = (!body.is_empty()).then_some("application/json");
        let method = if body.is_empty() { "GET" } else { "POST" };
        let request = sign::Request {
            method,
            authority: "geo.example",
            path: "/v1/search",
            authorization: Some(&authorization),
            content_type,
            content_digest: digest.as_deref(),
            ..sign::Request::default()
        };
        let created = u64::try_from(seconds()).unwrap();
        let signed = sign::sign(&request, &Stamp { created, nonce, key_id: &self.jti }, &self.key).unwrap();
        let mut builder = Request::builder()
            .method(method)
            .uri("/v1/search")
            .header("host", "geo.example")
            .header("origin", PAGE)
            .header("authorization", &authorization)
            .header("signature-input", signed.signature_input)
            .header("signature", signed.signature);
        if let Some(digest) = digest {
            builder = builder.header("content-type", "application/json").header("content-digest", digest);
        }
        builder.body(()).unwrap().into_parts().0
    }
}

/// A tool behind a link.
pub(crate) struct Tool {
    pub(crate) link: Link,
    pub(crate) verifier: Arc<LinkedVerifier>,
}

impl Tool {
    /// A tool whose link is live.
    pub(crate) async fn live(issuer: &ScriptedIssuer) -> Self {
        let tool = Self::start(issuer, |_| {}, |_| {});
        tool.until(LinkState::Live).await;
        tool
    }

    pub(crate) fn start(
        issuer: &ScriptedIssuer,
        options: impl FnOnce(&mut LinkOptions),
        policy: impl FnOnce(&mut Policy),
    ) -> Self {
        let mut chosen = LinkOptions::default();
        options(&mut chosen);
        let link = Link::start(issuer.credential(), chosen).unwrap();
        let mut own = Policy::default();
        policy(&mut own);
        let replay =
            MemoryReplayStore::new(ReplayLimits { entries: 65_536, per_key: 32_768 }, own.window, seconds() - 1000);
        let verifier = Arc::new(link.verifier(own, replay));
        Self { link, verifier }
    }

    /// Waits, for 10 s at most.
    pub(crate) async fn until(&self, state: LinkState) {
        wait_for(&format!("{state:?}"), || self.link.status().state == state).await;
    }

    /// One request without a body.
    pub(crate) async fn ask(&self, page: &Page) -> Result<(), &'static str> {
        let decided =
            self.verifier.verify(&page.request(b""), Full::new(bytes::Bytes::new()), None, &SystemClock).await;
        decided.map(|_| ()).map_err(|refusal| refusal.code().as_str())
    }

    /// Asks until a request is refused with this code; the time that took.
    pub(crate) async fn until_refused(&self, page: &Page, code: &str) -> Duration {
        let began = Instant::now();
        loop {
            match self.ask(page).await {
                Err(refused) if refused == code => return began.elapsed(),
                Err(other) => panic!("{other}, not {code}"),
                Ok(()) => assert!(began.elapsed() < Duration::from_secs(10), "still let in"),
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Asks until a request is let in; before it, only this code is seen.
    pub(crate) async fn until_let_in(&self, page: &Page, code: &str) {
        let began = Instant::now();
        while let Err(refused) = self.ask(page).await {
            assert_eq!(refused, code);
            assert!(began.elapsed() < Duration::from_secs(10), "still refused");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Waits until something holds, for 10 s at most.
pub(crate) async fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(10), "not reached: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Clocks that a test moves, on top of the machine's.
#[derive(Default)]
pub(crate) struct MovedClock {
    /// Milliseconds.
    pub(crate) wall: AtomicI64,
    pub(crate) steady: AtomicU64,
}

impl LinkClock for MovedClock {
    fn now(&self) -> UnixTime {
        UnixTime::from_millis(SystemClock.now().millis() + self.wall.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        bmap_issuer_link::MachineClock.elapsed() + Duration::from_millis(self.steady.load(Ordering::SeqCst))
    }
}
