//! Which scheme a 401 asks for (`WWW-Authenticate`, RFC 9110 §11.6.1): one that the route takes, and the one that the caller tried.

use super::credentials::{is_bearer_shown, scheme_and_rest};
use crate::http::access::Access;
use bmap_model::problem_code::ProblemCode;
use bmap_protocol::code::Code;
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// The challenge of a route for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// A signature: the caller sent one, or the route takes no scheme at all and its answer needs one.
    HttpSig,
    /// A user's access token (RFC 6750 §3).
    Bearer,
    /// An API key's id and secret (RFC 7617 §2), whichever of their three ways the caller tried.
    Basic,
    /// No credential was shown, and an API key's would be taken.
    Key,
}

/// One scheme of a challenge.
#[derive(Clone, Copy, Debug)]
pub enum Scheme {
    /// `HTTPSig`.
    HttpSig,
    /// `Bearer`.
    Bearer,
    /// `Basic`.
    Basic,
}

impl Challenge {
    /// The challenge for a request.
    pub fn of(access: Access, headers: &HeaderMap) -> Self {
        match access {
            Access::Open | Access::OwnProof | Access::Verifier => Challenge::HttpSig,
            Access::User => Challenge::Bearer,
            Access::Admin if is_bearer_shown(headers) => Challenge::Bearer,
            Access::Credential | Access::Admin => Self::of_key(headers),
        }
    }

    fn of_key(headers: &HeaderMap) -> Self {
        let has = |names: &[&str]| names.iter().any(|name| headers.contains_key(*name));
        let scheme = headers.get(AUTHORIZATION).and_then(|value| scheme_and_rest(value.to_str().ok()?));
        let is_http_sig = scheme.is_some_and(|(scheme, _)| scheme == bmap_protocol::SCHEME);
        if is_http_sig || has(&["signature", "signature-input"]) {
            Challenge::HttpSig
        } else if has(&[AUTHORIZATION.as_str(), "x-api-key", "x-api-secret"]) {
            Challenge::Basic
        } else {
            Challenge::Key
        }
    }

    /// Its schemes, each in a header line of its own.
    pub const fn schemes(self) -> &'static [Scheme] {
        match self {
            Challenge::HttpSig => &[Scheme::HttpSig],
            Challenge::Bearer => &[Scheme::Bearer],
            Challenge::Basic => &[Scheme::Basic],
            Challenge::Key => &[Scheme::HttpSig, Scheme::Basic],
        }
    }
}

impl Scheme {
    /// The header's value. RFC 6750 §3.1 has one `error` for a bad access token and for one whose time is over.
    pub fn challenge(self, code: ProblemCode) -> String {
        let bearer_error =
            if code == ProblemCode::Profile(Code::TokenExpired) { Code::InvalidToken.into() } else { code };
        match self {
            Scheme::HttpSig => format!("{} error=\"{}\"", bmap_protocol::SCHEME, code.as_str()),
            Scheme::Bearer => format!("Bearer error=\"{}\"", bearer_error.as_str()),
            Scheme::Basic => format!("Basic realm=\"bmap\", error=\"{}\"", code.as_str()),
        }
    }
}
