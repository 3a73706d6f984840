//! `/auth/sessions`: where somebody is signed in. Neither addresses nor browsers are kept of a session.

use super::super::bearer;
use super::super::problem::Refused;
use crate::domain::audit::Action;
use crate::domain::issuer_code::IssuerCode;
use crate::domain::refusal::Refusal;
use crate::domain::session::SessionId;
use crate::openapi::Doc;
use crate::router::App;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use utoipa::ToSchema;

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

/// Every session that lives.
#[derive(Serialize, ToSchema)]
struct LiveSessionsAnswer<'a> {
    sessions: Vec<LiveSessionAnswer<'a>>,
    server_time: i64,
}

/// How many sessions were ended.
#[derive(Serialize, ToSchema)]
struct EndedSessionsAnswer {
    ended_sessions: u64,
    server_time: i64,
}

/// `GET /auth/sessions`: one's own, newest first.
///
/// # Errors
/// [`Refused`].
pub async fn get(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let (parts, _) = request.into_parts();
    let signed_in = bearer::signed_in(&app, &parts, Action::Request).await?;
    let sessions = app.accounts.sessions(&signed_in).await?;
    let shown = sessions.iter().map(|live| LiveSessionAnswer {
        id: live.session.id.as_str(),
        current: live.session.id == signed_in.session.id,
        created_at: live.session.created_at.0,
        last_used_at: live.last_used_at.0,
        expires_at: live.session.expires_at.0,
    });
    let answer = LiveSessionsAnswer { sessions: shown.collect(), server_time: app.issuer.clock.now().0 };
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// `DELETE /auth/sessions`: ends all of one's own but the one of this request.
///
/// # Errors
/// [`Refused`].
pub async fn delete_others(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let (parts, _) = request.into_parts();
    let signed_in = bearer::signed_in(&app, &parts, Action::SessionRevoke).await?;
    let ended_sessions = app.accounts.end_other_sessions(&signed_in).await?;
    let answer = EndedSessionsAnswer { ended_sessions, server_time: app.issuer.clock.now().0 };
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// `DELETE /auth/sessions/{id}`: ends one of one's own.
///
/// # Errors
/// [`Refused`].
pub async fn delete(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, _) = request.into_parts();
    let signed_in = bearer::signed_in(&app, &parts, Action::SessionRevoke).await?;
    let id = id.ok().and_then(|Path(id)| SessionId::parse(&id));
    let id = id.ok_or(Refusal::NotFound { what: "session" })?;
    app.accounts.end_session(&signed_in, &id).await?;
    Ok((StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response())
}

/// How the document describes the list.
pub fn get_doc() -> Doc {
    Doc::new("One's own sessions, newest first")
        .answers::<LiveSessionsAnswer<'_>>(StatusCode::OK, "The sessions that live")
}

/// How the document describes ending the others.
pub fn delete_others_doc() -> Doc {
    Doc::new("End every other session of one's own").answers::<EndedSessionsAnswer>(StatusCode::OK, "They have ended")
}

/// How the document describes ending one.
pub fn delete_doc() -> Doc {
    Doc::new("End a session of one's own")
        .path_part("id", "The session's id")
        .answers_empty(StatusCode::NO_CONTENT, "It has ended")
        .refuses(IssuerCode::NotFound)
}
