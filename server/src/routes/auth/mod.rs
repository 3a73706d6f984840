//! `/auth/…`: accounts for people. JSON in and out, no cookies but one ([`openid`]): what a browser does not send by itself no
//! other page can have it send (T28).

pub(crate) mod audit;
pub(crate) mod confirm;
pub(crate) mod deactivate;
pub(crate) mod email;
pub(crate) mod invitation;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod me;
pub(crate) mod openid;
pub(crate) mod password;
pub(crate) mod refresh;
pub(crate) mod register;
pub(crate) mod sessions;
pub(crate) mod step_up;

mod link;
pub(super) mod page;

use crate::http::app::App;
use crate::http::openapi::grammar;
use axum::Json;
use axum::response::{IntoResponse, Response};
use bmap_issuer::account::service::{SignIn, TokenPair};
use bmap_issuer::account::step_up::STEP_UP_SECONDS;
use bmap_issuer::error::IssuerError;
use bmap_model::account::email::EmailAddress;
use bmap_model::account::key_review::GivenKey;
use bmap_model::account::password::PlainPassword;
use bmap_model::clock::UnixTime;
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// An address and a password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    #[schema(value_type = grammar::EmailAddress)]
    email: String,
    #[schema(value_type = grammar::Password)]
    password: Zeroizing<String>,
}

impl Credentials {
    fn read(self) -> Result<(EmailAddress, PlainPassword), IssuerError> {
        let email = EmailAddress::parse(&self.email).map_err(|_| IssuerError::Malformed { field: "email" })?;
        Ok((email, password_field(self.password, "password")?))
    }
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefreshForm {
    #[schema(value_type = String)]
    refresh_token: Zeroizing<String>,
}

fn password_field(text: Zeroizing<String>, field: &'static str) -> Result<PlainPassword, IssuerError> {
    PlainPassword::presented(text).ok_or(IssuerError::Malformed { field })
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

/// The answer to a sign-in: the pair, and a step-up for one act that outlives the session.
#[derive(Serialize, ToSchema)]
pub(super) struct SignInAnswer<'a> {
    #[serde(flatten)]
    pair: PairAnswer<'a>,
    /// For the header `Bmap-Step-Up`, once.
    step_up: &'a str,
    step_up_expires_in: i64,
}

/// A step-up.
#[derive(Serialize, ToSchema)]
pub(super) struct StepUpAnswer<'a> {
    /// For the header `Bmap-Step-Up`, once.
    step_up: &'a str,
    expires_in: i64,
    server_time: i64,
}

impl<'a> StepUpAnswer<'a> {
    fn of(step_up: &'a str, now: UnixTime) -> Self {
        Self { step_up, expires_in: STEP_UP_SECONDS, server_time: now.0 }
    }
}

/// A key that a change or reset of the password shows.
#[derive(Serialize, ToSchema)]
pub(super) struct GivenKeyAnswer {
    id: String,
    name: String,
    /// `made`, or `new_secret`.
    act: &'static str,
    at: i64,
    /// From where, as far as is known.
    #[schema(required)]
    address: Option<String>,
}

impl GivenKeyAnswer {
    fn of(key: &GivenKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name.to_string(),
            act: key.given.as_str(),
            at: key.at.0,
            address: key.address.map(|address| address.to_string()),
        }
    }
}

/// A sign-in.
pub(super) fn sign_in_answer(app: &App, sign_in: &SignIn) -> Response {
    let (refresh_token, step_up) = (sign_in.pair.refresh.reveal(), sign_in.step_up.0.reveal());
    let answer = SignInAnswer {
        pair: pair_answer(app, &sign_in.pair, &refresh_token),
        step_up: &step_up,
        step_up_expires_in: STEP_UP_SECONDS,
    };
    ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

pub(super) fn answer(app: &App, pair: &TokenPair) -> Response {
    let refresh_token = pair.refresh.reveal();
    ([(CACHE_CONTROL, "no-store")], Json(pair_answer(app, pair, &refresh_token))).into_response()
}

fn pair_answer<'a>(app: &App, pair: &'a TokenPair, refresh_token: &'a str) -> PairAnswer<'a> {
    PairAnswer {
        access_token: &pair.access,
        token_type: "Bearer",
        expires_in: pair.expires_in,
        refresh_token,
        server_time: app.issuer.clock.now().0,
    }
}
