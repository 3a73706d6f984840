//! `POST /auth/email`: asks for another address.

pub mod confirm;

use super::super::problem::Refused;
use super::super::{bearer, body};
use super::password_field;
use crate::domain::account::email::EmailAddress;
use crate::domain::audit::Action;
use crate::domain::refusal::Refusal;
use crate::openapi::{Doc, grammar};
use crate::router::App;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bmap_protocol::code::Code;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EmailForm {
    /// The new address.
    #[schema(value_type = grammar::EmailAddress)]
    email: String,
    /// The account's password.
    #[schema(value_type = grammar::Password)]
    password: Zeroizing<String>,
}

#[derive(Serialize, ToSchema)]
struct AddressAsked {
    /// `confirmation_sent`
    status: &'static str,
    server_time: i64,
}

/// Sends a link to the new address: 202, whether or not that has an account.
///
/// # Errors
/// [`Refused`].
pub async fn post(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let signed_in = bearer::signed_in(&app, &parts, Action::EmailChangeAsk).await?;
    let body = body::read(body).await?;
    let form: EmailForm = body::json(&parts.headers, &body)?;
    let email = EmailAddress::parse(&form.email).map_err(|_| Refusal::Malformed { field: "email" })?;
    let password = password_field(form.password, "password")?;
    app.accounts.ask_for_address(&signed_in, password, &email).await?;
    let answer = AddressAsked { status: "confirmation_sent", server_time: app.issuer.clock.now().0 };
    Ok((StatusCode::ACCEPTED, [(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// How the document describes it.
pub fn post_doc() -> Doc {
    Doc::new("Ask for another address")
        .about("A link goes to the new address, and word of it to the old one. The answer is the same whether or not the new address has an account.")
        .takes::<EmailForm>()
        .answers::<AddressAsked>(StatusCode::ACCEPTED, "A link is on its way to the new address")
        .refuses(Code::InvalidCredentials)
        .refuses(Code::RateLimited)
}
