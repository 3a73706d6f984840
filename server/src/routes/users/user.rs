//! `GET /users/{id}`: one user.

use super::super::body;
use super::super::problem::Refused;
use super::{answer, doc_of_one, named};
use crate::domain::audit::Action;
use crate::openapi::Doc;
use crate::router::App;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;

/// The user.
///
/// # Errors
/// [`Refused`].
pub async fn get(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    app.admin(&parts, &body::read(body).await?, Action::Request).await?;
    answer(&app, &named(id)?).await
}

/// How the document describes it.
pub fn get_doc() -> Doc {
    doc_of_one("One user")
}
