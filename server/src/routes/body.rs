//! Reading bodies whole, within the limit that `middleware.rs` put around them.

use crate::domain::audit::detail::Fact;
use crate::domain::refusal::Refusal;
use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, LengthLimitError};
use serde::de::DeserializeOwned;

/// Whether the body says that it is of a media type, with or without parameters.
pub fn is(headers: &HeaderMap, media_type: &str) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.split(';').next()).is_some_and(|kind| kind.trim().eq_ignore_ascii_case(media_type))
}

/// Parses a body that says that it is JSON. No page can send that to another origin without a preflight, which these routes
/// answer to the configured pages of `sign_in_origins` alone: so no other page can have a visitor's browser call them (T28).
///
/// # Errors
/// [`Refusal::MediaType`], [`Refusal::Malformed`].
pub fn json<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes) -> Result<T, Refusal> {
    object(headers, body)?;
    serde_json::from_slice(body).map_err(|_| Refusal::Malformed { field: "body" })
}

/// The same for a form that somebody fills in who is signed in: what is wrong with it is said.
///
/// # Errors
/// [`Refusal::Malformed`] or [`Refusal::Invalid`].
pub fn form<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes) -> Result<T, Refusal> {
    object(headers, body)?;
    // It quotes the caller, and goes to the log too: escaped, a line at most, and without what looks like a secret (T33).
    let hint = |error: serde_json::Error| Fact::of_text(&error.to_string()).as_str().to_owned();
    serde_json::from_slice(body).map_err(|error| Refusal::Invalid { field: "body", hint: hint(error) })
}

/// Whether the body says that it is JSON and can be an object. A list would be taken for one too, member by member.
fn object(headers: &HeaderMap, body: &Bytes) -> Result<(), Refusal> {
    if !is(headers, "application/json") {
        return Err(Refusal::MediaType);
    }
    match body.trim_ascii_start().first() {
        Some(b'{') => Ok(()),
        _ => Err(Refusal::Malformed { field: "body" }),
    }
}

/// Reads a body.
///
/// # Errors
/// [`Refusal::TooLarge`], or [`Refusal::Malformed`] where it breaks off.
pub async fn read(body: Body) -> Result<Bytes, Refusal> {
    match body.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if is_over_limit(&error) => Err(Refusal::TooLarge),
        Err(_) => Err(Refusal::Malformed { field: "body" }),
    }
}

/// The limit's error is wrapped once by every body that it came through.
fn is_over_limit(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}
