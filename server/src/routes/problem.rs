//! Refusals on the wire (RFC 9457, profile §6): the profile's answer, with the `error` of OAuth beside its `code`.

use crate::domain::issuer_code::IssuerCode;
use crate::domain::refusal::Refusal;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bmap_protocol::code::Code;
use bmap_verifier::UnixTime;
use bmap_verifier::problem::{self, Problem};
use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use serde::Serialize;
use std::sync::Arc;

/// A refusal on its way out of a handler. `middleware.rs` makes the answer of it, where the request's id is known.
#[derive(Clone, Debug)]
pub struct Refused(pub Arc<Refusal>);

impl<E: Into<Refusal>> From<E> for Refused {
    fn from(refusal: E) -> Self {
        Self(Arc::new(refusal.into()))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The `error` of RFC 6749 §5.2 (and RFC 8707 §2) for a refusal.
pub const fn oauth_error(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Malformed { .. }
        | Refusal::Invalid { .. }
        | Refusal::SeveralCredentials
        | Refusal::TooLarge
        | Refusal::WeakPassword { .. }
        | Refusal::NotFound { .. }
        | Refusal::Conflict
        | Refusal::InvalidState { .. }
        | Refusal::LimitReached { .. }
        | Refusal::RequestInProgress
        | Refusal::IdempotencyKeyReused => "invalid_request",
        Refusal::UnknownGrant => "unsupported_grant_type",
        Refusal::NoCredential
        | Refusal::BadCredential
        | Refusal::UnknownKey
        | Refusal::WrongSecret
        | Refusal::BrokenRow(_)
        | Refusal::KeyOver
        | Refusal::Signed(_) => "invalid_client",
        Refusal::UnknownTicket
        | Refusal::OtherSubject
        | Refusal::NoSession
        | Refusal::SessionOver
        | Refusal::WrongPassword
        | Refusal::BrokenPassword(_)
        | Refusal::UnknownConfirmation
        | Refusal::UnknownRefreshToken
        | Refusal::RefreshReused
        | Refusal::UserSessionOver => "invalid_grant",
        Refusal::BadAccessToken | Refusal::AccessTokenOver => "invalid_token",
        Refusal::KeyRevoked | Refusal::UserInactive | Refusal::AddressDenied | Refusal::OriginDenied => {
            "unauthorized_client"
        }
        Refusal::ToolDenied => "invalid_target",
        Refusal::ScopeDenied => "invalid_scope",
        Refusal::RateLimited { .. }
        | Refusal::PoolFull
        | Refusal::NoLinkDelivery
        | Refusal::Store(_)
        | Refusal::Random(_)
        | Refusal::Signing
        | Refusal::Panicked
        | Refusal::Slow => "temporarily_unavailable",
    }
}

/// The profile's problem with the name that OAuth clients look for.
#[derive(Serialize)]
struct OauthProblem<'a> {
    #[serde(flatten)]
    problem: Problem,
    error: &'static str,
    /// Which field of a form is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
    /// For a person: why, and what would be right. Programs branch on the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

/// Makes the answer for a refusal.
pub fn render(refusal: &Refusal, request_id: &str, now: UnixTime) -> Response {
    let signed = refusal.for_the_wire();
    let code: Code = signed.code();
    let mut response: Response = problem::answer::<Body>(&signed, request_id.to_owned(), now);
    let problem = match refusal.issuer_code() {
        None => Problem::new(code, request_id.to_owned(), now),
        Some(code) => {
            *response.status_mut() = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::BAD_REQUEST);
            of_issuer(code, request_id.to_owned(), now)
        }
    };
    if problem.retryable && problem.status == 409 {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    let problem = OauthProblem { problem, error: oauth_error(refusal), field: refusal.field(), hint: refusal.hint() };
    // Texts and numbers: nothing in it can fail to serialise.
    *response.body_mut() = Body::from(Bytes::from(serde_json::to_vec(&problem).unwrap_or_default()));
    if code.status() == 503 && !response.headers().contains_key(RETRY_AFTER) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// The profile's problem body for a code that is the issuer's own.
fn of_issuer(code: IssuerCode, request_id: String, now: UnixTime) -> Problem {
    Problem {
        kind: format!("urn:bmap:problem:{}", code.as_str()),
        title: code.title(),
        status: code.status(),
        code: code.as_str(),
        request_id,
        server_time: now.millis(),
        retryable: code.retryable(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::WWW_AUTHENTICATE;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_problem_says_no_more_than_its_code() {
        let refusal = Refusal::BrokenRow(crate::domain::api_key::BrokenRow::Content);
        let response = render(&refusal, "req_1", UnixTime::from_millis(1_764_000_000_123));
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
