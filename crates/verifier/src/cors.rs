//! CORS for a tool (Fetch §3.2): which pages may read its answers, and send what signing needs.
//!
//! An allowed origin is echoed exactly, never `*`, never with credentials; `Vary: Origin` always. CORS limits reading, it
//! is no authentication: every request that gets through is verified all the same.

use crate::allowed_origins::AllowedOrigins;
use crate::policy::Policy;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use std::sync::Arc;

/// Headers that a page may send: what signing needs, what tracing and `fetch` wrappers add, what reading in parts and from a cache needs,
/// and the override headers, which a verifier takes where they are covered (profile §4).
pub const ALLOW_HEADERS: &str = "authorization, content-digest, signature, signature-input, content-type, content-encoding, \
                                 x-request-id, traceparent, tracestate, baggage, sentry-trace, if-none-match, \
                                 if-modified-since, range, idempotency-key, x-requested-with, cache-control, \
                                 x-http-method, x-http-method-override, x-method-override, x-original-url, x-rewrite-url";
/// Headers that a page may read.
pub const EXPOSE_HEADERS: &str = "etag, link, content-range, location, retry-after, ratelimit, ratelimit-policy, \
                                  x-request-id, www-authenticate, accept-signature, date";
/// Seconds for which a browser may keep a preflight's answer: the most that Chromium takes.
pub const MAX_AGE: &str = "7200";

const ALLOW_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

/// The header lists of one policy, made once.
#[derive(Clone, Debug)]
pub struct HeaderLists(Arc<Lists>);

#[derive(Debug)]
struct Lists {
    allow: HeaderValue,
    expose: HeaderValue,
}

impl HeaderLists {
    /// The lists with the policy's additions.
    pub fn of(policy: &Policy) -> Self {
        Self(Arc::new(Lists {
            allow: joined(ALLOW_HEADERS, &policy.allow_headers),
            expose: joined(EXPOSE_HEADERS, &policy.expose_headers),
        }))
    }

    /// Adds the headers that a page may read, beside those that the answer's author lets it read.
    fn expose(&self, response: &mut HeaderMap) {
        let value = match response.contains_key(ACCESS_CONTROL_EXPOSE_HEADERS) {
            false => self.0.expose.clone(),
            true => {
                let own = response.get_all(ACCESS_CONTROL_EXPOSE_HEADERS).iter();
                let lines: Vec<&[u8]> = own.chain([&self.0.expose]).map(HeaderValue::as_bytes).collect();
                HeaderValue::from_bytes(&lines.join(&b", "[..])).unwrap_or_else(|_| self.0.expose.clone())
            }
        };
        response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, value);
    }
}

fn joined(list: &'static str, more: &[HeaderName]) -> HeaderValue {
    let names = more.iter().fold(list.to_owned(), |names, name| names + ", " + name.as_str());
    // Names with commas between them are a value.
    HeaderValue::from_str(&names).unwrap_or(HeaderValue::from_static(list))
}

/// Whether the request is a preflight: a browser asks before it sends, without a token.
pub fn is_preflight(head: &Parts) -> bool {
    head.method == Method::OPTIONS
        && head.headers.contains_key(ORIGIN)
        && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Answers a preflight: 204 with the allowed methods and headers, or 403 without a word to the page.
pub fn preflight<B: Default>(head: &Parts, allowed: &AllowedOrigins, lists: &HeaderLists) -> Response<B> {
    let mut response = Response::new(B::default());
    let mut origins = head.headers.get_all(ORIGIN).iter();
    let origin = origins.next().filter(|_| origins.next().is_none());
    let echoed = allow(response.headers_mut(), origin, allowed);
    let headers = response.headers_mut();
    if echoed {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(ALLOW_METHODS));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, lists.0.allow.clone());
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
    }
    *response.status_mut() = if echoed { StatusCode::NO_CONTENT } else { StatusCode::FORBIDDEN };
    response
}

/// Adds to a refusal the headers that let its page read it; `origin` is the request's `Origin`.
pub fn expose(response: &mut HeaderMap, origin: Option<&HeaderValue>, allowed: &AllowedOrigins, lists: &HeaderLists) {
    if allow(response, origin, allowed) {
        lists.expose(response);
    }
}

/// Adds to the answer to a verified request what its page may read: its `Origin` is the token's, and allowed. Which page may read is decided
/// here alone, so the tool's own headers about that are dropped.
pub fn expose_to_verified(response: &mut HeaderMap, origin: Option<HeaderValue>, lists: &HeaderLists) {
    response.append(VARY, HeaderValue::from_static("Origin"));
    response.remove(ACCESS_CONTROL_ALLOW_CREDENTIALS);
    response.remove(ACCESS_CONTROL_ALLOW_ORIGIN);
    if let Some(origin) = origin {
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        lists.expose(response);
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
