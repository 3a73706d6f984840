//! Bodies, read whole within the bounds that `layers/middleware.rs` and `layers/bodies.rs` put around them, and the forms in them.
//!
//! A body is read once, by the first argument that needs it; see [`bytes`].

use super::app::App;
use super::argument::Argument;
use super::layers::bodies::BodyFault;
use super::openapi::doc::Doc;
use super::problem::RouteError;
use axum::body::Body;
use axum::extract::FromRequestParts;
use bmap_issuer::error::IssuerError;
use bmap_model::audit::detail::Fact;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError};
use serde::de::DeserializeOwned;
use std::sync::{Arc, Mutex, PoisonError};
use utoipa::ToSchema;

/// The body of a request that no argument read yet.
#[derive(Clone)]
pub(super) struct UnreadBody(Arc<Mutex<Option<Body>>>);

/// The body that an argument read.
#[derive(Clone)]
struct ReadBody(Bytes);

impl UnreadBody {
    pub(super) fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(Some(body))))
    }

    fn take(&self) -> Option<Body> {
        // Nothing panics while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The bytes of a request's body: read now, or by an argument before.
///
/// # Errors
/// [`IssuerError::TooLarge`], [`IssuerError::SlowBody`], [`IssuerError::RateLimited`] where its address has its share of bodies, or
/// [`IssuerError::Malformed`] where it breaks off.
pub(super) async fn bytes(head: &mut Parts) -> Result<Bytes, IssuerError> {
    if let Some(read) = head.extensions.get::<ReadBody>() {
        return Ok(read.0.clone());
    }
    let unread = head.extensions.remove::<UnreadBody>().and_then(|unread| unread.take());
    let bytes = read(unread.ok_or(IssuerError::Malformed { field: "body" })?).await?;
    head.extensions.insert(ReadBody(bytes.clone()));
    Ok(bytes)
}

/// A JSON form. Its refusal says what is wrong with it, and may quote the caller.
pub struct JsonForm<T>(pub T);

impl<T: DeserializeOwned + ToSchema + Send> FromRequestParts<App> for JsonForm<T> {
    type Rejection = RouteError;

    async fn from_request_parts(head: &mut Parts, _: &App) -> Result<Self, RouteError> {
        let body = bytes(head).await?;
        Ok(Self(form(&head.headers, &body)?))
    }
}

impl<T: DeserializeOwned + ToSchema + Send> Argument for JsonForm<T> {
    fn describe(doc: Doc) -> Doc {
        doc.takes::<T>()
    }
}

/// A JSON form that may be left out.
pub struct OptionalJsonForm<T>(pub T);

impl<T: Default + DeserializeOwned + ToSchema + Send> FromRequestParts<App> for OptionalJsonForm<T> {
    type Rejection = RouteError;

    async fn from_request_parts(head: &mut Parts, _: &App) -> Result<Self, RouteError> {
        let body = bytes(head).await?;
        Ok(Self(if body.is_empty() { T::default() } else { form(&head.headers, &body)? }))
    }
}

impl<T: Default + DeserializeOwned + ToSchema + Send> Argument for OptionalJsonForm<T> {
    fn describe(doc: Doc) -> Doc {
        doc.may_take::<T>()
    }
}

/// A JSON form with members that are secrets, or of a caller who proved nothing yet: its refusal names members and kinds, and quotes no value.
pub struct SecretJsonForm<T>(pub T);

impl<T: DeserializeOwned + ToSchema + Send> FromRequestParts<App> for SecretJsonForm<T> {
    type Rejection = RouteError;

    async fn from_request_parts(head: &mut Parts, _: &App) -> Result<Self, RouteError> {
        let body = bytes(head).await?;
        Ok(Self(json(&head.headers, &body)?))
    }
}

impl<T: DeserializeOwned + ToSchema + Send> Argument for SecretJsonForm<T> {
    fn describe(doc: Doc) -> Doc {
        doc.takes::<T>()
    }
}

/// JSON, or the form of one of our pages (`application/x-www-form-urlencoded`). A page of another origin can send the form too.
pub enum JsonOrPageForm<J, F = J> {
    /// JSON, with secrets.
    Json(J),
    /// The page's form, or what is wrong with it: that too is answered with a page.
    Page(Result<F, IssuerError>),
}

impl<J: DeserializeOwned + ToSchema + Send, F: DeserializeOwned + ToSchema + Send> FromRequestParts<App>
    for JsonOrPageForm<J, F>
{
    type Rejection = RouteError;

    async fn from_request_parts(head: &mut Parts, _: &App) -> Result<Self, RouteError> {
        let body = bytes(head).await?;
        if !is(&head.headers, "application/x-www-form-urlencoded") {
            return Ok(Self::Json(json(&head.headers, &body)?));
        }
        let form = serde_urlencoded::from_bytes(&body);
        Ok(Self::Page(form.map_err(|_| IssuerError::Malformed { field: "body" })))
    }
}

impl<J: DeserializeOwned + ToSchema + Send, F: DeserializeOwned + ToSchema + Send> Argument for JsonOrPageForm<J, F> {
    fn describe(doc: Doc) -> Doc {
        doc.takes::<J>().takes_form::<F>()
    }
}

/// Whether the body says that it is of a media type, with or without parameters.
pub fn is(headers: &HeaderMap, media_type: &str) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.split(';').next()).is_some_and(|kind| kind.trim().eq_ignore_ascii_case(media_type))
}

