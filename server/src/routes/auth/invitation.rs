//! `GET /auth/invitation`, where the mail of an invitation leads, and `POST /auth/invitation`, which makes the account.

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
pub struct InvitationLink {
    #[param(value_type = String, pattern = "^bmg_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$")]
    token: Zeroizing<String>,
}

/// The page that the link leads to.
///
/// # Errors
/// [`Refused`] where the link holds no token.
pub async fn page(query: Result<Query<InvitationLink>, QueryRejection>) -> Result<Response, Refused> {
    link::follow(&FORM, Kind::Invitation, query.ok().map(|Query(link)| link.token))
}

/// Makes the account: 200. Takes the page's form and JSON.
///
/// # Errors
/// [`Refused`].
pub async fn post(State(app): State<App>, request: Request) -> Result<Response, Refused> {
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
    link::answer(request, Action::UserConfirm, (&FORM, Kind::Invitation), accept, done, json).await
}

/// How the document describes it.
pub fn page_doc() -> Doc {
    link::page_doc::<InvitationLink>("The page that an invitation leads to")
}

/// How the document describes it.
pub fn post_doc() -> Doc {
    link::answer_doc::<AddressConfirmed>(
        "Make the account of an invitation",
        "With the password that the invited user chooses; the link works once.",
    )
    .answers_text(StatusCode::FORBIDDEN, "A page that says what is wrong, to a form", "text/html")
    .refuses(IssuerCode::RegistrationClosed)
}
