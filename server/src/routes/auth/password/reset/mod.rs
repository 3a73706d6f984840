//! `POST /auth/password/reset`, which asks for a link, and `GET /auth/password/reset`, where that leads.

pub(crate) mod confirm;

use super::super::link;
use super::super::page::Form;
use crate::http::action;
use crate::http::app::App;
use crate::http::body::SecretJsonForm;
use crate::http::caller::OwnProof;
use crate::http::openapi::doc::Doc;
use crate::http::openapi::grammar;
use crate::http::problem::RouteError;
use crate::http::query::QueryFields;
use crate::http::query::QueryOf;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bmap_issuer::error::IssuerError;
use bmap_model::account::email::EmailAddress;
use bmap_model::account::opaque::Kind;
use bmap_protocol::code::Code;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use zeroize::Zeroizing;

const FORM: Form = Form {
    title: "Set a new password",
    text: "Choose a password of at least 8 characters that you use nowhere else. Every session of the account ends.",
    action: "reset/confirm",
    again: "confirm",
    label: "New password",
    autocomplete: "new-password",
    button: "Set password",
    otherwise: "If it was not you who asked for this, close this page: your password stays.",
};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordResetForm {
    #[schema(value_type = grammar::EmailAddress)]
    email: String,
}

#[derive(Serialize, ToSchema)]
struct ResetAsked {
    /// `link_sent`
    status: &'static str,
    server_time: i64,
}

/// Asks for a link: 202, whether or not the address has an account.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn ask(
    OwnProof { source, .. }: OwnProof<action::PasswordResetAsk>,
    State(app): State<App>,
    SecretJsonForm(form): SecretJsonForm<PasswordResetForm>,
) -> Result<Response, RouteError> {
    let email = EmailAddress::parse(&form.email).map_err(|_| IssuerError::Malformed { field: "email" })?;
    app.accounts.ask_for_reset(&email, &source).await?;
    let answer = ResetAsked { status: "link_sent", server_time: app.issuer.clock.now().0 };
    Ok((StatusCode::ACCEPTED, [(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// The document of [`ask`].
pub(crate) fn ask_doc() -> Doc {
    Doc::new("Ask for a link that sets a new password")
        .about("The answer is the same whether or not the address has an account.")
        .answers::<ResetAsked>(StatusCode::ACCEPTED, "If the address has an account, a link is on its way to it")
        .refuses(Code::RateLimited)
}

/// The link's parameters.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResetLink {
    #[param(value_type = String, pattern = "^bmp_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$")]
    token: Zeroizing<String>,
}

impl QueryFields for ResetLink {}

/// The page that the link leads to.
pub(crate) async fn page(_: OwnProof<action::Request>, link: Result<QueryOf<ResetLink>, RouteError>) -> Response {
    link::follow(&FORM, Kind::PasswordReset, link.ok().map(|QueryOf(link)| link.token))
}

/// The document of [`page`].
pub(crate) fn page_doc() -> Doc {
    link::page_doc("The page that the link to a new password leads to")
}
