//! Reading bodies whole, within the bounds that `middleware.rs` and `bodies.rs` put around them.

use crate::bodies::BodyFault;
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
/// [`Refusal::MediaType`], [`Refusal::Malformed`], [`Refusal::Invalid`].
pub fn json<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes) -> Result<T, Refusal> {
    object(headers, body)?;
    serde_json::from_slice(body).map_err(|error| Refusal::Invalid { field: "body", hint: without_values(&error) })
}

/// The same for a form of a signed-in user: the refusal says what is wrong with it.
///
/// # Errors
/// [`Refusal::Malformed`] or [`Refusal::Invalid`].
pub fn form<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes) -> Result<T, Refusal> {
    object(headers, body)?;
    // It quotes the caller, and goes to the log too: escaped, a line at most, and without what looks like a secret (T33).
    let hint = |error: serde_json::Error| Fact::of_text(&error.to_string()).as_str().to_owned();
    serde_json::from_slice(body).map_err(|error| Refusal::Invalid { field: "body", hint: hint(error) })
}

/// The fault of a body that may hold a password or a token: members, kinds and the place, and no value of it (T33).
fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let names_a_member =
        ["unknown field ", "missing field ", "duplicate field "].iter().any(|start| text.starts_with(start));
    let kept = match text.rfind(", expected ").and_then(|at| text.get(at.saturating_add(2)..)) {
        Some(expected) if !names_a_member => expected,
        _ if names_a_member || !error.is_data() => text.as_str(),
        _ => "a member has a wrong value",
    };
    Fact::of_text(kept).as_str().to_owned()
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
/// [`Refusal::TooLarge`], [`Refusal::SlowBody`], [`Refusal::RateLimited`] where its address has its share of bodies, or
/// [`Refusal::Malformed`] where it breaks off.
pub async fn read(body: Body) -> Result<Bytes, Refusal> {
    match body.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if cause::<LengthLimitError>(&error).is_some() => Err(Refusal::TooLarge),
        Err(error) => Err(match cause::<BodyFault>(&error) {
            Some(BodyFault::Slow) => Refusal::SlowBody,
            Some(BodyFault::OverShare) => Refusal::RateLimited { retry_after: 1 },
            None => Refusal::Malformed { field: "body" },
        }),
    }
}

/// A bound's error, which is wrapped once by every body that it came through.
fn cause<E: std::error::Error + 'static>(error: &axum::Error) -> Option<&E> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}
