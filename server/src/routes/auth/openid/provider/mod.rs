//! `GET /auth/openid/{provider}`: sends a browser to a provider. `DELETE` of it unlinks the user who is signed in.

pub(crate) mod callback;
pub(crate) mod deactivate;
pub(crate) mod link;
pub(crate) mod password;

use super::{Browser, ProviderName, see_other, set_cookie};
use crate::http::action;
use crate::http::app::App;
use crate::http::caller::OwnProof;
use crate::http::caller::UserCaller;
use crate::http::openapi::doc::Doc;
use crate::http::problem::RouteError;
use crate::http::query::{QueryFields, QueryOf};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bmap_issuer::openid::service::Wish;
use bmap_model::audit::Action;
use bmap_model::issuer_code::IssuerCode;
use bmap_model::openid::flow::Intent;
use bmap_protocol::code::Code;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::Deserialize;
use utoipa::IntoParams;

/// A page's parameters.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartQuery {
    /// Where the browser goes on: a URL on one of `sign_in_origins`, without a fragment.
    #[param(max_length = 2048)]
    return_to: String,
    /// RFC 7636, `S256`: the SHA-256 of a verifier that the page keeps.
    #[param(min_length = 43, max_length = 43)]
    code_challenge: String,
    /// `sign_in`; for a user who is signed in `link`, `confirm` that it is still they, or `step_up`.
    #[param(inline)]
    intent: Option<Intent>,
}

impl QueryFields for StartQuery {}

/// Sends the browser on, with the cookie by which it is known when it comes back.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn get(
    OwnProof { source, .. }: OwnProof<action::Request>,
    State(app): State<App>,
    ProviderName(provider): ProviderName,
    QueryOf(query): QueryOf<StartQuery>,
    Browser(browser): Browser,
) -> Result<Response, RouteError> {
    source.does(Action::UserSignIn);
    app.accounts.openid_step(&source)?;
    let wish = Wish {
        intent: query.intent.unwrap_or(Intent::SignIn),
        return_to: &query.return_to,
        challenge: &query.code_challenge,
    };
    let begun = app.openid.begin(&provider, wish, browser).await?;
    let cookie = set_cookie(&app.openid, &begun.browser)?;
    Ok(see_other(begun.to.as_str(), Some(cookie))?)
}

/// The document of [`get`].
pub(crate) fn get_doc() -> Doc {
    Doc::new("Sign in with an OpenID provider")
        .about("A page sends the browser here. It comes back to `return_to` with `#code=…` or `#error=…`.")
        .answers_empty(StatusCode::SEE_OTHER, "To the provider")
        .with_header("Location", "The provider's authorization endpoint")
        .with_header("Set-Cookie", "Binds the sign-in to this browser")
        .refuses(Code::RateLimited)
}

/// Unlinks: 204.
///
/// # Errors
/// [`RouteError`], also where it is the last way to sign in.
pub(crate) async fn delete(
    UserCaller { signed_in, .. }: UserCaller<action::OpenidUnlink>,
    State(app): State<App>,
    ProviderName(provider): ProviderName,
) -> Result<Response, RouteError> {
    app.openid.unlink(&signed_in, &provider).await?;
    Ok((StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response())
}

/// The document of [`delete`].
pub(crate) fn delete_doc() -> Doc {
    Doc::new("Unlink from an OpenID provider")
        .answers_empty(StatusCode::NO_CONTENT, "It is unlinked")
        .refuses(IssuerCode::InvalidState)
}

/// What both acts of users without a password refuse with.
fn without_password(doc: Doc) -> Doc {
    doc.refuses(IssuerCode::InvalidState).refuses(Code::InvalidCredentials).refuses(Code::RateLimited)
}