/// Parses a body that says that it is JSON. No page can send that to another origin without a preflight, which these routes
/// answer to the configured pages of `sign_in_origins` alone: so no other page can have a visitor's browser call them (T28).
fn json<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes) -> Result<T, IssuerError> {
    object(headers, body)?;
    serde_json::from_slice(body).map_err(|error| IssuerError::Invalid { field: "body", hint: without_values(&error) })
}

/// The same for a form of a signed-in user: the refusal says what is wrong with it.
fn form<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes) -> Result<T, IssuerError> {
    object(headers, body)?;
    // It quotes the caller, and goes to the log too: escaped, a line at most, and without what looks like a secret (T33).
    let hint = |error: serde_json::Error| Fact::of_text(&error.to_string()).as_str().to_owned();
    serde_json::from_slice(body).map_err(|error| IssuerError::Invalid { field: "body", hint: hint(error) })
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
fn object(headers: &HeaderMap, body: &Bytes) -> Result<(), IssuerError> {
    if !is(headers, "application/json") {
        return Err(IssuerError::MediaType);
    }
    match body.trim_ascii_start().first() {
        Some(b'{') => Ok(()),
        _ => Err(IssuerError::Malformed { field: "body" }),
    }
}

async fn read(body: Body) -> Result<Bytes, IssuerError> {
    match body.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if cause::<LengthLimitError>(&error).is_some() => Err(IssuerError::TooLarge),
        Err(error) => Err(match cause::<BodyFault>(&error) {
            Some(BodyFault::Slow) => IssuerError::SlowBody,
            Some(BodyFault::OverShare) => IssuerError::RateLimited { retry_after: 1 },
            None => IssuerError::Malformed { field: "body" },
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A head whose request had this body.
    fn head(body: Body) -> Parts {
        let (mut head, body) = http::Request::new(body).into_parts();
        head.extensions.insert(UnreadBody::new(body));
        head
    }

    #[tokio::test]
    async fn a_body_is_read_once_and_every_argument_has_its_bytes() {
        let mut head = head(Body::from("{}"));
        for _ in 0..2 {
            assert_eq!(bytes(&mut head).await.unwrap(), "{}");
        }
    }

    #[tokio::test]
    async fn a_body_that_broke_off_is_not_an_empty_one_for_the_next_argument() {
        let broken = futures_util::stream::iter([Err::<Bytes, _>(std::io::Error::other("gone"))]);
        let mut head = head(Body::from_stream(broken));
        for _ in 0..2 {
            assert!(matches!(bytes(&mut head).await, Err(IssuerError::Malformed { field: "body" })));
        }
    }
}
