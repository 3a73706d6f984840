//! `PUT /users/{id}/role`: who is an admin.

use super::super::{answer, doc_of_one};
use crate::http::action;
use crate::http::app::App;
use crate::http::body::SecretJsonForm;
use crate::http::caller::SignedInAdmin;
use crate::http::openapi::doc::Doc;
use crate::http::path::PathId;
use crate::http::problem::RouteError;
use crate::http::step_up::ShownStepUp;
use axum::extract::State;
use axum::response::Response;
use bmap_model::issuer_code::IssuerCode;
use bmap_model::mail::act::Act;
use bmap_model::role::Role;
use bmap_protocol::ids::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

/// A role.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoleForm {
    role: Role,
}

/// Gives a user a role: 200 with the user as it is then. The last active admin stays one.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn put(
    admin: SignedInAdmin<action::UserRole>,
    State(app): State<App>,
    PathId(id): PathId<UserId>,
    SecretJsonForm(form): SecretJsonForm<RoleForm>,
    shown: ShownStepUp,
) -> Result<Response, RouteError> {
    let SignedInAdmin { admin, signed_in, .. } = admin;
    app.issuer.user_record(&id).await?;
    let stepped_up = shown.demand(&app, &signed_in).await?;
    let act = Act::RoleGiven { user: id.clone(), role: form.role };
    let stepped_up = app.accounts.with_notices(stepped_up, act, &[&id]).await?;
    app.issuer.set_role(&id, form.role, Some(&stepped_up), &admin.source).await?;
    app.accounts.notices_wait(&stepped_up);
    answer(&app, &id).await
}

/// The document of [`put`].
pub(crate) fn put_doc() -> Doc {
    doc_of_one("Say who is an admin")
        .about("For an admin who is signed in; no API key does this.")
        .refuses(IssuerCode::InvalidState)
}
