//! `PUT /users/{id}/role`: who is an admin.

use super::super::body;
use super::super::problem::Refused;
use super::{answer, doc_of_one, named};
use crate::domain::audit::Action;
use crate::domain::issuer_code::IssuerCode;
use crate::domain::role::Role;
use crate::openapi::Doc;
use crate::router::App;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

/// A role.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RoleForm {
    role: Role,
}

/// Gives a user a role: 200 with the user as it is then. The last active admin stays one.
///
/// # Errors
/// [`Refused`].
pub async fn put(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let body = body::read(body).await?;
    let admin = app.admin(&parts, &body, Action::UserRole).await?;
    let id = named(id)?;
    let form: RoleForm = body::json(&parts.headers, &body)?;
    app.issuer.set_role(&id, form.role, &admin.source).await?;
    answer(&app, &id).await
}

/// How the document describes it.
pub fn put_doc() -> Doc {
    doc_of_one("Say who is an admin").takes::<RoleForm>().refuses(IssuerCode::InvalidState)
}
