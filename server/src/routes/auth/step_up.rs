//! `POST /auth/step-up`: the password, or a fresh sign-in with a provider, for one act that outlives the session.

use super::{StepUpAnswer, password_field};
use crate::http::action;
use crate::http::app::App;
use crate::http::body::SecretJsonForm;
use crate::http::caller::UserCaller;
use crate::http::openapi::doc::Doc;
use crate::http::openapi::grammar;
use crate::http::problem::RouteError;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bmap_model::issuer_code::IssuerCode;
use bmap_protocol::code::Code;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// The password, or the code of a sign-in with `intent=step_up`.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum StepUpForm {
    Password(StepUpByPassword),
    Openid(StepUpByOpenid),
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepUpByPassword {
    #[schema(value_type = grammar::Password)]
    password: Zeroizing<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepUpByOpenid {
    /// The provider's name.
    provider: String,
    #[schema(value_type = String)]
    code: Zeroizing<String>,
    /// RFC 7636: the one whose SHA-256 was the `code_challenge`.
    #[schema(value_type = String, min_length = 43, max_length = 128)]
    code_verifier: Zeroizing<String>,
}

/// Gives one: 200.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(
    UserCaller { signed_in, .. }: UserCaller<action::UserStepUp>,
    State(app): State<App>,
    SecretJsonForm(form): SecretJsonForm<StepUpForm>,
) -> Result<Response, RouteError> {
    let step_up = match form {
        StepUpForm::Password(form) => {
            let password = password_field(form.password, "password")?;
            app.accounts.step_up(&signed_in, password).await?
        }
        StepUpForm::Openid(form) => {
            app.accounts.openid_step(&signed_in.source)?;
            let StepUpByOpenid { provider, code, code_verifier } = form;
            app.openid.step_up(&app.accounts, &signed_in, &provider, &code, &code_verifier).await?
        }
    };
    let text = step_up.0.reveal();
    let answer = StepUpAnswer::of(&text, app.issuer.clock.now());
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    Doc::new("Step up: a one-use token for an act that outlives the session")
        .about(
            "With the account's password, or with the code of a sign-in that was begun with `intent=step_up`, for which the provider has the \
             user sign in once more and says when they did. Good for five minutes, in this session.",
        )
        .answers::<StepUpAnswer<'_>>(StatusCode::OK, "A step-up, for the header `Bmap-Step-Up`")
        .refuses(Code::InvalidCredentials)
        .refuses(Code::RateLimited)
        .refuses(IssuerCode::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_way_and_nothing_else() {
        let read = |text: &str| serde_json::from_str::<StepUpForm>(text).is_ok();
        assert!(read(r#"{"password":"a"}"#) && read(r#"{"provider":"a","code":"b","code_verifier":"c"}"#));
        for bad in ["{}", r#"{"password":"a","provider":"a"}"#, r#"{"code":"b","code_verifier":"c"}"#, "[]"] {
            assert!(!read(bad), "{bad}");
        }
    }
}
