//! `POST /auth/refresh`: a refresh token for the next pair.

use super::{PairAnswer, RefreshForm, answer};
use crate::http::action;
use crate::http::app::App;
use crate::http::body::SecretJsonForm;
use crate::http::caller::OwnProof;
use crate::http::openapi::doc::Doc;
use crate::http::problem::RouteError;
use axum::extract::State;
use axum::response::Response;
use bmap_issuer::error::IssuerError;
use bmap_issuer::request_limits::RateKey;
use bmap_model::audit::Source;
use bmap_protocol::code::Code;
use http::StatusCode;

/// Goes on: 200 with an access token and the next refresh token.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(
    OwnProof { source, .. }: OwnProof<action::SessionRefresh>,
    State(app): State<App>,
    SecretJsonForm(form): SecretJsonForm<RefreshForm>,
) -> Result<Response, RouteError> {
    Ok(refresh(&app, &form.refresh_token, &source).await?)
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    Doc::new("A refresh token for the next pair")
        .about("Each refresh token is used once. One that comes back 10 s or more after it was used ends its session.")
        .answers::<PairAnswer>(StatusCode::OK, "An access token and the next refresh token")
        .refuses(Code::InvalidToken)
        .refuses(Code::UserInactive)
}

/// The next pair. Counted to its user before it is used up: a client that is refused here may come again with the same
/// token.
pub(in crate::routes) async fn refresh(app: &App, token: &str, source: &Source) -> Result<Response, IssuerError> {
    if let Some(user) = app.accounts.user_of_refresh(token).await? {
        app.count(RateKey::User(&user))?;
    }
    let pair = app.accounts.refresh(token, source).await?;
    Ok(answer(app, &pair))
}
