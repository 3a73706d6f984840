//! `POST /auth/email`: asks for another address.

pub(crate) mod confirm;

use super::password_field;
use crate::http::action;
use crate::http::app::App;
use crate::http::body::SecretJsonForm;
use crate::http::caller::UserCaller;
use crate::http::openapi::doc::Doc;
use crate::http::openapi::grammar;
use crate::http::problem::RouteError;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bmap_issuer::error::IssuerError;
use bmap_model::account::email::EmailAddress;
use bmap_protocol::code::Code;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EmailForm {
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
/// [`RouteError`].
pub(crate) async fn post(
    UserCaller { signed_in, .. }: UserCaller<action::EmailChangeAsk>,
    State(app): State<App>,
    SecretJsonForm(form): SecretJsonForm<EmailForm>,
) -> Result<Response, RouteError> {
    let email = EmailAddress::parse(&form.email).map_err(|_| IssuerError::Malformed { field: "email" })?;
    let password = password_field(form.password, "password")?;
    app.accounts.ask_for_address(&signed_in, password, &email).await?;
    let answer = AddressAsked { status: "confirmation_sent", server_time: app.issuer.clock.now().0 };
    Ok((StatusCode::ACCEPTED, [(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    Doc::new("Ask for another address")
        .about("A link goes to the new address, and word of it to the old one. The answer is the same whether or not the new address has an account.")
        .answers::<AddressAsked>(StatusCode::ACCEPTED, "A link is on its way to the new address")
        .refuses(Code::InvalidCredentials)
        .refuses(Code::RateLimited)
}
