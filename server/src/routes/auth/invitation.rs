//! `GET /auth/invitation`, where the mail of an invitation leads, and `POST /auth/invitation`, which makes the account.

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
    title: "You are invited",
    text: "Choose a password of at least 8 characters that you use nowhere else. Then the account is yours.",
    action: "invitation",
    again: "invitation",
    label: "New password",
    autocomplete: "new-password",
    button: "Make the account",
    otherwise: "If you do not want an account, close this page: nothing happens then.",
};

/// The link's parameters.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvitationLink {
    #[param(value_type = String, pattern = "^bmg_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$")]
    token: Zeroizing<String>,
}

impl QueryFields for InvitationLink {}

/// The page that the link leads to.
pub(crate) async fn page(_: OwnProof<action::Request>, link: Result<QueryOf<InvitationLink>, RouteError>) -> Response {
    link::follow(&FORM, Kind::Invitation, link.ok().map(|QueryOf(link)| link.token))
}

/// The document of [`page`].
pub(crate) fn page_doc() -> Doc {
    link::page_doc("The page that an invitation leads to")
}

/// Makes the account: 200. Takes the page's form and JSON.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(
    proof: OwnProof<action::UserConfirm>,
    State(app): State<App>,
    form: JsonOrPageForm<LinkForm>,
) -> Result<Response, RouteError> {
    let accept = |token: Zeroizing<String>, password, source: Source| {
        let accounts = app.accounts.clone();
        async move { accounts.accept(&token, password, &source).await }
    };
    let now = app.issuer.clock.now().0;
    let json = |()| {
        let answer = AddressConfirmed { status: "confirmed", server_time: now };
        ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response()
    };
    let done = |()| page::done("The account is yours", "You can sign in now.");
    link::answer(proof.source, form, (&FORM, Kind::Invitation), accept, done, json).await
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    link::answer_doc::<AddressConfirmed>(
        "Make the account of an invitation",
        "With the password that the invited user chooses; the link works once.",
    )
    .answers_text(StatusCode::FORBIDDEN, "A page that says what is wrong, to a form", "text/html")
    .refuses(IssuerCode::RegistrationClosed)
}
