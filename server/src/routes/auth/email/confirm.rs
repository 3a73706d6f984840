//! `GET /auth/email/confirm`, where the mail to a new address leads, and `POST /auth/email/confirm`, which gives it to the account.

use super::super::link::{self, AddressConfirmed, LinkForm};
use super::super::page::{self, Form};
use crate::http::action;
use crate::http::app::App;
use crate::http::body::JsonOrPageForm;
use crate::http::caller::OwnProof;
use crate::http::openapi::doc::Doc;
use crate::http::problem::RouteError;
use crate::http::query::QueryFields;
use crate::http::query::QueryOf;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bmap_model::account::opaque::Kind;
use bmap_model::audit::Source;
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
pub(crate) struct AddressLink {
    #[param(value_type = String, pattern = "^bme_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$")]
    token: Zeroizing<String>,
}

impl QueryFields for AddressLink {}

/// The page that the link leads to.
pub(crate) async fn page(_: OwnProof<action::Request>, link: Result<QueryOf<AddressLink>, RouteError>) -> Response {
    link::follow(&FORM, Kind::EmailChange, link.ok().map(|QueryOf(link)| link.token))
}

/// The document of [`page`].
pub(crate) fn page_doc() -> Doc {
    link::page_doc("The page that the link to a new address leads to")
}

/// Confirms: 200. Takes the page's form and JSON.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(
    proof: OwnProof<action::EmailChange>,
    State(app): State<App>,
    form: JsonOrPageForm<LinkForm>,
) -> Result<Response, RouteError> {
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
    link::answer(proof.source, form, (&FORM, Kind::EmailChange), confirm, done, json).await
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    link::answer_doc::<AddressConfirmed>(
        "Give an account its new address",
        "With the account's password; five tries for each link.",
    )
}
