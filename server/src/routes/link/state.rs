//! `GET /link/state`: all that a tool's verifier has to know.

use crate::http::app::App;
use crate::http::argument::Argument;
use crate::http::caller::LinkedVerifier;
use crate::http::openapi::doc::Doc;
use crate::http::problem::RouteError;
use crate::http::query::{QueryFields, QueryOf};
use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_issuer::error::IssuerError;
use bmap_protocol::link;
use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use utoipa::IntoParams;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct StateQuery {
    /// The instance: 16 random bytes, base64url.
    #[param(pattern = "^[A-Za-z0-9_-]{21}[AQgw]$")]
    #[expect(dead_code, reason = "the proof of the caller read it")]
    node: String,
}

impl QueryFields for StateQuery {}

/// The entity tags that the caller has.
pub(crate) struct IfNoneMatch(Vec<HeaderValue>);

impl FromRequestParts<App> for IfNoneMatch {
    type Rejection = Infallible;

    async fn from_request_parts(head: &mut Parts, _: &App) -> Result<Self, Infallible> {
        Ok(Self(head.headers.get_all(IF_NONE_MATCH).iter().cloned().collect()))
    }
}

impl Argument for IfNoneMatch {
    fn describe(doc: Doc) -> Doc {
        doc.reads_header("if-none-match", "^[ -~]{0,200}$", "The `ETag` of the state that the verifier has")
    }
}

/// The state: issuer keys, epochs, policy, live denials. 304 where nothing of it but the cursor changed.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn get(
    LinkedVerifier(caller): LinkedVerifier,
    State(app): State<App>,
    QueryOf(_): QueryOf<StateQuery>,
    IfNoneMatch(tags): IfNoneMatch,
) -> Result<Response, RouteError> {
    let state = app.issuer.link_state(&caller.tool).await?;
    let tag = entity_tag(&state)?;
    let known = tags.iter().any(|value| value.as_bytes() == tag.as_bytes());
    let headers = [(ETAG, tag), (CACHE_CONTROL, "no-store".to_owned())];
    if known {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    Ok((headers, Json(state)).into_response())
}

/// Of everything but cursor and time, which change with each request.
fn entity_tag(state: &link::State) -> Result<String, IssuerError> {
    let lasting = link::State { cursor: 0, server_time: 0, ..state.clone() };
    let text = serde_json::to_vec(&lasting).map_err(|_| IssuerError::Signing)?;
    Ok(format!("\"{}\"", Base64UrlUnpadded::encode_string(&Sha256::digest(&text))))
}

/// The document of [`get`].
pub(crate) fn get_doc() -> Doc {
    Doc::new("The state of a tool's verifiers")
        .about("For verifiers with a live link. It has an ETag over everything but `cursor` and `server_time`.")
        .answers_object(StatusCode::OK, "The state (profile §13)")
        .with_header("etag", "Of everything but `cursor` and `server_time`")
        .answers_empty(StatusCode::NOT_MODIFIED, "Nothing but the cursor changed")
        .with_header("etag", "As sent")
}
