//! Reading bodies whole, within the limit that `middleware.rs` put around them.

use crate::domain::refusal::Refusal;
use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError};

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
