//! `POST /auth/openid/{provider}/link`: another way to sign in, for a user who is signed in.
//!
//! The page sends the browser to `GET /auth/openid/{provider}?intent=link…`, and brings the code that comes back here, with
//! the access token. So an identity is linked by the page that began it, to the user who is signed in there: a link that an
//! attacker made, followed by mistake, ends at a page that has no verifier for it.

use crate::http::action;
use crate::http::app::App;
use crate::http::body::SecretJsonForm;
use crate::http::caller::UserCaller;
use crate::http::openapi::doc::Doc;
use crate::http::problem::RouteError;
use crate::routes::auth::me::IdentityAnswer;
use crate::routes::auth::openid::{ProviderName, SignInCodeForm};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bmap_model::issuer_code::IssuerCode;
use bmap_protocol::code::Code;
use http::StatusCode;
use http::header::CACHE_CONTROL;

/// Links: 200 with the identity.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(
    UserCaller { signed_in, .. }: UserCaller<action::OpenidLink>,
    State(app): State<App>,
    ProviderName(provider): ProviderName,
    SecretJsonForm(form): SecretJsonForm<SignInCodeForm>,
) -> Result<Response, RouteError> {
    app.accounts.openid_step(&signed_in.source)?;
    let identity = app.openid.link(&app.accounts, &signed_in, &provider, &form.code, &form.code_verifier).await?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(IdentityAnswer::of(&app, &identity))).into_response())
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    Doc::new("Link an identity of an OpenID provider")
        .about("With the code of a sign-in that was begun with `intent=link`, within 15 minutes of signing in.")
        .answers::<IdentityAnswer>(StatusCode::OK, "It is linked")
        .refuses(IssuerCode::InvalidState)
        .refuses(Code::InvalidCredentials)
        .refuses(Code::RateLimited)
}
