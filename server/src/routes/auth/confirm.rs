//! `GET /auth/confirm`, where the mail of a registration leads, and `POST /auth/confirm`, which makes the account.

use super::link::{self, AddressConfirmed};
use super::page::{self, Form};
use crate::domain::account::opaque::Kind;
use crate::domain::audit::{Action, Source};
use crate::domain::issuer_code::IssuerCode;
use crate::openapi::Doc;
use crate::router::App;
use crate::routes::problem::Refused;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::Deserialize;
use utoipa::IntoParams;
use zeroize::Zeroizing;

const FORM: Form = Form {
    title: "Confirm your email address",
    text: "Enter the password that you chose when you registered. Then the account is yours.",
    action: "confirm",
    again: "confirm",
    label: "Password",
    autocomplete: "current-password",
    button: "Confirm",
    otherwise: "If it was not you who registered with this address, close this page: nothing happens then.",
};

/// The link's parameters.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct RegistrationLink {
    #[param(value_type = String, pattern = "^bmc_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$")]
    token: Zeroizing<String>,
}

/// The page that the link leads to.
///
/// # Errors
/// [`Refused`] where the link holds no token.
pub async fn page(query: Result<Query<RegistrationLink>, QueryRejection>) -> Result<Response, Refused> {
    link::follow(&FORM, Kind::Confirmation, query.ok().map(|Query(link)| link.token))
}

/// Confirms: 200. Takes the page's form and JSON.
///
/// # Errors
/// [`Refused`].
pub async fn post(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let confirm = |token: Zeroizing<String>, password, source: Source| {
        let accounts = app.accounts.clone();
        async move { accounts.confirm(&token, password, &source).await }
    };
    let now = app.issuer.clock.now().0;
    let json = |()| {
        let answer = AddressConfirmed { status: "confirmed", server_time: now };
        ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response()
    };
    let done = |()| page::done("Confirmed", "The account is yours. You can sign in now.");
    link::answer(request, Action::UserConfirm, (&FORM, Kind::Confirmation), confirm, done, json).await
}

/// How the document describes it.
pub fn page_doc() -> Doc {
    link::page_doc::<RegistrationLink>("The page that a registration's link leads to")
}

/// How the document describes it.
pub fn post_doc() -> Doc {
    link::answer_doc::<AddressConfirmed>(
        "Make the account of a registration",
        "With the password of that registration; five tries for each link.",
    )
    .answers_text(StatusCode::FORBIDDEN, "A page that says what is wrong, to a form", "text/html")
    .refuses(IssuerCode::RegistrationClosed)
}
