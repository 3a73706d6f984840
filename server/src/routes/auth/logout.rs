//! `POST /auth/logout`: ends the session of a refresh token.

use super::RefreshForm;
use crate::http::action;
use crate::http::app::App;
use crate::http::body::SecretJsonForm;
use crate::http::caller::OwnProof;
use crate::http::openapi::doc::Doc;
use crate::http::problem::RouteError;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CACHE_CONTROL;

/// Signs out: 204, also for a token that is not known. It takes the refresh token and not the access token, which may
/// have ended when the user signs out.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(
    OwnProof { source, .. }: OwnProof<action::UserSignOut>,
    State(app): State<App>,
    SecretJsonForm(form): SecretJsonForm<RefreshForm>,
) -> Result<Response, RouteError> {
    app.accounts.sign_out(&form.refresh_token, &source).await?;
    Ok((StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response())
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    Doc::new("Sign out").answers_empty(StatusCode::NO_CONTENT, "The session is ended, if there was one")
}
