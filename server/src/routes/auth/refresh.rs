//! `POST /auth/refresh`: a refresh token for the next pair.

use super::super::body;
use super::super::problem::Refused;
use super::{PairAnswer, RefreshForm, answer};
use crate::openapi::Doc;
use crate::router::App;
use axum::extract::{Request, State};
use axum::response::Response;
use bmap_protocol::code::Code;
use http::StatusCode;

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

/// How the document describes it.
pub fn post_doc() -> Doc {
    Doc::new("A refresh token for the next pair")
        .about("Each refresh token is used once. One that comes back 10 s or more after it was used ends its session.")
        .takes::<RefreshForm>()
        .answers::<PairAnswer>(StatusCode::OK, "An access token and the next refresh token")
        .refuses(Code::InvalidToken)
        .refuses(Code::UserInactive)
}
