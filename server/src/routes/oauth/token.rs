//! `POST /oauth/token`: the token endpoint (RFC 6749 §3.2, RFC 8693; profile §7).

use super::super::auth::{self, PairAnswer};
use super::form::{Form, page_origin};
use crate::http::app::App;
use crate::http::caller::ByForm;
use crate::http::openapi::doc::Doc;
use crate::http::problem::RouteError;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_issuer::error::IssuerError;
use bmap_issuer::grant::{Granted, TicketGrant};
use bmap_issuer::grant_for_user::UserGrant;
use bmap_issuer::token::capability::MintedCapability;
use bmap_model::audit::Action;
use bmap_protocol::code::Code;
use bmap_protocol::refusal::Refusal;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// The grant of a token exchange (RFC 8693 §2.1).
pub(crate) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// The grant of a capability (profile §10).
pub(crate) const CAPABILITY: &str = "urn:bmap:grant-type:capability";
/// The type of a ticket as a subject token.
pub(crate) const TICKET: &str = "urn:bmap:token-type:ticket";
/// The type of an access token (RFC 8693 §3), for the token that is given and the one that it is given for. Its audience says
/// whether that one is a tool's, which is renewed, or the issuer's own, which a user shows.
pub(crate) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

#[derive(Serialize, ToSchema)]
struct TokenAnswer<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: i64,
    scope: String,
    issued_token_type: &'static str,
    signing_key: &'a str,
    key_id: &'a str,
    tool: ToolAnswer<'a>,
    server_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_key: Option<&'a str>,
}

#[derive(Serialize, ToSchema)]
struct CapabilityAnswer<'a> {
    /// For the query parameter `bmap-cap`, which is the last one.
    capability: &'a str,
    expires_in: i64,
    path_prefix: &'a str,
    scope: String,
    server_time: i64,
}

#[derive(Serialize, ToSchema)]
struct ToolAnswer<'a> {
    id: &'a str,
    base_url: &'a str,
}

/// Grants a token.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn post(request: ByForm, State(app): State<App>) -> Result<Response, RouteError> {
    let headers = &request.head.headers;
    let form = Form::parse(headers, &request.body)?;
    let granted = match (form.text("grant_type")?, form.optional("subject_token_type")) {
        ("client_credentials", _) => {
            let caller = request.caller(form.secret(), Action::TokenGrant).await?;
            app.issuer.grant_direct(&caller, &form.tool()?, form.scope()?, form.encrypt()?).await?
        }
        (TOKEN_EXCHANGE, Some(TICKET)) => {
            let source = request.source(Action::TokenGrant);
            let origin = page_origin(headers)?;
            let ticket = form.text("subject_token")?;
            let tool = form.tool()?;
            let wanted = TicketGrant { tool: &tool, origin: &origin, scope: form.scope()?, encrypt: form.encrypt()? };
            let granted = app.issuer.grant_for_ticket(ticket, wanted, &source).await;
            let granted = granted.map_err(IssuerError::of_grant)?;
            app.counted_before();
            granted
        }
        (TOKEN_EXCHANGE, Some(ACCESS_TOKEN)) => {
            let subject = form.text("subject_token")?;
            let is_for_issuer = app.issuer.unverified_is_for_issuer(subject);
            if is_for_issuer == Some(true) {
                let source = request.source(Action::TokenGrant);
                request.no_credential(form.secret())?;
                let wanted = UserGrant {
                    client: form.client()?,
                    tool: form.tool()?,
                    origin: page_origin(headers)?,
                    scope: form.scope()?,
                    encrypt: form.encrypt()?,
                };
                let signed_in = request.user_of(subject, &source).await.map_err(IssuerError::of_grant)?;
                app.issuer.grant_for_user(&signed_in, wanted).await?
            } else {
                let source = request.source(Action::TokenRenew);
                let current = request.renewable(subject, &source).await;
                let current = current.map_err(|refusal| of_renewal(refusal, is_for_issuer.is_some()))?;
                let (tool, scope, encrypt) = (form.tool()?, form.scope()?, form.encrypt()?);
                app.issuer.renew(&current, &tool, scope, encrypt, &source).await.map_err(IssuerError::of_grant)?
            }
        }
        ("refresh_token", _) => {
            let source = request.source(Action::SessionRefresh);
            request.no_credential(form.secret())?;
            let token = form.text("refresh_token")?;
            return auth::refresh::refresh(&app, token, &source)
                .await
                .map_err(IssuerError::of_grant)
                .map_err(RouteError::from);
        }
        (CAPABILITY, _) => {
            let source = request.source(Action::CapabilityGrant);
            let token = request.tool_token(&source).await?;
            let prefix = form.text("path_prefix")?;
            let minted = app.issuer.grant_capability(&token, prefix, form.scope()?, &source).await;
            return Ok(capability(&app, &minted.map_err(IssuerError::of_grant)?, prefix));
        }
        (TOKEN_EXCHANGE, _) => return Err(IssuerError::Malformed { field: "subject_token_type" }.into()),
        _ => return Err(IssuerError::UnknownGrant.into()),
    };
    Ok(answer(&app, &granted))
}

