//! `POST /auth/openid/{provider}/password` and `POST /auth/openid/{provider}/deactivate`: for users who have no password to show.
//!
//! The page sends the browser to `GET /auth/openid/{provider}?intent=confirm…`, where the provider asks for a fresh sign-in, and
//! brings the code that comes back here, with the access token.

use super::super::super::problem::Refused;
use super::super::super::{bearer, body};
use super::super::password_field;
use super::SignInCodeForm;
use crate::domain::account::email::EmailAddress;
use crate::domain::audit::Action;
use crate::domain::issuer_code::IssuerCode;
use crate::domain::refusal::Refusal;
use crate::openapi::{Doc, grammar};
use crate::router::App;
use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use bmap_protocol::code::Code;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// A first password, and a fresh sign-in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FirstPasswordForm {
    #[schema(value_type = grammar::EmailAddress)]
    email: String,
    #[schema(value_type = grammar::NewPassword)]
    new_password: Zeroizing<String>,
    #[schema(value_type = String)]
    code: Zeroizing<String>,
    /// RFC 7636: the one whose SHA-256 was the `code_challenge`.
    #[schema(value_type = String, min_length = 43, max_length = 128)]
    code_verifier: Zeroizing<String>,
}

#[derive(Serialize, ToSchema)]
struct FirstPasswordAsked {
    /// `confirmation_sent`
    status: &'static str,
    server_time: i64,
}

/// Asks for a first password: 202, whether or not the address has an account.
///
/// # Errors
/// [`Refused`].
pub async fn password(
    State(app): State<App>,
    Path(provider): Path<String>,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let signed_in = bearer::signed_in(&app, &parts, Action::PasswordFirstAsk).await?;
    let body = body::read(body).await?;
    let form: FirstPasswordForm = body::json(&parts.headers, &body)?;
    let email = EmailAddress::parse(&form.email).map_err(|_| Refusal::Malformed { field: "email" })?;
    let password = password_field(form.new_password, "new_password")?;
    app.accounts.openid_step(&signed_in.source)?;
    app.accounts.must_have_no_password(&signed_in).await?;
    app.openid.confirm(&signed_in, &provider, &form.code, &form.code_verifier).await?;
    app.accounts.ask_for_first_password(&signed_in, &email, password).await?;
    let answer = FirstPasswordAsked { status: "confirmation_sent", server_time: app.issuer.clock.now().0 };
    Ok((StatusCode::ACCEPTED, [(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// Deactivates the user: 204.
///
/// # Errors
/// [`Refused`].
pub async fn deactivate(
    State(app): State<App>,
    Path(provider): Path<String>,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let signed_in = bearer::signed_in(&app, &parts, Action::UserDeactivate).await?;
    let body = body::read(body).await?;
    let form: SignInCodeForm = body::json(&parts.headers, &body)?;
    app.accounts.openid_step(&signed_in.source)?;
    app.accounts.must_have_no_password(&signed_in).await?;
    app.openid.confirm(&signed_in, &provider, &form.code, &form.code_verifier).await?;
    app.accounts.deactivate_confirmed(&signed_in).await?;
    Ok((StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response())
}

/// How the document describes it.
pub fn password_doc() -> Doc {
    of_both(Doc::new("Ask for a first password"))
        .about(
            "For users without a password. The code is of a sign-in with `intent=confirm`. A link goes to the address; followed \
             with the new password, it makes both of them the account's.",
        )
        .takes::<FirstPasswordForm>()
        .answers::<FirstPasswordAsked>(StatusCode::ACCEPTED, "A mail is on its way to the address")
}

/// How the document describes it.
pub fn deactivate_doc() -> Doc {
    of_both(Doc::new("Deactivate one's own account, without a password"))
        .about(
            "For users without a password, as `POST /auth/deactivate` is for those with one. The code is of a sign-in with \
             `intent=confirm`.",
        )
        .takes::<SignInCodeForm>()
        .answers_empty(StatusCode::NO_CONTENT, "It is deactivated")
}

fn of_both(doc: Doc) -> Doc {
    doc.path_part("provider", "The provider's name")
        .refuses(IssuerCode::NotFound)
        .refuses(IssuerCode::InvalidState)
        .refuses(Code::InvalidCredentials)
        .refuses(Code::RateLimited)
}
