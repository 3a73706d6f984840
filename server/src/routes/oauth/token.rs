//! `POST /oauth/token`: the token endpoint (RFC 6749 §3.2, RFC 8693; profile §7).

use super::super::body;
use super::super::problem::Refused;
use crate::domain::grant::Granted;
use crate::domain::refusal::Refusal;
use crate::domain::scope::Scopes;
use crate::openapi::Doc;
use crate::router::App;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::code::Code;
use bmap_protocol::ids::ToolId;
use bmap_protocol::origin::Origin;
use http::StatusCode;
use http::header::{CACHE_CONTROL, ORIGIN};
use http::request::Parts;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// The grant of a token exchange (RFC 8693 §2.1).
pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// The type of a ticket as a subject token.
pub const TICKET: &str = "urn:bmap:token-type:ticket";
/// The type of an access token (RFC 8693 §3): what is given, and what is renewed.
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

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
struct ToolAnswer<'a> {
    id: &'a str,
    base_url: &'a str,
}

/// Grants a token.
///
/// # Errors
/// [`Refused`].
pub async fn post(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let body = body::read(body).await?;
    let form = Form::parse(&parts, &body)?;
    let granted = match (form.text("grant_type")?, form.optional("subject_token_type")) {
        ("client_credentials", _) => {
            let caller = app.caller(&parts, &body).await?;
            app.issuer.grant_direct(&caller, &form.tool()?, form.scope()?, form.encrypt()?).await?
        }
        (TOKEN_EXCHANGE, Some(TICKET)) => {
            let origin = page_origin(&parts)?;
            app.issuer.grant_for_ticket(form.text("subject_token")?, &form.tool()?, &origin, form.encrypt()?).await?
        }
        (TOKEN_EXCHANGE, Some(ACCESS_TOKEN)) => {
            let current = app.renewable(&parts, &body, form.text("subject_token")?).await?;
            app.issuer.renew(&current, &form.tool()?, form.encrypt()?).await?
        }
        (TOKEN_EXCHANGE, _) => return Err(Refusal::Malformed { field: "subject_token_type" }.into()),
        _ => return Err(Refusal::UnknownGrant.into()),
    };
    Ok(answer(&app, &granted))
}

/// The fields of the form. Which of them a grant needs, the handler says; this is their one description.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "a schema: the handler reads the form field by field, because a repeated field is refused"
)]
struct TokenForm {
    /// `client_credentials`, or `urn:ietf:params:oauth:grant-type:token-exchange`.
    grant_type: String,
    /// The tool.
    audience: String,
    /// A ticket, or the tool token that is renewed.
    subject_token: Option<String>,
    /// `urn:bmap:token-type:ticket`, or `urn:ietf:params:oauth:token-type:access_token`.
    subject_token_type: Option<String>,
    /// Scopes, with a space between them.
    scope: Option<String>,
    /// `1` asks for an encryption key too.
    encrypt: Option<String>,
}

/// How the document describes it.
pub fn post_doc() -> Doc {
    Doc::new("The token endpoint")
        .about(
            "Client credentials: authenticated with an API key. Token exchange of a ticket: from the ticket's page (`Origin`). \
             Token exchange of a tool token: signed with that token's key.",
        )
        .takes_form::<TokenForm>()
        .or_without_credential()
        .answers::<TokenAnswer>(StatusCode::OK, "A token and its signing key")
        .refuses(Code::ToolDenied)
        .refuses(Code::OriginDenied)
        .refuses(Code::ScopeDenied)
        .refuses(Code::TokenRevoked)
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
        key_id: &granted.token.jti,
        tool: ToolAnswer { id: granted.tool.id.as_str(), base_url: granted.tool.base_url.as_str() },
        server_time: app.issuer.clock.now().0,
        encryption_key: encryption_key.as_ref().map(|key| key.as_str()),
    };
    ([(CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

/// The page that asks. `middleware.rs` has already refused an origin that nobody registered.
fn page_origin(parts: &Parts) -> Result<Origin, Refusal> {
    let mut values = parts.headers.get_all(ORIGIN).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => {
            value.to_str().ok().and_then(|text| Origin::parse(text).ok()).ok_or(Refusal::OriginDenied)
        }
        (None, _) => Err(Refusal::OriginDenied),
        (Some(_), Some(_)) => Err(Refusal::Malformed { field: "origin" }),
    }
}

/// A form without repeated fields (RFC 6749 §3.2).
struct Form(BTreeMap<String, Zeroizing<String>>);

impl Form {
    fn parse(parts: &Parts, body: &[u8]) -> Result<Self, Refusal> {
        if !body::is(&parts.headers, "application/x-www-form-urlencoded") {
            return Err(Refusal::MediaType);
        }
        let pairs: Vec<(String, Zeroizing<String>)> =
            serde_urlencoded::from_bytes(body).map_err(|_| Refusal::Malformed { field: "body" })?;
        let mut form = BTreeMap::new();
        for (name, value) in pairs {
            if form.insert(name, value).is_some() {
                return Err(Refusal::Malformed { field: "body" });
            }
        }
        Ok(Self(form))
    }

    /// A field; an empty one counts as absent (RFC 6749 §3.2).
    fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.as_str()).filter(|value| !value.is_empty())
    }

    fn text(&self, field: &'static str) -> Result<&str, Refusal> {
        self.optional(field).ok_or(Refusal::Malformed { field })
    }

    fn tool(&self) -> Result<ToolId, Refusal> {
        ToolId::parse(self.text("audience")?).map_err(|_| Refusal::Malformed { field: "audience" })
    }

    fn scope(&self) -> Result<Option<Scopes>, Refusal> {
        self.optional("scope").map(Scopes::parse).transpose().map_err(|_| Refusal::Malformed { field: "scope" })
    }

    fn encrypt(&self) -> Result<bool, Refusal> {
        match self.optional("encrypt") {
            None | Some("0") => Ok(false),
            Some("1") => Ok(true),
            Some(_) => Err(Refusal::Malformed { field: "encrypt" }),
        }
    }
}
