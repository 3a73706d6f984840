//! `GET /auth/openid/{provider}/callback`: where a provider sends the browser back to (RFC 6749 §4.1.2, RFC 9207).

use crate::http::action;
use crate::http::app::App;
use crate::http::caller::OwnProof;
use crate::http::openapi::doc::Doc;
use crate::http::problem::{PageError, RouteError};
use crate::http::query::QueryFields;
use crate::http::query::QueryOf;
use crate::routes::auth::openid::{Browser, ProviderName, see_other};
use axum::extract::State;
use axum::response::Response;
use bmap_issuer::error::IssuerError;
use bmap_issuer::openid::service::{Return, WayOn};
use bmap_model::audit::Action;
use bmap_protocol::code::Code;
use http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// The parameters that a provider may send along; others are not read.
#[derive(Deserialize, IntoParams)]
pub(crate) struct CallbackQuery {
    /// `state`, which the browser took to the provider.
    state: String,
    /// If the provider agrees.
    code: Option<String>,
    /// If it does not.
    error: Option<String>,
    /// The provider's issuer URL.
    iss: Option<String>,
}

impl QueryFields for CallbackQuery {
    /// A member that stands there twice is no answer of a provider.
    fn malformed() -> IssuerError {
        IssuerError::Malformed { field: "state" }
    }
}

/// Sends the browser on to the page that it came from, with a code or an error in the fragment.
///
/// # Errors
/// [`RouteError`] where there is no page to tell: an unknown or used `state`, or another browser's.
pub(crate) async fn get(
    OwnProof { source, .. }: OwnProof<action::Request>,
    State(app): State<App>,
    ProviderName(provider): ProviderName,
    QueryOf(query): QueryOf<CallbackQuery>,
    Browser(browser): Browser,
) -> Result<Response, RouteError> {
    source.does(Action::OpenidReturn);
    app.accounts.openid_step(&source)?;
    let CallbackQuery { state, code, error, iss } = query;
    let WayOn { to, refused } =
        app.openid.take_back(&provider, browser, Return { state, code, error, iss }, &source).await?;
    let mut response = see_other(&to, None)?;
    if let Some(refusal) = refused {
        response.extensions_mut().insert(PageError(Arc::new(refusal)));
    }
    Ok(response)
}

/// The document of [`get`].
pub(crate) fn get_doc() -> Doc {
    Doc::new("Where an OpenID provider sends the browser back to")
        .about("Register this URL at the provider as redirect URI. Only the browser that was sent there is let on.")
        .answers_empty(StatusCode::SEE_OTHER, "To the page, with `#code=…` or `#error=access_denied|sign_in_failed`")
        .with_header("Location", "The page's `return_to` with a fragment")
        .refuses(Code::InvalidCredentials)
        .refuses(Code::RateLimited)
}
