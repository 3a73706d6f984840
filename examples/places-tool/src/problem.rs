//! Errors of the tool itself, as problem details (RFC 9457). Refusals of the verifier have the same form.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// What can be wrong with a request that the verifier let in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Problem {
    #[error("{field}: {fault}")]
    InvalidQuery { field: &'static str, fault: String },
    #[error("{0}")]
    InvalidBody(String),
    #[error("the body is longer than {limit} bytes, or broke off")]
    TooLarge { limit: usize },
    #[error("send content-type: application/json")]
    UnsupportedMediaType,
    #[error("no such resource: GET /v1/search?q= and POST /v1/nearby exist")]
    NotFound,
    #[error("GET /v1/search?q= and POST /v1/nearby exist")]
    MethodNotAllowed,
}

impl Problem {
    const fn status(&self) -> StatusCode {
        match self {
            Self::InvalidQuery { .. } | Self::InvalidBody(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    const fn code(&self) -> &'static str {
        match self {
            Self::InvalidQuery { .. } => "invalid_query",
            Self::InvalidBody(_) => "invalid_body",
            Self::TooLarge { .. } => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
        }
    }
}

#[derive(Serialize)]
struct Details<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: &'a str,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let detail = self.to_string();
        let body = Details {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code: self.code(),
            detail: &detail,
        };
        let mut response = (status, axum::Json(body)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}
