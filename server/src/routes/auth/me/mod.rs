//! `GET /auth/me`: who is signed in.

pub(crate) mod tools;

use crate::http::action;
use crate::http::app::App;
use crate::http::caller::UserCaller;
use crate::http::openapi::doc::Doc;
use crate::http::problem::RouteError;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bmap_model::openid::Identity;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use utoipa::ToSchema;

/// Who is signed in.
#[derive(Serialize, ToSchema)]
struct Me<'a> {
    id: &'a str,
    /// Null for a user without a password.
    #[schema(required)]
    email: Option<&'a str>,
    created_at: i64,
    /// Identities of OpenID providers that sign in this user.
    identities: Vec<IdentityAnswer>,
    session: Session<'a>,
    server_time: i64,
}

/// An identity of an OpenID provider.
#[derive(Serialize, ToSchema)]
pub(super) struct IdentityAnswer {
    /// The provider's name; null for one that is not configured any more.
    #[schema(required)]
    provider: Option<String>,
    issuer: String,
    subject: String,
    /// An address that the provider has checked. No user is found by it.
    #[schema(required)]
    email: Option<String>,
    created_at: i64,
    #[schema(required)]
    signed_in_at: Option<i64>,
}

impl IdentityAnswer {
    pub(super) fn of(app: &App, identity: &Identity) -> Self {
        let provider = app.openid.providers().find(|provider| provider.issuer.as_str() == identity.key.issuer);
        Self {
            provider: provider.map(|provider| provider.name.as_str().to_owned()),
            issuer: identity.key.issuer.clone(),
            subject: identity.key.subject.clone(),
            email: identity.email.as_ref().map(|email| email.as_str().to_owned()),
            created_at: identity.created_at.0,
            signed_in_at: identity.signed_in_at.map(|at| at.0),
        }
    }
}

#[derive(Serialize, ToSchema)]
struct Session<'a> {
    id: &'a str,
    created_at: i64,
    expires_at: i64,
}

/// The user and the session of an access token; `email` is null for a user without a password.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn get(
    UserCaller { signed_in, .. }: UserCaller<action::Request>,
    State(app): State<App>,
) -> Result<Response, RouteError> {
    let (user, session) = (&signed_in.user, &signed_in.session);
    let account = app.accounts.account(&user.id).await?;
    let identities = app.openid.identities(&user.id).await?;
    let answer = Me {
        id: user.id.as_str(),
        email: account.as_ref().map(|account| account.email.as_str()),
        created_at: user.created_at.0,
        identities: identities.iter().map(|identity| IdentityAnswer::of(&app, identity)).collect(),
        session: Session {
            id: session.id.as_str(),
            created_at: session.created_at.0,
            expires_at: session.expires_at.0,
        },
        server_time: app.issuer.clock.now().0,
    };
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// The document of [`get`].
pub(crate) fn get_doc() -> Doc {
    Doc::new("Who is signed in").answers::<Me>(StatusCode::OK, "The user and the session of the access token")
}
