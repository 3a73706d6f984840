//! `POST /auth/refresh`: a refresh token for the next pair.

use super::super::body;
use super::super::problem::Refused;
use super::{PairAnswer, RefreshForm, answer};
use crate::domain::audit::{Action, Source};
use crate::domain::refusal::Refusal;
use crate::domain::request_limits::RateKey;
use crate::openapi::Doc;
use crate::router::{App, source};
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
    let source = source(&parts, Action::SessionRefresh);
    let body = body::read(body).await?;
    let form: RefreshForm = body::json(&parts.headers, &body)?;
    Ok(refresh(&app, &form.refresh_token, &source).await?)
}

/// The next pair. Counted to its user before it is used up: a client that is refused here may come again with the same
/// token.
pub(in crate::routes) async fn refresh(app: &App, token: &str, source: &Source) -> Result<Response, Refusal> {
    if let Some(user) = app.accounts.user_of_refresh(token).await? {
        app.count(RateKey::User(&user))?;
    }
    let pair = app.accounts.refresh(token, source).await?;
    Ok(answer(app, &pair))
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
