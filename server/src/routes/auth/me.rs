//! `GET /auth/me`: who is signed in.

use super::super::bearer;
use super::super::problem::Refused;
use crate::router::App;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use serde_json::json;

/// The user and the session of an access token; `email` is null for whoever has no password.
///
/// # Errors
/// [`Refused`].
pub async fn get(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let signed_in = bearer::signed_in(&app, request.headers()).await?;
    let (user, session) = (&signed_in.user, &signed_in.session);
    let account = app.accounts.account(&user.id).await?;
    let answer = json!({
        "id": user.id.as_str(),
        "email": account.as_ref().map(|account| account.email.as_str()),
        "created_at": user.created_at.0,
        "session": {
            "id": session.id.as_str(), "created_at": session.created_at.0, "expires_at": session.expires_at.0,
        },
        "server_time": app.issuer.clock.now().0,
    });
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}
