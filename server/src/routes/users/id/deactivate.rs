//! `POST /users/{id}/deactivate`.

use super::super::{answer, doc_of_one};
use crate::http::action;
use crate::http::app::App;
use crate::http::caller::AdminCaller;
use crate::http::openapi::doc::Doc;
use crate::http::path::PathId;
use crate::http::problem::RouteError;
use axum::extract::State;
use axum::response::Response;
use bmap_model::issuer_code::IssuerCode;
use bmap_protocol::ids::UserId;

/// Deactivates a user: 200 with the user as it is then. Its sessions end for good; the last active admin stays active.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(
    AdminCaller { admin, .. }: AdminCaller<action::UserDeactivate>,
    State(app): State<App>,
    PathId(id): PathId<UserId>,
) -> Result<Response, RouteError> {
    app.issuer.deactivate_user(&id, &admin.source).await?;
    answer(&app, &id).await
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    doc_of_one("Deactivate a user")
        .about("Ends its sessions for good; its keys and the renewal of its tokens stop at once.")
        .refuses(IssuerCode::InvalidState)
}
