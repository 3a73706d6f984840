//! `/auth/…`: accounts for people. JSON in and out, no cookies but one ([`openid`]): what a browser does not send by itself no
//! other page can have it send (T28).

pub mod confirm;
pub mod deactivate;
pub mod email;
pub mod login;
pub mod logout;
pub mod me;
pub mod openid;
pub mod password;
pub mod refresh;
pub mod register;
pub mod sessions;

mod link;
mod page;

use crate::domain::account::email::EmailAddress;
use crate::domain::account::password::PlainPassword;
use crate::domain::account::service::TokenPair;
use crate::domain::refusal::Refusal;
use crate::openapi::grammar;
use crate::router::App;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// An address and a password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    #[schema(value_type = grammar::EmailAddress)]
    email: String,
    #[schema(value_type = grammar::Password)]
    password: Zeroizing<String>,
}

impl Credentials {
    fn read(self) -> Result<(EmailAddress, PlainPassword), Refusal> {
        let email = EmailAddress::parse(&self.email).map_err(|_| Refusal::Malformed { field: "email" })?;
        Ok((email, password_field(self.password, "password")?))
    }
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RefreshForm {
    #[schema(value_type = String)]
    refresh_token: Zeroizing<String>,
}

fn password_field(text: Zeroizing<String>, field: &'static str) -> Result<PlainPassword, Refusal> {
    PlainPassword::presented(text).ok_or(Refusal::Malformed { field })
}

/// An access token and the refresh token that goes with it.
#[derive(Serialize, ToSchema)]
pub(super) struct PairAnswer<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: i64,
    refresh_token: &'a str,
    server_time: i64,
}

pub(super) fn answer(app: &App, pair: &TokenPair) -> Response {
    let refresh_token = pair.refresh.reveal();
    let answer = PairAnswer {
        access_token: &pair.access,
        token_type: "Bearer",
        expires_in: pair.expires_in,
        refresh_token: &refresh_token,
        server_time: app.issuer.clock.now().0,
    };
    ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}
