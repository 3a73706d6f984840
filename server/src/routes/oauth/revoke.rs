//! `POST /oauth/revoke`: token revocation (RFC 7009).

use super::form::Form;
use crate::http::app::App;
use crate::http::caller::ByForm;
use crate::http::openapi::doc::Doc;
use crate::http::problem::RouteError;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bmap_issuer::request_limits::RateKey;
use bmap_model::account::opaque::{Kind, OpaqueToken};
use bmap_model::audit::Action;
use bmap_model::issuer_code::IssuerCode;
use bmap_protocol::code::Code;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use utoipa::ToSchema;

/// Revokes a token: 200, also for one that is not known (§2.2). A refresh token needs no other proof; for everything else the client that the token
/// was issued to authenticates.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(request: ByForm, State(app): State<App>) -> Result<Response, RouteError> {
    let form = Form::parse(&request.head.headers, &request.body)?;
    match form.optional("token").filter(|token| OpaqueToken::parse(Kind::Refresh, token).is_some()) {
        Some(token) => {
            let source = request.source(Action::UserSignOut);
            request.no_credential(form.secret())?;
            if let Some(user) = app.accounts.user_of_refresh(token).await? {
                app.count(RateKey::User(&user))?;
            }
            app.accounts.sign_out(token, &source).await?;
        }
        None => {
            let caller = request.caller(form.secret(), Action::TokenRevoke).await?;
            app.issuer.revoke(&caller, form.text("token")?).await?;
        }
    }
    Ok((StatusCode::OK, [(CACHE_CONTROL, "no-store")]).into_response())
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    Doc::new("Revoke a token")
        .about(
            "Of an API key: its tool tokens, with the session that they are renewed in, and its tickets. Without a credential: a refresh token, \
             which ends its session as `/auth/logout` does. A token that is not known is answered alike.",
        )
        .takes_form::<RevocationForm>()
        .answers_empty(StatusCode::OK, "It is revoked, or was none")
        .refuses(Code::InvalidGrant)
        .refuses(IssuerCode::UnsupportedTokenType)
}

/// The fields of the form.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "a schema: the handler reads the form field by field, because a repeated field is refused"
)]
struct RevocationForm {
    /// A tool token, a ticket, or a user's refresh token.
    token: String,
    /// Ignored: a token says what it is (RFC 7009 §2.1).
    token_type_hint: Option<String>,
    /// The API key, where its `client_secret` is beside it.
    client_id: Option<String>,
    /// The API key's secret, in the place of a credential in a header (RFC 6749 §2.3.1).
    client_secret: Option<String>,
}
