//! Refusals on the wire (RFC 9457, profile §6): the profile's answer, with the `error` of OAuth beside its `code`.

use super::challenge::Challenge;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bmap_issuer::error::IssuerError;
use bmap_model::problem_code::ProblemCode;
use bmap_store::StoreError;
use bmap_verifier::UnixTime;
use bmap_verifier::problem;
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A refusal on its way out of a handler. `http/layers/middleware.rs` makes the answer of it, where the request's id is known.
#[derive(Clone, Debug)]
pub struct RouteError(pub Arc<IssuerError>);

/// A refusal that a page shows already, to the person who sent its form: recorded like every other, and left as it is.
#[derive(Clone, Debug)]
pub struct PageError(pub Arc<IssuerError>);

impl<E: Into<IssuerError>> From<E> for RouteError {
    fn from(refusal: E) -> Self {
        Self(Arc::new(refusal.into()))
    }
}

impl IntoResponse for RouteError {
    fn into_response(self) -> Response {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The `error` of RFC 6749 §5.2 (and RFC 7009 §2.2.1, RFC 8707 §2) for a refusal.
pub const fn oauth_error(refusal: &IssuerError) -> &'static str {
    match refusal {
        IssuerError::Malformed { .. }
        | IssuerError::Invalid { .. }
        | IssuerError::SeveralCredentials
        | IssuerError::TooLarge
        | IssuerError::SlowBody
        | IssuerError::WeakPassword { .. }
        | IssuerError::NotFound { .. }
        | IssuerError::CursorGone
        | IssuerError::Conflict
        | IssuerError::MethodNotAllowed
        | IssuerError::MediaType
        | IssuerError::HeadersTooLarge
        | IssuerError::InvalidState { .. }
        | IssuerError::LimitReached { .. }
        | IssuerError::RequestInProgress
        | IssuerError::IdempotencyKeyReused => "invalid_request",
        IssuerError::Edited { like, .. } => oauth_error(like),
        IssuerError::NotAdmin
        | IssuerError::SignedInAdminOnly
        | IssuerError::StepUpRequired
        | IssuerError::Store(StoreError::StepUp)
        | IssuerError::NotOwner
        | IssuerError::RegistrationClosed { .. } => "access_denied",
        IssuerError::UnknownGrant => "unsupported_grant_type",
        IssuerError::UnsupportedTokenType => "unsupported_token_type",
        IssuerError::NoCredential
        | IssuerError::BadCredential
        | IssuerError::UnknownKey
        | IssuerError::WrongSecret
        | IssuerError::BrokenRow(_)
        | IssuerError::KeyOver
        | IssuerError::Signed(_) => "invalid_client",
        IssuerError::Grant(_)
        | IssuerError::UnknownTicket
        | IssuerError::OtherSubject
        | IssuerError::OtherClient
        | IssuerError::NoSession
        | IssuerError::SessionOver
        | IssuerError::WrongPassword
        | IssuerError::BrokenPassword(_)
        | IssuerError::EditedRow(_)
        | IssuerError::UnknownConfirmation
        | IssuerError::UnknownSignIn
        | IssuerError::UnknownSignInCode
        | IssuerError::ProviderError
        | IssuerError::MixedUp
        | IssuerError::SignUpOff
        | IssuerError::UnknownRefreshToken
        | IssuerError::RefreshReused
        | IssuerError::UserSessionOver => "invalid_grant",
        IssuerError::BadAccessToken | IssuerError::AccessTokenOver => "invalid_token",
        IssuerError::KeyRevoked
        | IssuerError::UserInactive
        | IssuerError::AddressDenied
        | IssuerError::OriginDenied => "unauthorized_client",
        IssuerError::ToolDenied(_)
        | IssuerError::ToolsDenied { .. }
        | IssuerError::AssuranceTooLow
        | IssuerError::InvalidResource { .. } => "invalid_target",
        IssuerError::ProviderDenied => "access_denied",
        IssuerError::ScopeDenied(_) => "invalid_scope",
        IssuerError::RateLimited { .. }
        | IssuerError::Busy
        | IssuerError::PoolFull
        | IssuerError::BrokenAnswer
        | IssuerError::NoLinkDelivery
        | IssuerError::AuditFull
        | IssuerError::AuditUnwritten
        | IssuerError::Mail(_)
        | IssuerError::Provider(_)
        | IssuerError::Store(_)
        | IssuerError::Random(_)
        | IssuerError::Signing
        | IssuerError::Panicked
        | IssuerError::Slow => "temporarily_unavailable",
    }
}

/// A problem document (RFC 9457), with the name that OAuth clients look for.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody<'a> {
    /// `urn:bmap:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// The code's title.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// The code that programs branch on.
    code: &'static str,
    /// Finds the refusal in the log.
    request_id: &'a str,
    /// The issuer's time, milliseconds since 1970, so that a caller can set its clock by it.
    server_time: u64,
    /// Present and true where the same call may succeed later with nothing changed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    retryable: bool,
    /// The nearest `error` of OAuth (RFC 6749 §5.2).
    error: &'static str,
    /// Which field of a form is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
    /// For a person: why, and what would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

/// The refusal behind an error that no handler answered: an extractor or the router did, in a sentence of its own or in none.
pub fn framework_error(response: &Response) -> Option<RouteError> {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_ours = kind.is_some_and(|kind| !kind.starts_with("text/plain"));
    let status = response.status();
    if is_ours || !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    Some(RouteError::from(match status {
        StatusCode::NOT_FOUND => IssuerError::NotFound { what: "route" },
        StatusCode::METHOD_NOT_ALLOWED => IssuerError::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => IssuerError::TooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => IssuerError::MediaType,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => IssuerError::HeadersTooLarge,
        status if status.is_client_error() => IssuerError::Malformed { field: "request" },
        _ => IssuerError::Panicked,
    }))
}

/// The media type of a refusal: `application/problem+json`, and `application/json` for a client of OAuth at the OAuth endpoints.
/// RFC 6749 §5.2 says so there, and clients that follow it word by word take nothing else; at the token endpoint they say in `Accept` what they
/// take, and at the others they may say nothing.
pub fn media_type(method: &Method, route: &str, headers: &HeaderMap) -> &'static str {
    let names = |media_type: &str| {
        let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut ranges = accepted.flat_map(|value| value.split(','));
        ranges.any(|range| range.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(media_type)))
    };
    let needs_no_name = *method == Method::POST && route != TOKEN_ENDPOINT;
    let is_oauth = OAUTH_ENDPOINTS.contains(&route) && (needs_no_name || names(JSON));
    if is_oauth && !names(problem::MEDIA_TYPE) { JSON } else { problem::MEDIA_TYPE }
}

