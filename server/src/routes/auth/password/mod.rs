//! `POST /auth/password`: changes the password of the signed-in user.

pub(crate) mod reset;

use super::{GivenKeyAnswer, password_field};
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
use bmap_protocol::code::Code;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordForm {
    #[schema(value_type = grammar::Password)]
    current_password: Zeroizing<String>,
    #[schema(value_type = grammar::NewPassword)]
    new_password: Zeroizing<String>,
}

#[derive(Serialize, ToSchema)]
struct Changed {
    /// How many other sessions there were.
    ended_sessions: u64,
    /// Keys that were made or given a new secret since a link last set the password, or since the account began, and that were not revoked;
    /// latest first.
    keys: Vec<GivenKeyAnswer>,
    /// The token for `POST /api-keys/revoke` to revoke them with, for a day.
    revoke_token: String,
    server_time: i64,
}

/// Changes it: 200 with the number of other sessions, which are ended.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(
    UserCaller { signed_in, .. }: UserCaller<action::PasswordChange>,
    State(app): State<App>,
    SecretJsonForm(form): SecretJsonForm<PasswordForm>,
) -> Result<Response, RouteError> {
    let current = password_field(form.current_password, "current_password")?;
    let new = password_field(form.new_password, "new_password")?;
    let (ended_sessions, review) = app.accounts.change_password(&signed_in, current, new).await?;
    let answer = Changed {
        ended_sessions,
        keys: review.keys.iter().map(GivenKeyAnswer::of).collect(),
        revoke_token: review.token.reveal().to_string(),
        server_time: app.issuer.clock.now().0,
    };
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    Doc::new("Change the password")
        .about("Every other session of the account is ended, and every step-up. The answer lists the keys to look through.")
        .answers::<Changed>(StatusCode::OK, "It is changed")
        .refuses(Code::InvalidCredentials)
        .refuses(Code::RateLimited)
}
