//! `POST /auth/login`: an address and a password for a session.

use super::{Credentials, SignInAnswer, sign_in_answer};
use crate::http::action;
use crate::http::app::App;
use crate::http::body::SecretJsonForm;
use crate::http::caller::OwnProof;
use crate::http::openapi::doc::Doc;
use crate::http::problem::RouteError;
use axum::extract::State;
use axum::response::Response;
use bmap_protocol::code::Code;
use http::StatusCode;

/// Signs in: 200 with an access token and a refresh token, and a step-up beside them.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(
    OwnProof { source, .. }: OwnProof<action::UserSignIn>,
    State(app): State<App>,
    SecretJsonForm(form): SecretJsonForm<Credentials>,
) -> Result<Response, RouteError> {
    let (email, password) = form.read()?;
    let sign_in = app.accounts.sign_in(&email, password, &source).await?;
    Ok(sign_in_answer(&app, &sign_in))
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    Doc::new("Sign in")
        .answers::<SignInAnswer>(StatusCode::OK, "An access token and a refresh token, and a step-up")
        .refuses(Code::InvalidCredentials)
        .refuses(Code::RateLimited)
}
