//! `POST /auth/refresh`: a refresh token for the next pair.

use super::super::body;
use super::super::problem::Refused;
use super::{RefreshForm, answer};
use crate::router::App;
use axum::extract::{Request, State};
use axum::response::Response;

/// Goes on: 200 with an access token and the next refresh token.
///
/// # Errors
/// [`Refused`].
pub async fn post(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let body = body::read(body).await?;
    let form: RefreshForm = body::json(&parts.headers, &body)?;
    let pair = app.accounts.refresh(&form.refresh_token).await?;
    Ok(answer(&app, &pair))
}
