//! `GET /link/feed`: changes for a tool's verifier, as they are committed.

use crate::http::app::App;
use crate::http::caller::LinkedVerifier;
use crate::http::openapi::doc::Doc;
use crate::http::problem::RouteError;
use crate::http::query::{QueryFields, QueryOf};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bmap_issuer::error::IssuerError;
use bmap_issuer::link::feed::{Feed, NoFeed, Sent};
use bmap_model::issuer_code::IssuerCode;
use bmap_protocol::code::Code;
use bmap_protocol::link::{CHANGE_EVENT, SYNC_EVENT};
use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::Deserialize;
use std::convert::Infallible;
use utoipa::IntoParams;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeedQuery {
    /// The cursor behind which the feed begins: of the state, or the last one of a feed before.
    #[param(minimum = 0)]
    after: i64,
    /// The instance: 16 random bytes, base64url.
    #[param(pattern = "^[A-Za-z0-9_-]{21}[AQgw]$")]
    #[expect(dead_code, reason = "the proof of the caller read it")]
    node: String,
}

impl QueryFields for FeedQuery {}

/// An event stream of changes in the order of their commits, with a `sync` mark each second.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn get(
    LinkedVerifier(caller): LinkedVerifier,
    State(app): State<App>,
    QueryOf(query): QueryOf<FeedQuery>,
) -> Result<Response, RouteError> {
    let feed = Feed::open(&app.issuer, &app.link, &caller, query.after).await.map_err(|none| match none {
        NoFeed::CursorGone => IssuerError::CursorGone,
        NoFeed::TooMany => IssuerError::Busy,
        NoFeed::Refused(refusal) => refusal,
    })?;
    let tool = caller.tool.id.as_str();
    // Heard of from here on: an act that waits for its effect waits for this one.
    if !app.issuer.store.note_link_node(tool, &caller.node, query.after).await? {
        return Err(IssuerError::Busy.into());
    }
    let events = stream::unfold(feed, async |mut feed| {
        let sent = feed.next().await?;
        Some((Ok::<_, Infallible>(event(&sent)), feed))
    });
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    // A proxy that keeps an answer until it is complete would keep this one for ever.
    let unbuffered = [("x-accel-buffering", "no")];
    Ok((headers, unbuffered, Body::from_stream(events)).into_response())
}

/// One event of the stream (WHATWG HTML, Server-sent events).
fn event(sent: &Sent) -> Bytes {
    // Structs of numbers and texts serialise.
    let (cursor, name, data) = match sent {
        Sent::Change(change) => (change.cursor, CHANGE_EVENT, serde_json::to_string(change)),
        Sent::Mark(mark) => (mark.cursor, SYNC_EVENT, serde_json::to_string(mark)),
    };
    format!("id: {cursor}\nevent: {name}\ndata: {}\n\n", data.unwrap_or_default()).into()
}

/// The document of [`get`].
pub(crate) fn get_doc() -> Doc {
    Doc::new("Changes for a tool's verifiers")
        .about("For verifiers with a live link. Events are `change` and, each second, `sync`; their `data` is JSON (profile §13).")
        .answers_text(StatusCode::OK, "The events, without end", "text/event-stream")
        .refuses(IssuerCode::CursorGone)
        .refuses(Code::Overloaded)
}
