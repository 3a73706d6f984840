//! `POST /auth/openid/{provider}/password`: a first password, for a user who has none to show.
//!
//! The page sends the browser to `GET /auth/openid/{provider}?intent=confirm…`, where the provider asks for a fresh sign-in, and
//! brings the code that comes back here, with the access token.

use super::without_password;
use crate::http::action;
use crate::http::app::App;
use crate::http::body::SecretJsonForm;
use crate::http::caller::UserCaller;
use crate::http::openapi::doc::Doc;
use crate::http::openapi::grammar;
use crate::http::problem::RouteError;
use crate::routes::auth::openid::ProviderName;
use crate::routes::auth::password_field;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bmap_issuer::error::IssuerError;
use bmap_model::account::email::EmailAddress;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// A first password, and a fresh sign-in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FirstPasswordForm {
    #[schema(value_type = grammar::EmailAddress)]
    email: String,
    #[schema(value_type = grammar::NewPassword)]
    new_password: Zeroizing<String>,
    #[schema(value_type = String)]
    code: Zeroizing<String>,
    /// RFC 7636: the one whose SHA-256 was the `code_challenge`.
    #[schema(value_type = String, min_length = 43, max_length = 128)]
    code_verifier: Zeroizing<String>,
}

#[derive(Serialize, ToSchema)]
struct FirstPasswordAsked {
    /// `confirmation_sent`
    status: &'static str,
    server_time: i64,
}

/// Asks for a first password: 202, whether or not the address has an account.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(
    UserCaller { signed_in, .. }: UserCaller<action::PasswordFirstAsk>,
    State(app): State<App>,
    ProviderName(provider): ProviderName,
    SecretJsonForm(form): SecretJsonForm<FirstPasswordForm>,
) -> Result<Response, RouteError> {
    let email = EmailAddress::parse(&form.email).map_err(|_| IssuerError::Malformed { field: "email" })?;
    let password = password_field(form.new_password, "new_password")?;
    app.accounts.openid_step(&signed_in.source)?;
    app.accounts.must_have_no_password(&signed_in).await?;
    app.openid.confirm(&signed_in, &provider, &form.code, &form.code_verifier).await?;
    app.accounts.ask_for_first_password(&signed_in, &email, password).await?;
    let answer = FirstPasswordAsked { status: "confirmation_sent", server_time: app.issuer.clock.now().0 };
    Ok((StatusCode::ACCEPTED, [(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    without_password(Doc::new("Ask for a first password"))
        .about(
            "For users without a password. The code is of a sign-in with `intent=confirm`. A link goes to the address; followed \
             with the new password, it makes both of them the account's.",
        )
        .answers::<FirstPasswordAsked>(StatusCode::ACCEPTED, "A mail is on its way to the address")
}
