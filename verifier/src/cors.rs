//! CORS for a tool (Fetch §3.2): which pages may read its answers, and send what signing needs.
//!
//! An allowed origin is echoed exactly, never `*`, never with credentials; `Vary: Origin` always. CORS limits reading, it
//! is no authentication: every request that gets through is verified all the same.

use crate::policy::AllowedOrigins;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

/// Headers that a page may send.
pub const ALLOW_HEADERS: &str = "authorization, content-digest, signature, signature-input, content-type, x-request-id";
/// Headers that a page may read.
pub const EXPOSE_HEADERS: &str =
    "retry-after, ratelimit, ratelimit-policy, x-request-id, www-authenticate, accept-signature, date";
/// Seconds for which a browser may keep a preflight's answer: the most that Chromium takes.
pub const MAX_AGE: &str = "7200";

const ALLOW_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

/// Whether the request is a preflight: a browser asks before it sends, without a token.
pub fn is_preflight(head: &Parts) -> bool {
    head.method == Method::OPTIONS
        && head.headers.contains_key(ORIGIN)
        && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Answers a preflight: 204 with what is allowed, or 403 without a word to the page.
pub fn preflight<B: Default>(head: &Parts, allowed: &AllowedOrigins) -> Response<B> {
    let mut response = Response::new(B::default());
    let mut origins = head.headers.get_all(ORIGIN).iter();
    let origin = origins.next().filter(|_| origins.next().is_none());
    let echoed = allow(response.headers_mut(), origin, allowed);
    let headers = response.headers_mut();
    if echoed {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(ALLOW_METHODS));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOW_HEADERS));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
    }
    *response.status_mut() = if echoed { StatusCode::NO_CONTENT } else { StatusCode::FORBIDDEN };
    response
}

/// Adds to a refusal what its page may read; `origin` is the request's `Origin`.
pub fn expose(response: &mut HeaderMap, origin: Option<&HeaderValue>, allowed: &AllowedOrigins) {
    if allow(response, origin, allowed) {
        response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSE_HEADERS));
    }
}

/// Adds to the answer to a verified request what its page may read: its `Origin` is the token's, and allowed.
pub fn expose_to_verified(response: &mut HeaderMap, origin: Option<HeaderValue>) {
    response.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSE_HEADERS));
    }
}

/// Echoes the request's one origin if it is allowed.
fn allow(response: &mut HeaderMap, origin: Option<&HeaderValue>, allowed: &AllowedOrigins) -> bool {
    response.append(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else { return false };
    let echoed = origin.to_str().is_ok_and(|origin| allowed.allow(origin));
    if echoed {
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
    echoed
}
