//! `POST /auth/openid/{provider}/link` and `DELETE /auth/openid/{provider}`: another way to sign in, for a user who is
//! signed in, and one less.
//!
//! The page sends the browser to `GET /auth/openid/{provider}?intent=link…`, and brings the code that comes back here, with
//! the access token. So an identity is linked by the page that began it, to the user who is signed in there: a link that an
//! attacker made, followed by mistake, ends at a page that has no verifier for it.

use super::super::super::problem::Refused;
use super::super::super::{bearer, body};
use super::super::me::IdentityAnswer;
use super::SignInCodeForm;
use crate::domain::audit::Action;
use crate::domain::issuer_code::IssuerCode;
use crate::openapi::Doc;
use crate::router::App;
use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use bmap_protocol::code::Code;
use http::StatusCode;
use http::header::CACHE_CONTROL;

/// Links: 200 with the identity.
///
/// # Errors
/// [`Refused`].
pub async fn post(State(app): State<App>, Path(provider): Path<String>, request: Request) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let signed_in = bearer::signed_in(&app, &parts, Action::OpenidLink).await?;
    let body = body::read(body).await?;
    let form: SignInCodeForm = body::json(&parts.headers, &body)?;
    app.accounts.openid_step(&signed_in.source)?;
    let identity = app.openid.link(&app.accounts, &signed_in, &provider, &form.code, &form.code_verifier).await?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(IdentityAnswer::of(&app, &identity))).into_response())
}

/// Unlinks: 204.
///
/// # Errors
/// [`Refused`], also where it is the last way to sign in.
pub async fn delete(
    State(app): State<App>,
    Path(provider): Path<String>,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, _) = request.into_parts();
    let signed_in = bearer::signed_in(&app, &parts, Action::OpenidUnlink).await?;
    app.openid.unlink(&signed_in, &provider).await?;
    Ok((StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response())
}

/// How the document describes it.
pub fn post_doc() -> Doc {
    Doc::new("Link an identity of an OpenID provider")
        .about("With the code of a sign-in that was begun with `intent=link`, within 15 minutes of signing in.")
        .path_part("provider", "The provider's name")
        .takes::<SignInCodeForm>()
        .answers::<IdentityAnswer>(StatusCode::OK, "It is linked")
        .refuses(IssuerCode::NotFound)
        .refuses(IssuerCode::InvalidState)
        .refuses(Code::InvalidCredentials)
        .refuses(Code::RateLimited)
}

/// How the document describes it.
pub fn delete_doc() -> Doc {
    Doc::new("Unlink from an OpenID provider")
        .path_part("provider", "The provider's name")
        .answers_empty(StatusCode::NO_CONTENT, "It is unlinked")
        .refuses(IssuerCode::NotFound)
        .refuses(IssuerCode::InvalidState)
}
