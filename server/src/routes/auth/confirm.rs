//! `GET /auth/confirm`, where the mail of a registration leads, and `POST /auth/confirm`, which makes the account.

use super::link::{self, AddressConfirmed, LinkForm};
use super::page::{self, Form};
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
use bmap_model::issuer_code::IssuerCode;
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
pub(crate) struct RegistrationLink {
    #[param(value_type = String, pattern = "^bmc_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$")]
    token: Zeroizing<String>,
}

impl QueryFields for RegistrationLink {}

/// The page that the link leads to.
pub(crate) async fn page(
    _: OwnProof<action::Request>,
    link: Result<QueryOf<RegistrationLink>, RouteError>,
) -> Response {
    link::follow(&FORM, Kind::Confirmation, link.ok().map(|QueryOf(link)| link.token))
}

/// The document of [`page`].
pub(crate) fn page_doc() -> Doc {
    link::page_doc("The page that a registration's link leads to")
}

/// Confirms: 200. Takes the page's form and JSON.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(
    proof: OwnProof<action::UserConfirm>,
    State(app): State<App>,
    form: JsonOrPageForm<LinkForm>,
) -> Result<Response, RouteError> {
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
    link::answer(proof.source, form, (&FORM, Kind::Confirmation), confirm, done, json).await
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    link::answer_doc::<AddressConfirmed>(
        "Make the account of a registration",
        "With the password of that registration; five tries for each link.",
    )
    .answers_text(StatusCode::FORBIDDEN, "A page that says what is wrong, to a form", "text/html")
    .refuses(IssuerCode::RegistrationClosed)
}
