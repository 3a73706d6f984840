//! `/auth/openid…`: signing in with an external provider. `GET /auth/openid` says which there are.
//!
//! The one cookie of this server is here: it binds a sign-in to the browser that began it (T28). It is good for nothing else,
//! and no answer that a page can read depends on it.

pub(crate) mod provider;
pub(crate) mod token;

use crate::http::app::App;
use crate::http::argument::Argument;
use crate::http::caller::Open;
use crate::http::openapi::doc::Doc;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse, Response};
use bmap_issuer::error::IssuerError;
use bmap_issuer::openid::service::OpenidService;
use bmap_model::account::opaque::{Kind, OpaqueToken};
use bmap_model::issuer_code::IssuerCode;
use bmap_model::openid::flow::FLOW_SECONDS;
use http::header::{CACHE_CONTROL, COOKIE, LOCATION, REFERRER_POLICY, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use utoipa::ToSchema;
use zeroize::Zeroizing;

#[derive(Serialize, ToSchema)]
struct OpenidProviders<'a> {
    providers: Vec<OpenidProvider<'a>>,
}

#[derive(Serialize, ToSchema)]
struct OpenidProvider<'a> {
    /// Its name in the paths below this one.
    name: &'a str,
    /// For the button.
    label: &'a str,
}

/// A code out of a page's fragment, and the verifier that the page kept.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignInCodeForm {
    #[schema(value_type = String)]
    code: Zeroizing<String>,
    /// RFC 7636: the one whose SHA-256 was the `code_challenge`.
    #[schema(value_type = String, min_length = 43, max_length = 128)]
    code_verifier: Zeroizing<String>,
}

/// The providers that are configured.
pub(crate) async fn get(_: Open, State(app): State<App>) -> Response {
    let providers = app.openid.providers();
    let providers = providers.map(|provider| OpenidProvider { name: provider.name.as_str(), label: &provider.label });
    ([(CACHE_CONTROL, "no-store")], Json(OpenidProviders { providers: providers.collect() })).into_response()
}

/// The document of [`get`].
pub(crate) fn get_doc() -> Doc {
    Doc::new("The OpenID providers that people can sign in with")
        .answers::<OpenidProviders>(StatusCode::OK, "Their names and labels")
}

/// The name of the cookie. With the prefix no other host and no plain connection can set it (RFC 6265bis §4.1.3.2).
fn cookie_name(openid: &OpenidService) -> &'static str {
    if openid.is_secure() { "__Host-bmap-openid" } else { "bmap-openid" }
}

/// The `{provider}` of a path.
pub(crate) struct ProviderName(String);

impl FromRequestParts<App> for ProviderName {
    type Rejection = PathRejection;

    async fn from_request_parts(head: &mut Parts, app: &App) -> Result<Self, PathRejection> {
        Path::from_request_parts(head, app).await.map(|Path(name)| Self(name))
    }
}

impl Argument for ProviderName {
    fn describe(doc: Doc) -> Doc {
        doc.path_part("provider", "The provider's name").refuses(IssuerCode::NotFound)
    }
}

/// The browser that sends a request, if it has begun a sign-in.
pub(crate) struct Browser(Option<OpaqueToken>);

impl FromRequestParts<App> for Browser {
    type Rejection = Infallible;

    async fn from_request_parts(head: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self(browser(&app.openid, &head.headers)))
    }
}

impl Argument for Browser {}

/// The browser that sends these headers, if it has begun a sign-in; two of them say nothing.
fn browser(openid: &OpenidService, headers: &HeaderMap) -> Option<OpaqueToken> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(name, _)| *name == cookie_name(openid)).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(value), None) => OpaqueToken::parse(Kind::Browser, value),
        _ => None,
    }
}

/// The cookie. `Lax`, because the provider's redirect comes from another site.
fn set_cookie(openid: &OpenidService, browser: &OpaqueToken) -> Result<HeaderValue, IssuerError> {
    let (name, value) = (cookie_name(openid), browser.reveal());
    let secure = if openid.is_secure() { "; Secure" } else { "" };
    let cookie = format!("{name}={}; Path=/; Max-Age={FLOW_SECONDS}; HttpOnly; SameSite=Lax{secure}", *value);
    let mut cookie = HeaderValue::from_str(&cookie).map_err(|_| IssuerError::Signing)?;
    cookie.set_sensitive(true);
    Ok(cookie)
}

/// Sends a browser on, with GET whatever it came with.
fn see_other(to: &str, cookie: Option<HeaderValue>) -> Result<Response, IssuerError> {
    let to = HeaderValue::from_str(to).map_err(|_| IssuerError::Signing)?;
    let headers = [(CACHE_CONTROL, "no-store"), (REFERRER_POLICY, "no-referrer")];
    let mut response = (StatusCode::SEE_OTHER, headers).into_response();
    response.headers_mut().insert(LOCATION, to);
    if let Some(cookie) = cookie {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(response)
}
