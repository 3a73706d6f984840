//! `POST /auth/deactivate`: a signed-in user gives up their own account.

use super::password_field;
use crate::http::action;
use crate::http::app::App;
use crate::http::body::SecretJsonForm;
use crate::http::caller::UserCaller;
use crate::http::openapi::doc::Doc;
use crate::http::openapi::grammar;
use crate::http::problem::RouteError;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bmap_model::issuer_code::IssuerCode;
use bmap_protocol::code::Code;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// The account's password, once more.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeactivateForm {
    #[schema(value_type = grammar::Password)]
    password: Zeroizing<String>,
}

/// Deactivates the account: 204. Every session ends, its API keys and the renewal of its tokens stop working; an admin can
/// activate it again.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(
    user: UserCaller<action::UserDeactivate>,
    State(app): State<App>,
    SecretJsonForm(form): SecretJsonForm<DeactivateForm>,
) -> Result<Response, RouteError> {
    let password = password_field(form.password, "password")?;
    app.accounts.deactivate(&user.signed_in, password).await?;
    Ok((StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response())
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    Doc::new("Deactivate one's own account")
        .about("Ends every session; API keys and the renewal of tokens stop at once. Only an admin brings it back.")
        .answers_empty(StatusCode::NO_CONTENT, "It is deactivated")
        .refuses(Code::InvalidCredentials)
        .refuses(Code::RateLimited)
        .refuses(IssuerCode::InvalidState)
}
