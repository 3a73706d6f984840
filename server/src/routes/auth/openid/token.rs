//! `POST /auth/openid/token`: the code in a page's fragment for a session.

use super::super::{SignInAnswer, sign_in_answer};
use super::SignInCodeForm;
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

/// Signs in: 200 with the same as `POST /auth/login`.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(
    OwnProof { source, .. }: OwnProof<action::UserSignIn>,
    State(app): State<App>,
    SecretJsonForm(form): SecretJsonForm<SignInCodeForm>,
) -> Result<Response, RouteError> {
    app.accounts.openid_step(&source)?;
    let sign_in = app.openid.redeem(&app.accounts, &form.code, &form.code_verifier, &source).await?;
    Ok(sign_in_answer(&app, &sign_in))
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    Doc::new("Swap the code of a sign-in with an OpenID provider")
        .about("The code is good once and for 60 s. A request that presents it uses it up, also with a wrong verifier.")
        .answers::<SignInAnswer>(StatusCode::OK, "An access token and a refresh token, and a step-up")
        .refuses(Code::InvalidCredentials)
        .refuses(Code::UserInactive)
        .refuses(Code::RateLimited)
}
