//! `/auth/sessions/{id}`: one session of one's own.

use crate::http::action;
use crate::http::app::App;
use crate::http::caller::UserCaller;
use crate::http::openapi::doc::Doc;
use crate::http::path::PathId;
use crate::http::problem::RouteError;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bmap_model::session::SessionId;
use http::StatusCode;
use http::header::CACHE_CONTROL;

/// `DELETE /auth/sessions/{id}`: ends one of one's own.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn delete(
    UserCaller { signed_in, .. }: UserCaller<action::SessionRevoke>,
    State(app): State<App>,
    PathId(id): PathId<SessionId>,
) -> Result<Response, RouteError> {
    app.accounts.end_session(&signed_in, &id).await?;
    Ok((StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response())
}

/// The document of [`delete`].
pub(crate) fn delete_doc() -> Doc {
    Doc::new("End a session of one's own").answers_empty(StatusCode::NO_CONTENT, "It has ended")
}
