//! `POST /invitations`: invites an address to have an account.

use crate::http::action;
use crate::http::app::App;
use crate::http::body::SecretJsonForm;
use crate::http::caller::SignedInAdmin;
use crate::http::openapi::doc::Doc;
use crate::http::openapi::grammar;
use crate::http::problem::RouteError;
use crate::http::step_up::ShownStepUp;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bmap_issuer::error::IssuerError;
use bmap_model::account::email::EmailAddress;
use bmap_model::issuer_code::IssuerCode;
use bmap_model::mail::act::Act;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvitationForm {
    #[schema(value_type = grammar::EmailAddress)]
    email: String,
}

#[derive(Serialize, ToSchema)]
struct Invited {
    /// `invitation_sent`
    status: &'static str,
    server_time: i64,
}

/// Invites: 202, whether or not the address has an account.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(
    admin: SignedInAdmin<action::UserInvite>,
    State(app): State<App>,
    SecretJsonForm(form): SecretJsonForm<InvitationForm>,
    shown: ShownStepUp,
) -> Result<Response, RouteError> {
    let SignedInAdmin { admin, signed_in, .. } = admin;
    let email = EmailAddress::parse(&form.email).map_err(|_| IssuerError::Malformed { field: "email" })?;
    let stepped_up = shown.demand(&app, &signed_in).await?;
    let stepped_up = app.accounts.with_notices(stepped_up, Act::Invited(email.clone()), &[]).await?;
    app.accounts.invite(&email, &stepped_up, &admin.source).await?;
    let answer = Invited { status: "invitation_sent", server_time: app.issuer.clock.now().0 };
    Ok((StatusCode::ACCEPTED, [(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    Doc::new("Invite an address")
        .about(
            "A link goes to the address; its reader chooses a password, and the account begins. The answer is the same whether or not the \
             address has an account. For an admin who is signed in.",
        )
        .answers::<Invited>(StatusCode::ACCEPTED, "If the address has no account, an invitation is on its way to it")
        .refuses(IssuerCode::RegistrationClosed)
}
