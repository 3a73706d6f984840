//! `/auth/sessions`: a user's sessions. Neither addresses nor browsers are kept of a session.

pub(crate) mod id;

use crate::http::action;
use crate::http::app::App;
use crate::http::caller::UserCaller;
use crate::http::openapi::doc::Doc;
use crate::http::problem::RouteError;
use crate::http::query::QueryFields;
use crate::http::query::QueryOf;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bmap_issuer::error::IssuerError;
use bmap_model::session::SessionId;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Sessions on a page, where the caller doesn't say.
const PAGE: u32 = 50;
/// Most sessions on a page.
const MAX_PAGE: u32 = 200;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionsQuery {
    /// The `next_cursor` of the page before.
    #[param(pattern = "^ses_[0-9a-f]{32}$")]
    cursor: Option<String>,
    /// Sessions on a page; 50 where it is not said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

impl QueryFields for SessionsQuery {}

/// A session that lives.
#[derive(Serialize, ToSchema)]
struct LiveSessionAnswer<'a> {
    id: &'a str,
    /// Whether it is the one of this request.
    current: bool,
    created_at: i64,
    /// When it was last gone on with, or begun.
    last_used_at: i64,
    expires_at: i64,
}

/// A page of sessions that live.
#[derive(Serialize, ToSchema)]
struct LiveSessionsAnswer<'a> {
    sessions: Vec<LiveSessionAnswer<'a>>,
    /// For the next page; null on the last one.
    #[schema(required)]
    next_cursor: Option<&'a str>,
    server_time: i64,
}

/// How many sessions were ended.
#[derive(Serialize, ToSchema)]
struct EndedSessionsAnswer {
    ended_sessions: u64,
    server_time: i64,
}

/// `GET /auth/sessions`: one's own, newest first, a page at a time.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn get(
    UserCaller { signed_in, .. }: UserCaller<action::Request>,
    State(app): State<App>,
    QueryOf(query): QueryOf<SessionsQuery>,
) -> Result<Response, RouteError> {
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(IssuerError::Malformed { field: "limit" }.into());
    }
    let before =
        query.cursor.as_deref().map(|text| SessionId::parse(text).ok_or(IssuerError::Malformed { field: "cursor" }));
    // One more than the page holds says whether there is a next one.
    let sessions = app.accounts.sessions(&signed_in, before.transpose()?.as_ref(), limit.saturating_add(1)).await?;
    let page = sessions.get(..usize::try_from(limit).unwrap_or(usize::MAX)).unwrap_or(&sessions);
    let is_last = page.len() == sessions.len();
    let shown = page.iter().map(|live| LiveSessionAnswer {
        id: live.session.id.as_str(),
        current: live.session.id == signed_in.session.id,
        created_at: live.session.created_at.0,
        last_used_at: live.last_used_at.0,
        expires_at: live.session.expires_at.0,
    });
    let answer = LiveSessionsAnswer {
        sessions: shown.collect(),
        next_cursor: page.last().filter(|_| !is_last).map(|live| live.session.id.as_str()),
        server_time: app.issuer.clock.now().0,
    };
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// The document of [`get`].
pub(crate) fn get_doc() -> Doc {
    Doc::new("One's own sessions, newest first, a page at a time")
        .answers::<LiveSessionsAnswer<'_>>(StatusCode::OK, "A page of sessions that live")
}

/// `DELETE /auth/sessions`: ends all of one's own but the one of this request.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn delete_others(
    UserCaller { signed_in, .. }: UserCaller<action::SessionRevoke>,
    State(app): State<App>,
) -> Result<Response, RouteError> {
    let ended_sessions = app.accounts.end_other_sessions(&signed_in).await?;
    let answer = EndedSessionsAnswer { ended_sessions, server_time: app.issuer.clock.now().0 };
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// The document of [`delete_others`].
pub(crate) fn delete_others_doc() -> Doc {
    Doc::new("End every other session of one's own").answers::<EndedSessionsAnswer>(StatusCode::OK, "They have ended")
}
