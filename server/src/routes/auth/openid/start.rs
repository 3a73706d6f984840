//! `GET /auth/openid/{provider}`: sends a browser to a provider.

use super::super::super::problem::Refused;
use super::{browser, see_other, set_cookie};
use crate::domain::audit::Action;
use crate::domain::openid::flow::Intent;
use crate::domain::openid::service::Wish;
use crate::domain::refusal::Refusal;
use crate::openapi::Doc;
use crate::router::{App, source};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::response::Response;
use bmap_protocol::code::Code;
use http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

/// A page's parameters.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct StartQuery {
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

/// Sends the browser on, with the cookie by which it is known when it comes back.
///
/// # Errors
/// [`Refused`].
pub async fn get(
    State(app): State<App>,
    Path(provider): Path<String>,
    query: Result<Query<StartQuery>, QueryRejection>,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, _) = request.into_parts();
    let Ok(Query(query)) = query else { return Err(Refusal::Malformed { field: "query" }.into()) };
    app.accounts.openid_step(&source(&parts, Action::UserSignIn))?;
    let wish = Wish {
        intent: query.intent.unwrap_or(Intent::SignIn),
        return_to: &query.return_to,
        challenge: &query.code_challenge,
    };
    let begun = app.openid.begin(&provider, wish, browser(&app.openid, &parts.headers)).await?;
    let cookie = set_cookie(&app.openid, &begun.browser)?;
    Ok(see_other(begun.to.as_str(), Some(cookie))?)
}

/// How the document describes it.
pub fn get_doc() -> Doc {
    Doc::new("Sign in with an OpenID provider")
        .about("A page sends the browser here. It comes back to `return_to` with `#code=…` or `#error=…`.")
        .path_part("provider", "The provider's name")
        .query::<StartQuery>()
        .answers_empty(StatusCode::SEE_OTHER, "To the provider")
        .with_header("Location", "The provider's authorization endpoint")
        .with_header("Set-Cookie", "Binds the sign-in to this browser")
        .refuses(crate::domain::issuer_code::IssuerCode::NotFound)
        .refuses(Code::RateLimited)
}
