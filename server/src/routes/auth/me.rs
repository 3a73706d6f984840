//! `GET /auth/me`: who is signed in.

use super::super::bearer;
use super::super::problem::Refused;
use crate::domain::audit::Action;
use crate::openapi::Doc;
use crate::router::App;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use utoipa::ToSchema;

/// Who is signed in.
#[derive(Serialize, ToSchema)]
struct Me<'a> {
    id: &'a str,
    /// Null for whoever has no password.
    #[schema(required)]
    email: Option<&'a str>,
    created_at: i64,
    session: Session<'a>,
    server_time: i64,
}

#[derive(Serialize, ToSchema)]
struct Session<'a> {
    id: &'a str,
    created_at: i64,
    expires_at: i64,
}

/// The user and the session of an access token; `email` is null for whoever has no password.
///
/// # Errors
/// [`Refused`].
pub async fn get(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let (parts, _) = request.into_parts();
    let signed_in = bearer::signed_in(&app, &parts, Action::Request).await?;
    let (user, session) = (&signed_in.user, &signed_in.session);
    let account = app.accounts.account(&user.id).await?;
    let answer = Me {
        id: user.id.as_str(),
        email: account.as_ref().map(|account| account.email.as_str()),
        created_at: user.created_at.0,
        session: Session {
            id: session.id.as_str(),
            created_at: session.created_at.0,
            expires_at: session.expires_at.0,
        },
        server_time: app.issuer.clock.now().0,
    };
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// How the document describes it.
pub fn get_doc() -> Doc {
    Doc::new("Who is signed in").answers::<Me>(StatusCode::OK, "The user and the session of the access token")
}
