//! `POST /auth/deactivate`: a signed-in user gives up their own account.

use super::super::problem::Refused;
use super::super::{bearer, body};
use super::password_field;
use crate::domain::audit::Action;
use crate::domain::issuer_code::IssuerCode;
use crate::openapi::{Doc, grammar};
use crate::router::App;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bmap_protocol::code::Code;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// The account's password, once more.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeactivateForm {
    #[schema(value_type = grammar::Password)]
    password: Zeroizing<String>,
}

/// Deactivates the account: 204. Every session ends, its API keys and the renewal of its tokens stop working; an admin can
/// activate it again.
///
/// # Errors
/// [`Refused`].
pub async fn post(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let signed_in = bearer::signed_in(&app, &parts, Action::UserDeactivate).await?;
    let body = body::read(body).await?;
    let form: DeactivateForm = body::json(&parts.headers, &body)?;
    let password = password_field(form.password, "password")?;
    app.accounts.deactivate(&signed_in, password).await?;
    Ok((StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response())
}

/// How the document describes it.
pub fn post_doc() -> Doc {
    Doc::new("Deactivate one's own account")
        .about("Ends every session; API keys and the renewal of tokens stop at once. Only an admin brings it back.")
        .takes::<DeactivateForm>()
        .answers_empty(StatusCode::NO_CONTENT, "It is deactivated")
        .refuses(Code::InvalidCredentials)
        .refuses(Code::RateLimited)
        .refuses(IssuerCode::InvalidState)
}
