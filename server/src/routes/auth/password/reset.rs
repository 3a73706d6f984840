//! `POST /auth/password/reset`, which asks for a link; `GET /auth/password/reset`, where that leads; and
//! `POST /auth/password/reset/confirm`, which sets the new password.

use super::super::GivenKeyAnswer;
use super::super::link;
use super::super::page::{self, Form};
use crate::domain::account::email::EmailAddress;
use crate::domain::account::opaque::Kind;
use crate::domain::account::reset::Reset;
use crate::domain::audit::{Action, Source};
use crate::domain::refusal::Refusal;
use crate::openapi::{Doc, grammar};
use crate::router::{App, source};
use crate::routes::body;
use crate::routes::problem::Refused;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
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
struct PasswordResetForm {
    #[schema(value_type = grammar::EmailAddress)]
    email: String,
}

#[derive(Serialize, ToSchema)]
struct ResetAsked {
    /// `link_sent`
    status: &'static str,
    server_time: i64,
}

#[derive(Serialize, ToSchema)]
struct PasswordSet {
    /// How many sessions there were.
    ended_sessions: u64,
    /// Keys that were made or given a new secret since a link last set the password, or since the account began, and that were not revoked;
    /// latest first.
    keys: Vec<GivenKeyAnswer>,
    /// The token for `POST /api-keys/revoke` to revoke them with, for a day.
    revoke_token: String,
    server_time: i64,
}

/// Asks for a link: 202, whether or not the address has an account.
///
/// # Errors
/// [`Refused`].
pub async fn ask(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let source = source(&parts, Action::PasswordResetAsk);
    let body = body::read(body).await?;
    let form: PasswordResetForm = body::json(&parts.headers, &body)?;
    let email = EmailAddress::parse(&form.email).map_err(|_| Refusal::Malformed { field: "email" })?;
    app.accounts.ask_for_reset(&email, &source).await?;
    let answer = ResetAsked { status: "link_sent", server_time: app.issuer.clock.now().0 };
    Ok((StatusCode::ACCEPTED, [(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// The link's parameters.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ResetLink {
    #[param(value_type = String, pattern = "^bmp_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$")]
    token: Zeroizing<String>,
}

/// The page that the link leads to.
///
/// # Errors
/// [`Refused`] where the link holds no token.
pub async fn page(query: Result<Query<ResetLink>, QueryRejection>) -> Result<Response, Refused> {
    link::follow(&FORM, Kind::PasswordReset, query.ok().map(|Query(link)| link.token))
}

/// Sets the password: 200 with the number of sessions, which are ended. Takes the page's form and JSON.
///
/// # Errors
/// [`Refused`].
pub async fn confirm(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let set = |token: Zeroizing<String>, password, source: Source| {
        let accounts = app.accounts.clone();
        async move { accounts.reset_password(&token, password, &source).await }
    };
    let now = app.issuer.clock.now().0;
    let json = |reset: Reset| {
        let answer = PasswordSet {
            ended_sessions: reset.ended_sessions,
            keys: reset.review.keys.iter().map(GivenKeyAnswer::of).collect(),
            revoke_token: reset.review.token.reveal().to_string(),
            server_time: now,
        };
        ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response()
    };
    let done = |reset: Reset| page::password_set(&reset.review);
    link::answer(request, Action::PasswordReset, (&FORM, Kind::PasswordReset), set, done, json).await
}

/// How the document describes it.
pub fn ask_doc() -> Doc {
    Doc::new("Ask for a link that sets a new password")
        .about("The answer is the same whether or not the address has an account.")
        .takes::<PasswordResetForm>()
        .answers::<ResetAsked>(StatusCode::ACCEPTED, "If the address has an account, a link is on its way to it")
        .refuses(Code::RateLimited)
}

/// How the document describes it.
pub fn page_doc() -> Doc {
    link::page_doc::<ResetLink>("The page that the link to a new password leads to")
}

/// How the document describes it.
pub fn confirm_doc() -> Doc {
    link::answer_doc::<PasswordSet>(
        "Set a new password",
        "Every session of the account is ended; the link works once. The answer lists the keys to look through.",
    )
}
