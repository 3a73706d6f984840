//! `POST /auth/password/reset/confirm`: sets the new password.

use super::FORM;
use crate::http::action;
use crate::http::app::App;
use crate::http::body::JsonOrPageForm;
use crate::http::caller::OwnProof;
use crate::http::openapi::doc::Doc;
use crate::http::problem::RouteError;
use crate::routes::auth::GivenKeyAnswer;
use crate::routes::auth::link::{self, LinkForm};
use crate::routes::auth::page;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bmap_issuer::account::reset::Reset;
use bmap_model::account::opaque::Kind;
use bmap_model::audit::Source;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

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

/// Sets the password: 200 with the number of sessions, which are ended. Takes the page's form and JSON.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(
    proof: OwnProof<action::PasswordReset>,
    State(app): State<App>,
    form: JsonOrPageForm<LinkForm>,
) -> Result<Response, RouteError> {
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
    link::answer(proof.source, form, (&FORM, Kind::PasswordReset), set, done, json).await
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    link::answer_doc::<PasswordSet>(
        "Set a new password",
        "Every session of the account is ended; the link works once. The answer lists the keys to look through.",
    )
}