/// The token endpoint (RFC 6749 §3.2).
pub const TOKEN_ENDPOINT: &str = "/oauth/token";
/// The routes whose refusals are those of RFC 6749 §5.2, too (RFC 7662 §2.3, RFC 7009 §2.2.1).
pub const OAUTH_ENDPOINTS: [&str; 3] = [TOKEN_ENDPOINT, "/oauth/introspect", "/oauth/revoke"];
/// The media type of refusals by RFC 6749 §5.2.
pub const JSON: &str = "application/json";

/// Makes the answer for a refusal; a 401 has the challenge of its route.
pub fn render(refusal: &IssuerError, challenge: Challenge, request_id: &str, now: UnixTime) -> Response {
    let code = refusal.code();
    let problem = ProblemBody {
        kind: format!("urn:bmap:problem:{}", code.as_str()),
        title: code.title(),
        status: code.status(),
        code: code.as_str(),
        request_id,
        server_time: now.millis().max(0).cast_unsigned(),
        retryable: code.retryable() && !refusal.is_lasting(),
        error: oauth_error(refusal),
        field: refusal.field(),
        hint: refusal.hint(),
    };
    // Texts and numbers: nothing in it can fail to serialise.
    let mut response = Response::new(Body::from(Bytes::from(serde_json::to_vec(&problem).unwrap_or_default())));
    *response.status_mut() = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(problem::MEDIA_TYPE));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let ProblemCode::Profile(code) = code {
        problem::ask_for_signature(headers, code);
    }
    if code.status() == 401 {
        for scheme in challenge.schemes() {
            if let Ok(value) = HeaderValue::from_str(&scheme.challenge(code)) {
                headers.append(WWW_AUTHENTICATE, value);
            }
        }
    }
    if let Some(seconds) = wait(refusal, code) {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Seconds until the next try may succeed, for `Retry-After`.
const fn wait(refusal: &IssuerError, code: ProblemCode) -> Option<u32> {
    let waits = code.status() == 503 || (code.status() == 409 && code.retryable());
    match refusal.retry_after() {
        _ if refusal.is_lasting() => None,
        Some(seconds) => Some(seconds),
        None if waits => Some(1),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_problem_says_no_more_than_its_code() {
        let refusal = IssuerError::BrokenRow(bmap_model::api_key::BrokenRow::Content);
        let response = render(&refusal, Challenge::HttpSig, "req_1", UnixTime::from_millis(1_764_000_000_123));
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "HTTPSig error=\"invalid_credentials\"");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "type": "urn:bmap:problem:invalid_credentials", "title": "Invalid credentials", "status": 401,
                "code": "invalid_credentials", "error": "invalid_client", "request_id": "req_1",
                "server_time": 1_764_000_000_123_i64,
            })
        );
    }
}
