//! Signing a request as `@bmap/auth` does in a page.

use super::claims::valid;
use super::issuer::TestToken;
use super::rng;
use crate::clock::UnixTime;
use bmap_protocol::digest::BodyDigest;
use bmap_protocol::sign::{self, Stamp};
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderName, ORIGIN};
use http::{HeaderMap, HeaderValue, Request, Uri};

/// Signs an [`http::Request`] with a token.
///
/// ```
/// use axum::body::Body;
/// use bmap_verifier::SystemClock;
/// use bmap_verifier::test::{SignRequest, TestClaims, TestIssuer};
/// use http::Request;
///
/// let token = TestIssuer::new().token(TestClaims::of("geo").origin("https://shop.example"), SystemClock.now());
/// let request = Request::post("https://geo.example/v1/nearby").header("content-type", "application/json").body(r#"{"lat":42.7}"#)?;
/// let request: Request<Body> = request.sign(&token, SystemClock.now()).map(Body::from);
/// assert_eq!(request.headers()["origin"], "https://shop.example");
/// assert!(request.headers()["signature-input"].to_str()?.contains("content-digest"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait SignRequest {
    /// The request with `Authorization`, `Signature-Input` and `Signature`, with `Content-Digest` where it has a body, and with `Host` and `Origin` where
    /// these are missing. Each call draws another nonce, so a request that is signed twice is two requests; a clone of a signed one is a replay.
    ///
    /// What the tool gets changes the request behind this: a header that is covered, the path or the body.
    ///
    /// # Panics
    /// The URI names no host and `Host` is missing; or the target is one that no verifier takes, such as `/a/../b`.
    #[must_use]
    fn sign(self, token: &TestToken, now: UnixTime) -> Self;
}

impl<B: AsRef<[u8]>> SignRequest for Request<B> {
    #[track_caller]
    fn sign(self, token: &TestToken, now: UnixTime) -> Self {
        let (mut head, body) = self.into_parts();
        let host = host(&head.uri, &head.headers);
        let authority = authority(&head.uri, &host);
        let authorization = sign::authorization(token.compact());
        let content = body.as_ref();
        let has_body = !content.is_empty();
        let digest = has_body.then(|| BodyDigest::of(content).header_value());
        let of_the_body = |name: HeaderName| text(&head.headers, &name).filter(|_| has_body);
        let request = sign::Request {
            method: head.method.as_str(),
            authority: &authority,
            path: head.uri.path(),
            query: head.uri.query(),
            authorization: Some(&authorization),
            content_type: of_the_body(CONTENT_TYPE),
            content_encoding: of_the_body(CONTENT_ENCODING),
            content_digest: digest.as_deref(),
            more: &[],
        };
        let created = u64::try_from(now.seconds()).unwrap_or(0);
        let stamp = Stamp { created, nonce: rng::bytes(), key_id: &token.claims().id };
        let signed = valid(&head.uri.to_string(), sign::sign(&request, &stamp, token.key()));
        let mut set = |name: HeaderName, value: &str| {
            head.headers.insert(name, valid(value, HeaderValue::from_str(value)));
        };
        set(AUTHORIZATION, &authorization);
        set(HeaderName::from_static("signature-input"), &signed.signature_input);
        set(HeaderName::from_static("signature"), &signed.signature);
        if let Some(digest) = &digest {
            set(HeaderName::from_static("content-digest"), digest);
        }
        if !head.headers.contains_key(HOST) {
            head.headers.insert(HOST, valid(&host, HeaderValue::from_str(&host)));
        }
        if let Some(origin) = token.claims().origin.as_ref().map(|origin| origin.as_str())
            && !head.headers.contains_key(ORIGIN)
        {
            head.headers.insert(ORIGIN, valid(origin, HeaderValue::from_str(origin)));
        }
        Request::from_parts(head, body)
    }
}

/// The host that the request is for, as it is spelled there.
#[track_caller]
fn host(uri: &Uri, headers: &HeaderMap) -> String {
    let named = uri.authority().map(http::uri::Authority::as_str).or_else(|| text(headers, &HOST));
    let Some(named) = named else {
        panic!("{uri}: the request has neither a host in its URI nor the header Host, and a signature covers it");
    };
    named.to_owned()
}

/// `@authority` (RFC 9421 §2.2.3): in lower case, without the scheme's default port.
fn authority(uri: &Uri, host: &str) -> String {
    let default_port = if uri.scheme_str() == Some("http") { ":80" } else { ":443" };
    host.strip_suffix(default_port).unwrap_or(host).to_ascii_lowercase()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
