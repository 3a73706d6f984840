//! `POST /oauth/introspect`: token introspection (RFC 7662).

use super::form::Form;
use crate::http::app::App;
use crate::http::caller::ByForm;
use crate::http::openapi::doc::Doc;
use crate::http::problem::RouteError;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bmap_model::audit::Action;
use bmap_protocol::code::Code;
use bmap_protocol::origin::Origin;
use bmap_protocol::token::{Claims, Confirmation};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use utoipa::ToSchema;

/// Says whether a token is active, and what it holds, to the API key that it was granted to and to verifiers of its tool.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(request: ByForm, State(app): State<App>) -> Result<Response, RouteError> {
    let form = Form::parse(&request.head.headers, &request.body)?;
    let viewer = request.viewer(form.secret(), Action::Request).await?;
    let claims = app.issuer.introspect(form.text("token")?, &viewer).await?;
    let headers = [(CACHE_CONTROL, "no-store")];
    Ok(match &claims {
        Some(claims) => (headers, Json(ActiveToken::of(claims))).into_response(),
        None => (headers, Json(InactiveToken { active: false })).into_response(),
    })
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    Doc::new("Whether a token is active")
        .about(
            "For the API key that a tool token was granted to, and for verifiers of its tool: these sign with their link key (profile §13), with \
             `node` in the query. Of any other token, of one that has ended or was revoked, and of any other text it says `{\"active\":false}` \
             alike.",
        )
        .or_link_key()
        .takes_form::<IntrospectionForm>()
        .answers::<IntrospectionAnswer<'_>>(StatusCode::OK, "What an active token holds; of any other, that it is not active")
        .refuses(Code::ToolDenied)
}

/// The fields of the form.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "a schema: the handler reads the form field by field, because a repeated field is refused"
)]
struct IntrospectionForm {
    /// A tool token.
    token: String,
    /// Ignored: a token says what it is (RFC 7662 §2.1).
    token_type_hint: Option<String>,
    /// The API key, where its `client_secret` is beside it.
    client_id: Option<String>,
    /// The API key's secret, in the place of a credential in a header (RFC 6749 §2.3.1).
    client_secret: Option<String>,
}

/// The endpoint's answer.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "a schema: the two answers are written where they are made")]
enum IntrospectionAnswer<'a> {
    Active(Box<ActiveToken<'a>>),
    Inactive(InactiveToken),
}

/// A token that is not active, or not the caller's.
#[derive(Serialize, ToSchema)]
struct InactiveToken {
    active: bool,
}

/// An active token (RFC 7662 §2.2), with the claims of the profile (§3). Times are seconds since 1970.
#[derive(Serialize, ToSchema)]
struct ActiveToken<'a> {
    active: bool,
    scope: &'a str,
    client_id: &'a str,
    token_type: &'static str,
    exp: u64,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<u64>,
    sub: &'a str,
    aud: &'a str,
    iss: &'a str,
    jti: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embed_origin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_user: Option<&'a str>,
    asr: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<ConfirmationAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a str>,
}

/// The key that a token's requests are signed with (RFC 7800).
#[derive(Serialize, ToSchema)]
struct ConfirmationAnswer {
    kid: String,
}

impl<'a> ActiveToken<'a> {
    fn of(claims: &'a Claims) -> Self {
        Self {
            active: true,
            scope: &claims.scope,
            client_id: claims.client_id.as_str(),
            token_type: bmap_protocol::SCHEME,
            exp: claims.expires_at,
            iat: claims.issued_at,
            nbf: claims.not_before,
            sub: claims.subject.as_str(),
            aud: claims.audience.as_str(),
            iss: claims.issuer.as_str(),
            jti: &claims.id,
            origin: claims.origin.as_ref().map(Origin::as_str),
            embed_origin: claims.embed_origin.as_ref().map(Origin::as_str),
            end_user: claims.end_user.as_deref(),
            asr: claims.assurance.as_str(),
            cnf: match &claims.confirmation {
                Confirmation::Session { tool, epoch } => {
                    Some(ConfirmationAnswer { kid: Confirmation::session_kid(tool, *epoch) })
                }
                _ => None,
            },
            sid: claims.session.as_deref(),
        }
    }
}
