//! `GET /auth/email/confirm`, where the mail to a new address leads, and `POST /auth/email/confirm`, which gives it to the account.

use super::super::link::{self, AddressConfirmed};
use super::super::page::{self, Form};
use crate::domain::account::opaque::Kind;
use crate::domain::audit::{Action, Source};
use crate::openapi::Doc;
use crate::router::App;
use crate::routes::problem::Refused;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use serde::Deserialize;
use utoipa::IntoParams;
use zeroize::Zeroizing;

const FORM: Form = Form {
    title: "Confirm your new email address",
    text: "Enter the password of your account. From then on you sign in with this address.",
    action: "confirm",
    again: "confirm",
    label: "Password",
    autocomplete: "current-password",
    button: "Confirm",
    otherwise: "If it was not you who asked for this, close this page: nothing happens then.",
};

/// The link's parameters.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct AddressLink {
    #[param(value_type = String, pattern = "^bme_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$")]
    token: Zeroizing<String>,
}

/// The page that the link leads to.
///
/// # Errors
/// [`Refused`] where the link holds no token.
pub async fn page(query: Result<Query<AddressLink>, QueryRejection>) -> Result<Response, Refused> {
    link::follow(&FORM, Kind::EmailChange, query.ok().map(|Query(link)| link.token))
}

/// Confirms: 200. Takes the page's form and JSON.
///
/// # Errors
/// [`Refused`].
pub async fn post(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let confirm = |token: Zeroizing<String>, password, source: Source| {
        let accounts = app.accounts.clone();
        async move { accounts.confirm_address(&token, password, &source).await }
    };
    let now = app.issuer.clock.now().0;
    let json = |()| {
        let answer = AddressConfirmed { status: "confirmed", server_time: now };
        ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response()
    };
    let done = |()| page::done("Confirmed", "From now on you sign in with this address.");
    link::answer(request, Action::EmailChange, (&FORM, Kind::EmailChange), confirm, done, json).await
}

/// How the document describes it.
pub fn page_doc() -> Doc {
    link::page_doc::<AddressLink>("The page that the link to a new address leads to")
}

/// How the document describes it.
pub fn post_doc() -> Doc {
    link::answer_doc::<AddressConfirmed>(
        "Give an account its new address",
        "With the account's password; five tries for each link.",
    )
}
