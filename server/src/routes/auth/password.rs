//! `POST /auth/password`: changes the password of whoever is signed in.

use super::super::problem::Refused;
use super::super::{bearer, body};
use super::password_field;
use crate::router::{App, address};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use serde::Deserialize;
use zeroize::Zeroizing;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PasswordForm {
    current_password: Zeroizing<String>,
    new_password: Zeroizing<String>,
}

/// Changes it: 200 with the number of other sessions, which are ended.
///
/// # Errors
/// [`Refused`].
pub async fn post(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let signed_in = bearer::signed_in(&app, &parts.headers).await?;
    let body = body::read(body).await?;
    let form: PasswordForm = body::json(&parts.headers, &body)?;
    let current = password_field(form.current_password, "current_password")?;
    let new = password_field(form.new_password, "new_password")?;
    let ended = app.accounts.change_password(&signed_in, current, new, address(&parts)).await?;
    let answer = serde_json::json!({ "ended_sessions": ended, "server_time": app.issuer.clock.now().0 });
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}
