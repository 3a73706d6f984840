//! `POST /auth/login`: an address and a password for a session.

use super::super::body;
use super::super::problem::Refused;
use super::{Credentials, SignInAnswer, sign_in_answer};
use crate::domain::audit::Action;
use crate::openapi::Doc;
use crate::router::{App, source};
use axum::extract::{Request, State};
use axum::response::Response;
use bmap_protocol::code::Code;
use http::StatusCode;

/// Signs in: 200 with an access token and a refresh token, and a step-up beside them.
///
/// # Errors
/// [`Refused`].
pub async fn post(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let source = source(&parts, Action::UserSignIn);
    let body = body::read(body).await?;
    let (email, password) = body::json::<Credentials>(&parts.headers, &body)?.read()?;
    let sign_in = app.accounts.sign_in(&email, password, &source).await?;
    Ok(sign_in_answer(&app, &sign_in))
}

/// How the document describes it.
pub fn post_doc() -> Doc {
    Doc::new("Sign in")
        .takes::<Credentials>()
        .answers::<SignInAnswer>(StatusCode::OK, "An access token and a refresh token, and a step-up")
        .refuses(Code::InvalidCredentials)
        .refuses(Code::RateLimited)
}
