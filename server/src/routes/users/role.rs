//! `PUT /users/{id}/role`: who is an admin.

use super::super::body;
use super::super::problem::Refused;
use super::super::step_up;
use super::{answer, doc_of_one, named};
use crate::domain::audit::Action;
use crate::domain::issuer_code::IssuerCode;
use crate::domain::role::Role;
use crate::mail::act::Act;
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
    let (admin, signed_in) = app.signed_in_admin(&parts, &body, Action::UserRole).await?;
    let id = named(id)?;
    let form: RoleForm = body::json(&parts.headers, &body)?;
    app.issuer.user_record(&id).await?;
    let stepped_up = step_up::demand(&app, &parts, &signed_in).await?;
    let act = Act::RoleGiven { user: id.clone(), role: form.role };
    let stepped_up = app.accounts.with_notices(stepped_up, act, &[&id]).await?;
    app.issuer.set_role(&id, form.role, Some(&stepped_up), &admin.source).await?;
    app.accounts.notices_wait(&stepped_up);
    answer(&app, &id).await
}

/// How the document describes it.
pub fn put_doc() -> Doc {
    doc_of_one("Say who is an admin")
        .about("For an admin who is signed in; no API key does this.")
        .reads_header(step_up::HEADER, step_up::PATTERN, step_up::ABOUT_HEADER)
        .takes::<RoleForm>()
        .refuses(IssuerCode::StepUpRequired)
        .refuses(IssuerCode::InvalidState)
}
