//! `POST /users/{id}/activate`.

use super::super::body;
use super::super::problem::Refused;
use super::{answer, doc_of_one, named};
use crate::domain::audit::Action;
use crate::openapi::Doc;
use crate::router::App;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;

/// Activates a user again: 200 with the user as it is then.
///
/// # Errors
/// [`Refused`].
pub async fn post(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let admin = app.admin(&parts, &body::read(body).await?, Action::UserActivate).await?;
    let id = named(id)?;
    app.issuer.activate_user(&id, &admin.source).await?;
    answer(&app, &id).await
}

/// How the document describes it.
pub fn post_doc() -> Doc {
    doc_of_one("Activate a user again")
}