/// The document of [`post`].
pub(crate) fn post_doc() -> Doc {
    Doc::new("The token endpoint")
        .about(
            "Client credentials: authenticated with an API key. Token exchange of a ticket: from the ticket's page (`Origin`). \
             Token exchange of a tool token: signed with that token's key. Token exchange of a user's access token: from a page \
             (`Origin`) that `client_id` registered. Capability: signed with a tool token's key, for the paths of its tool below \
             `path_prefix`. Refresh token: the next pair, as `/auth/refresh`.",
        )
        .or_tool_token()
        .takes_form::<TokenForm>()
        .answers::<TokenEndpointAnswer<'_>>(StatusCode::OK, "A token and its signing key; a capability; for a refresh token the next pair")
        .refuses(Code::InvalidGrant)
        .refuses(Code::ToolDenied)
        .refuses(Code::OriginDenied)
        .refuses(Code::ScopeDenied)
        .refuses(Code::AssuranceTooLow)
        .refuses(Code::TokenRevoked)
}

/// Where nothing is signed, a text that is no token is a grant that does not hold; a tool token lacks its signature.
fn of_renewal(refusal: IssuerError, is_token: bool) -> IssuerError {
    match refusal {
        IssuerError::Signed(Refusal::Unsigned) if !is_token => IssuerError::Grant(Box::new(IssuerError::OtherSubject)),
        refusal => refusal.of_grant(),
    }
}

/// The endpoint's answer: a tool's token, a capability, or for a refresh token the next pair.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "a schema: the two answers are written where they are made")]
enum TokenEndpointAnswer<'a> {
    Tool(TokenAnswer<'a>),
    Pair(PairAnswer<'a>),
    Capability(CapabilityAnswer<'a>),
}

/// The fields of the form. Which of them a grant needs, the handler says; this is their one description.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "a schema: the handler reads the form field by field, because a repeated field is refused"
)]
struct TokenForm {
    /// `client_credentials`, `urn:ietf:params:oauth:grant-type:token-exchange`, `urn:bmap:grant-type:capability`, or `refresh_token`.
    grant_type: String,
    /// The tool's id; this or `resource`, but for a capability and for `refresh_token`.
    audience: Option<String>,
    /// The tool's base URL (RFC 8707), once. Beside `audience` it has to be that tool's.
    resource: Option<String>,
    /// A ticket, the tool token that is renewed, or a user's access token.
    subject_token: Option<String>,
    /// `urn:bmap:token-type:ticket`, or `urn:ietf:params:oauth:token-type:access_token`.
    subject_token_type: Option<String>,
    /// The API key that registered the page and the tool, for a user's access token; or the one whose `client_secret` is beside it.
    client_id: Option<String>,
    /// The API key's secret, in the place of a credential in a header (RFC 6749 §2.3.1).
    client_secret: Option<String>,
    /// For the grant of that name.
    refresh_token: Option<String>,
    /// Scopes, with a space between them. Of a ticket or a tool token: those that it has, or some of them.
    scope: Option<String>,
    /// `1` asks for an encryption key too.
    encrypt: Option<String>,
    /// Of a capability: the path that it opens with everything below, beginning and ending with a slash.
    path_prefix: Option<String>,
}

fn capability(app: &App, minted: &MintedCapability, path_prefix: &str) -> Response {
    let answer = CapabilityAnswer {
        capability: &minted.text,
        expires_in: minted.expires_in,
        path_prefix,
        scope: minted.scope.to_string(),
        server_time: app.issuer.clock.now().0,
    };
    ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

fn answer(app: &App, granted: &Granted) -> Response {
    let encode = |key: &[u8; 32]| Zeroizing::new(Base64UrlUnpadded::encode_string(key));
    let signing_key = encode(granted.token.signing_key.expose());
    let encryption_key = granted.token.encryption_key.as_ref().map(|key| encode(key.expose()));
    let answer = TokenAnswer {
        access_token: &granted.token.token,
        token_type: bmap_protocol::SCHEME,
        expires_in: granted.token.expires_in,
        scope: granted.token.scope.to_string(),
        issued_token_type: ACCESS_TOKEN,
        signing_key: &signing_key,
        key_id: granted.token.jti.as_str(),
        tool: ToolAnswer { id: granted.tool.id.as_str(), base_url: granted.tool.base_url.as_str() },
        server_time: app.issuer.clock.now().0,
        encryption_key: encryption_key.as_ref().map(|key| key.as_str()),
    };
    ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}
