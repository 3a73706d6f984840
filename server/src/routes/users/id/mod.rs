//! `GET /users/{id}`: one user.

pub(crate) mod activate;
pub(crate) mod deactivate;
pub(crate) mod role;

use super::{answer, doc_of_one};
use crate::http::action;
use crate::http::app::App;
use crate::http::caller::AdminCaller;
use crate::http::openapi::doc::Doc;
use crate::http::path::PathId;
use crate::http::problem::RouteError;
use axum::extract::State;
use axum::response::Response;
use bmap_protocol::ids::UserId;

/// The user.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn get(
    _: AdminCaller<action::Request>,
    State(app): State<App>,
    PathId(id): PathId<UserId>,
) -> Result<Response, RouteError> {
    answer(&app, &id).await
}

/// The document of [`get`].
pub(crate) fn get_doc() -> Doc {
    doc_of_one("One user")
}
