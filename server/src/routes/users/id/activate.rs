//! `POST /users/{id}/activate`.

use super::super::{answer, doc_of_one};
use crate::http::action;
use crate::http::app::App;
use crate::http::caller::AdminCaller;
use crate::http::openapi::doc::Doc;
use crate::http::path::PathId;
use crate::http::problem::RouteError;
use axum::extract::State;
use axum::response::Response;
use bmap_protocol::ids::UserId;

/// Activates a user again: 200 with the user as it is then.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(
    AdminCaller { admin, .. }: AdminCaller<action::UserActivate>,
    State(app): State<App>,
    PathId(id): PathId<UserId>,
) -> Result<Response, RouteError> {
    app.issuer.activate_user(&id, &admin.source).await?;
    answer(&app, &id).await
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    doc_of_one("Activate a user again")
}
