//! `POST /api-keys/revoke`: revokes in one call the keys that a change or reset of the password listed.

use super::super::auth::page;
use crate::http::action;
use crate::http::app::App;
use crate::http::body::JsonOrPageForm;
use crate::http::caller::OwnProof;
use crate::http::openapi::doc::Doc;
use crate::http::openapi::grammar;
use crate::http::problem::RouteError;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bmap_issuer::account::key_review::MAX_REVOKED;
use bmap_issuer::error::IssuerError;
use bmap_issuer::keys::form::invalid;
use bmap_model::account::opaque::{Kind, OpaqueToken};
use bmap_model::issuer_code::IssuerCode;
use bmap_protocol::code::Code;
use bmap_protocol::ids::ApiKeyId;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// The answer's `revoke_token`, and the keys that are meant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevokeKeysForm {
    #[schema(value_type = String, pattern = "^bmv_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$")]
    token: Zeroizing<String>,
    /// Ids of keys; every listed one where it is left out.
    #[schema(value_type = Option<Vec<grammar::KeyId>>, max_items = 100)]
    keys: Option<Vec<String>>,
}

/// The page's form.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevokeKeysPageForm {
    #[schema(value_type = String, pattern = "^bmv_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$")]
    token: Zeroizing<String>,
}

#[derive(Serialize, ToSchema)]
struct RevokedKeys {
    /// The keys that were not revoked before.
    revoked: Vec<String>,
    server_time: i64,
}

/// Revokes them: 200 with their ids. A second time revokes nothing more.
///
/// # Errors
/// [`RouteError`] for JSON; a form is answered with a page.
pub(crate) async fn post(
    OwnProof { source, .. }: OwnProof<action::ApiKeyRevoke>,
    State(app): State<App>,
    form: JsonOrPageForm<RevokeKeysForm, RevokeKeysPageForm>,
) -> Result<Response, RouteError> {
    let form = match form {
        JsonOrPageForm::Json(form) => form,
        JsonOrPageForm::Page(Err(refusal)) => return Ok(page::keys_not_revoked(refusal, None)),
        JsonOrPageForm::Page(Ok(form)) => {
            return Ok(match app.accounts.revoke_reviewed(&form.token, None, &source).await {
                Ok(revoked) => page::done("Revoked", &format!("{} API keys do not work any more.", revoked.len())),
                Err(refusal) => {
                    let token = OpaqueToken::parse(Kind::KeyReview, &form.token).map(|token| token.reveal());
                    page::keys_not_revoked(refusal, token.as_ref().map(|token| token.as_str()))
                }
            });
        }
    };
    let keys = form.keys.as_deref().map(ids).transpose()?;
    let revoked = app.accounts.revoke_reviewed(&form.token, keys, &source).await?;
    let revoked = revoked.iter().map(ToString::to_string).collect();
    let answer = RevokedKeys { revoked, server_time: app.issuer.clock.now().0 };
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    Doc::new("Revoke the keys that a change or reset of the password listed")
        .about(
            "With the answer's `revoke_token`, which works for a day; all of the listed keys, or those that are named.",
        )
        .answers::<RevokedKeys>(StatusCode::OK, "They are revoked: to JSON with JSON, to a form with a page")
        .answers_text(StatusCode::OK, "A page that says so, to a form", "text/html")
        .answers_text(StatusCode::BAD_REQUEST, "A page that says what is wrong, to a form", "text/html")
        .answers_text(StatusCode::UNAUTHORIZED, "A page that says what is wrong, to a form", "text/html")
        .answers_text(StatusCode::SERVICE_UNAVAILABLE, "A page that says what is wrong, to a form", "text/html")
        .refuses(Code::InvalidCredentials)
        .refuses(IssuerCode::NotFound)
}

fn ids(texts: &[String]) -> Result<Vec<ApiKeyId>, IssuerError> {
    if texts.len() > MAX_REVOKED {
        return Err(invalid("keys", format!("at most {MAX_REVOKED}")));
    }
    let id = |text: &String| {
        ApiKeyId::parse(text).map_err(|_| invalid("keys", "ids of API keys: bmk_ and 32 hexadecimal digits"))
    };
    texts.iter().map(id).collect()
}
