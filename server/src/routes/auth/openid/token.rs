//! `POST /auth/openid/token`: the code in a page's fragment for a session.

use super::super::super::body;
use super::super::super::problem::Refused;
use super::super::{SignInAnswer, sign_in_answer};
use super::SignInCodeForm;
use crate::domain::audit::Action;
use crate::openapi::Doc;
use crate::router::{App, source};
use axum::extract::{Request, State};
use axum::response::Response;
use bmap_protocol::code::Code;
use http::StatusCode;

/// Signs in: 200 with the same as `POST /auth/login`.
///
/// # Errors
/// [`Refused`].
pub async fn post(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let source = source(&parts, Action::UserSignIn);
    let body = body::read(body).await?;
    let form: SignInCodeForm = body::json(&parts.headers, &body)?;
    app.accounts.openid_step(&source)?;
    let sign_in = app.openid.redeem(&app.accounts, &form.code, &form.code_verifier, &source).await?;
    Ok(sign_in_answer(&app, &sign_in))
}

/// How the document describes it.
pub fn post_doc() -> Doc {
    Doc::new("Swap the code of a sign-in with an OpenID provider")
        .about("The code is good once and for 60 s. A request that presents it uses it up, also with a wrong verifier.")
        .takes::<SignInCodeForm>()
        .answers::<SignInAnswer>(StatusCode::OK, "An access token and a refresh token, and a step-up")
        .refuses(Code::InvalidCredentials)
        .refuses(Code::UserInactive)
        .refuses(Code::RateLimited)
}
