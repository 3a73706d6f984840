//! `GET /auth/openid/{provider}/callback`: where a provider sends the browser back to (RFC 6749 §4.1.2, RFC 9207).

use super::super::super::problem::{Refused, RefusedPage};
use super::{browser, see_other};
use crate::domain::audit::Action;
use crate::domain::openid::service::{Return, WayOn};
use crate::domain::refusal::Refusal;
use crate::openapi::Doc;
use crate::router::{App, source};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::response::Response;
use bmap_protocol::code::Code;
use http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// The parameters that a provider may send along; others are not read.
#[derive(Deserialize, IntoParams)]
pub struct CallbackQuery {
    /// `state`, which the browser took to the provider.
    state: String,
    /// If the provider agrees.
    code: Option<String>,
    /// If it does not.
    error: Option<String>,
    /// The provider's issuer URL.
    iss: Option<String>,
}

/// Sends the browser on to the page that it came from, with a code or an error in the fragment.
///
/// # Errors
/// [`Refused`] where there is no page to tell: an unknown or used `state`, or another browser's.
pub async fn get(
    State(app): State<App>,
    Path(provider): Path<String>,
    query: Result<Query<CallbackQuery>, QueryRejection>,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, _) = request.into_parts();
    // One that stands there twice is no answer of a provider.
    let Ok(Query(query)) = query else { return Err(Refusal::Malformed { field: "state" }.into()) };
    let source = source(&parts, Action::OpenidReturn);
    app.accounts.openid_step(&source)?;
    let CallbackQuery { state, code, error, iss } = query;
    let browser = browser(&app.openid, &parts.headers);
    let WayOn { to, refused } =
        app.openid.take_back(&provider, browser, Return { state, code, error, iss }, &source).await?;
    let mut response = see_other(&to, None)?;
    if let Some(refusal) = refused {
        response.extensions_mut().insert(RefusedPage(Arc::new(refusal)));
    }
    Ok(response)
}

/// How the document describes it.
pub fn get_doc() -> Doc {
    Doc::new("Where an OpenID provider sends the browser back to")
        .about("Register this URL at the provider as redirect URI. Only the browser that was sent there is let on.")
        .path_part("provider", "The provider's name")
        .query::<CallbackQuery>()
        .answers_empty(StatusCode::SEE_OTHER, "To the page, with `#code=…` or `#error=access_denied|sign_in_failed`")
        .with_header("Location", "The page's `return_to` with a fragment")
        .refuses(crate::domain::issuer_code::IssuerCode::NotFound)
        .refuses(Code::InvalidCredentials)
        .refuses(Code::RateLimited)
}
