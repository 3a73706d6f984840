//! The answer to a refused caller: problem details (RFC 9457), and the one place that turns a refusal into an answer.

use crate::clock::{UnixTime, millis};
use bmap_protocol::code::Code;
use bmap_protocol::refusal::Refusal;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};

/// The media type (RFC 9457 §6.1).
pub const MEDIA_TYPE: &str = "application/problem+json";
/// `x-request-id`, taken over from the caller where it is plain, else made here.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The body of a refusal (profile §6).
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// `urn:bmap:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code's title.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The code that callers branch on.
    pub code: &'static str,
    /// Finds the refusal in the log.
    pub request_id: String,
    /// The verifier's time, milliseconds since 1970, so that a caller can set its clock by it.
    pub server_time: u64,
    /// Present and true where the same call, signed anew, may succeed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub retryable: bool,
}

impl Problem {
    /// The body for a code.
    pub fn new(code: Code, request_id: String, now: UnixTime) -> Self {
        Self {
            kind: format!("urn:bmap:problem:{}", code.as_str()),
            title: code.title(),
            status: code.status(),
            code: code.as_str(),
            request_id,
            server_time: millis(now),
            retryable: code.retryable(),
        }
    }
}

/// The components that a good signature covers, for `Accept-Signature` (RFC 9421 §5.1).
const ACCEPT_SIGNATURE: &str = "bmap=(\"@method\" \"@authority\" \"@path\" \"@query\" \"authorization\" \"content-type\" \
                                \"content-digest\");created;nonce;keyid;tag=\"bmap-1\"";

/// The whole answer to a refusal: body, status and headers (profile §6).
pub fn answer<B: From<Bytes>>(refusal: &Refusal, request_id: String, now: UnixTime) -> Response<B> {
    let code = refusal.code();
    let id = HeaderValue::from_str(&request_id);
    // A struct of texts and numbers always serialises.
    let body = serde_json::to_vec(&Problem::new(code, request_id, now)).unwrap_or_default();
    let mut response = Response::new(B::from(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = id {
        headers.insert(REQUEST_ID, id);
    }
    if code.status() == 401
        && let Ok(value) = HeaderValue::from_str(&format!("{} error=\"{}\"", bmap_protocol::SCHEME, code.as_str()))
    {
        headers.insert(WWW_AUTHENTICATE, value);
    }
    ask_for_signature(headers, code);
    if let Some(seconds) = refusal.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Where a signature is missing or covers too little, says what a good one covers (RFC 9421 §5.1) and which digest is wanted (RFC 9530 §4).
pub fn ask_for_signature(headers: &mut HeaderMap, code: Code) {
    if matches!(code, Code::MissingSignature | Code::InsufficientCoverage) {
        headers.insert("accept-signature", HeaderValue::from_static(ACCEPT_SIGNATURE));
        headers.insert("want-content-digest", HeaderValue::from_static("sha-256=10"));
    }
}

/// The request's id: the caller's where it is at most 64 of `A-Z a-z 0-9 . _ -`, so that nothing gets into a log by it
/// (T33), else one of our own.
pub fn request_id(headers: &HeaderMap, now: UnixTime) -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let plain = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    match headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(plain) {
        Some(id) => id.to_owned(),
        None => format!("req_{:x}_{:x}", millis(now), COUNTER.fetch_add(1, Ordering::Relaxed)),
    }
}
