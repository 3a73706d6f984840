//! `POST /auth/logout`: ends the session of a refresh token.

use super::super::body;
use super::super::problem::Refused;
use super::RefreshForm;
use crate::domain::audit::Action;
use crate::openapi::Doc;
use crate::router::{App, source};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CACHE_CONTROL;

/// Signs out: 204, also for a token that is not known. It takes the refresh token and not the access token, which may
/// have ended when the user signs out.
///
/// # Errors
/// [`Refused`].
pub async fn post(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let source = source(&parts, Action::UserSignOut);
    let body = body::read(body).await?;
    let form: RefreshForm = body::json(&parts.headers, &body)?;
    app.accounts.sign_out(&form.refresh_token, &source).await?;
    Ok((StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response())
}

/// How the document describes it.
pub fn post_doc() -> Doc {
    Doc::new("Sign out")
        .takes::<RefreshForm>()
        .answers_empty(StatusCode::NO_CONTENT, "The session is ended, if there was one")
}
