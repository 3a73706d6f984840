//! `POST /auth/openid/{provider}/deactivate`: for a user who has no password to show, like [`password`](super::password).

use super::without_password;
use crate::http::action;
use crate::http::app::App;
use crate::http::body::SecretJsonForm;
use crate::http::caller::UserCaller;
use crate::http::openapi::doc::Doc;
use crate::http::problem::RouteError;
use crate::routes::auth::openid::{ProviderName, SignInCodeForm};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CACHE_CONTROL;

/// Deactivates the user: 204.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(
    UserCaller { signed_in, .. }: UserCaller<action::UserDeactivate>,
    State(app): State<App>,
    ProviderName(provider): ProviderName,
    SecretJsonForm(form): SecretJsonForm<SignInCodeForm>,
) -> Result<Response, RouteError> {
    app.accounts.openid_step(&signed_in.source)?;
    app.accounts.must_have_no_password(&signed_in).await?;
    app.openid.confirm(&signed_in, &provider, &form.code, &form.code_verifier).await?;
    app.accounts.deactivate_confirmed(&signed_in).await?;
    Ok((StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response())
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    without_password(Doc::new("Deactivate one's own account, without a password"))
        .about(
            "For users without a password, as `POST /auth/deactivate` is for those with one. The code is of a sign-in with \
             `intent=confirm`.",
        )
        .answers_empty(StatusCode::NO_CONTENT, "It is deactivated")
}
