//! `POST /invitations`: invites an address to have an account.

use super::body;
use super::problem::Refused;
use super::step_up;
use crate::domain::account::email::EmailAddress;
use crate::domain::audit::Action;
use crate::domain::issuer_code::IssuerCode;
use crate::domain::refusal::Refusal;
use crate::mail::act::Act;
use crate::openapi::{Doc, grammar};
use crate::router::App;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InvitationForm {
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
/// [`Refused`].
pub async fn post(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let body = body::read(body).await?;
    let (admin, signed_in) = app.signed_in_admin(&parts, &body, Action::UserInvite).await?;
    let form: InvitationForm = body::json(&parts.headers, &body)?;
    let email = EmailAddress::parse(&form.email).map_err(|_| Refusal::Malformed { field: "email" })?;
    let stepped_up = step_up::demand(&app, &parts, &signed_in).await?;
    let stepped_up = app.accounts.with_notices(stepped_up, Act::Invited(email.clone()), &[]).await?;
    app.accounts.invite(&email, &stepped_up, &admin.source).await?;
    let answer = Invited { status: "invitation_sent", server_time: app.issuer.clock.now().0 };
    Ok((StatusCode::ACCEPTED, [(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// How the document describes it.
pub fn post_doc() -> Doc {
    Doc::new("Invite an address")
        .about(
            "A link goes to the address; its reader chooses a password, and the account begins. The answer is the same whether or not the \
             address has an account. For an admin who is signed in.",
        )
        .reads_header(step_up::HEADER, step_up::PATTERN, step_up::ABOUT_HEADER)
        .takes::<InvitationForm>()
        .answers::<Invited>(StatusCode::ACCEPTED, "If the address has no account, an invitation is on its way to it")
        .refuses(IssuerCode::StepUpRequired)
        .refuses(IssuerCode::RegistrationClosed)
}
