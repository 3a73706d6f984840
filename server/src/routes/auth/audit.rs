//! `GET /auth/audit`: what in the audit log is one's own.

use crate::http::action;
use crate::http::app::App;
use crate::http::caller::UserCaller;
use crate::http::openapi::doc::Doc;
use crate::http::problem::RouteError;
use crate::http::query::QueryOf;
use crate::routes::audit::{AuditQuery, answer, doc};
use axum::extract::State;
use axum::response::Response;

/// The entries of which the signed-in user, or a key or session of theirs, is the actor or the target: 200 with a page,
/// newest first.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn get(
    user: UserCaller<action::Request>,
    State(app): State<App>,
    QueryOf(query): QueryOf<AuditQuery>,
) -> Result<Response, RouteError> {
    Ok(answer(&app, query, Some(user.signed_in.user.id)).await?)
}

/// The document of [`get`].
pub(crate) fn get_doc() -> Doc {
    doc("What in the audit log is one's own, newest first, a page at a time")
        .about("Entries that the user, or an API key or session of theirs, did or was the target of.")
}
