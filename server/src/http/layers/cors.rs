//! CORS of the routes that pages call: the exact echo of one registered or configured origin, or nothing; `*` for the public documents;
//! never with credentials.

use crate::http::app::App;
use crate::http::problem::{RouteError, TOKEN_ENDPOINT};
use crate::http::step_up;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bmap_issuer::error::IssuerError;
use bmap_protocol::origin::Origin;
use bmap_verifier::cors::{ALLOW_HEADERS, EXPOSE_HEADERS, MAX_AGE};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN, VARY,
};
use http::{HeaderMap, Method, StatusCode};

/// Documents that any page may read: they are public, and say the same to every reader.
const PUBLIC_DOCUMENTS: [&str; 2] = ["/.well-known/jwks.json", "/.well-known/oauth-authorization-server"];

/// Where a request to the token endpoint comes from.
enum Page {
    /// From no page: the caller is not a browser.
    None,
    /// From a page that an API key registered.
    Registered(HeaderValue),
    /// From another one. Its origin is there where it has the form that browsers send.
    Unregistered(Option<HeaderValue>),
}

/// Lets every page read the public documents, without credentials as everywhere.
pub async fn public_documents(request: Request, next: Next) -> Response {
    if !PUBLIC_DOCUMENTS.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let mut response = match is_preflight(&request) {
        true => preflight("GET, HEAD"),
        false => next.run(request).await,
    };
    expose_to(&mut response, HeaderValue::from_static("*"));
    response
}

/// Answers preflights, which carry no credential, and lets only registered pages through; callers without `Origin` are
/// not pages and pass. This is decided before any credential is looked at, so the one refusal that an unregistered page may read says
/// nothing about any (O19).
pub async fn token_endpoint(State(app): State<App>, request: Request, next: Next) -> Response {
    if request.uri().path() != TOKEN_ENDPOINT {
        return next.run(request).await;
    }
    let mut response = match page(&app, request.headers()).await {
        Err(refusal) => RouteError::from(refusal).into_response(),
        Ok(Page::Unregistered(origin)) => {
            let mut response = RouteError::from(IssuerError::OriginDenied).into_response();
            if let Some(origin) = origin {
                response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            }
            response
        }
        Ok(Page::None) => next.run(request).await,
        Ok(Page::Registered(origin)) => {
            let mut response = match is_preflight(&request) {
                true => preflight("POST"),
                false => next.run(request).await,
            };
            expose_to(&mut response, origin);
            response
        }
    };
    response.headers_mut().append(VARY, HeaderValue::from_static("Origin"));
    response
}

/// Lets the configured pages use what signing in with an OpenID provider needs: where there are none, no page of another
/// origin reads an answer of the account routes, or gets a preflight from them (T28). No cookie is sent along, and none of
/// these looks at one.
pub async fn sign_in_pages(State(app): State<App>, request: Request, next: Next) -> Response {
    let is_theirs = is_account_route(request.uri().path());
    let mut values = request.headers().get_all(ORIGIN).iter();
    let (Some(origin), None, true) = (values.next().cloned(), values.next(), is_theirs) else {
        return next.run(request).await;
    };
    let is_listed = is_sign_in_page(&app, &origin);
    let mut response = match (is_listed, is_preflight(&request)) {
        (true, true) => account_preflight(),
        _ => next.run(request).await,
    };
    if is_listed {
        expose_to(&mut response, origin);
    }
    response.headers_mut().append(VARY, HeaderValue::from_static("Origin"));
    response
}

/// Lets a page read why it was refused before anything was looked up: at the token endpoint one that was registered lately, at the
/// account routes one that is configured, and any page where the document is public.
pub fn let_read(app: &App, path: &str, headers: &HeaderMap, response: &mut Response) {
    if PUBLIC_DOCUMENTS.contains(&path) {
        return expose_to(response, HeaderValue::from_static("*"));
    }
    let mut values = headers.get_all(ORIGIN).iter();
    let (Some(origin), None) = (values.next(), values.next()) else { return };
    let may = match path {
        TOKEN_ENDPOINT => was_registered_lately(app, origin),
        path => is_account_route(path) && is_sign_in_page(app, origin),
    };
    if may {
        expose_to(response, origin.clone());
    }
    response.headers_mut().append(VARY, HeaderValue::from_static("Origin"));
}

/// Takes back the headers that let a page read an answer.
pub fn hide(response: &mut Response) {
    response.headers_mut().remove(ACCESS_CONTROL_ALLOW_ORIGIN);
    response.headers_mut().remove(ACCESS_CONTROL_EXPOSE_HEADERS);
}

/// Whether a page sends the request to the token endpoint and is not known to be registered. What such a request shows as a credential must
/// make no difference, not even to its rate limit: the page sees whether it is refused for its origin or not answered readably (O19).
pub fn is_of_unknown_page(app: &App, path: &str, headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(ORIGIN).iter();
    match (path, values.next(), values.next()) {
        (TOKEN_ENDPOINT, Some(origin), None) => !was_registered_lately(app, origin),
        (TOKEN_ENDPOINT, Some(_), Some(_)) => true,
        _ => false,
    }
}

fn was_registered_lately(app: &App, origin: &HeaderValue) -> bool {
    app.limits.was_registered_lately(origin.as_bytes(), app.issuer.clock.now())
}

fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(ORIGIN)
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

fn expose_to(response: &mut Response, origin: HeaderValue) {
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    response.headers_mut().insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSE_HEADERS));
}

/// Whether it is a route that a page with a sign-in by an OpenID provider calls.
fn is_account_route(path: &str) -> bool {
    matches!(path, "/auth/openid" | "/auth/me" | "/auth/refresh" | "/auth/logout" | "/auth/step-up")
        || path.strip_prefix("/auth/openid/").is_some_and(|rest| !rest.ends_with("/callback"))
}

fn is_sign_in_page(app: &App, origin: &HeaderValue) -> bool {
    app.openid.origins().iter().any(|listed| listed.as_str().as_bytes() == origin.as_bytes())
}

async fn page(app: &App, headers: &HeaderMap) -> Result<Page, IssuerError> {
    let mut values = headers.get_all(ORIGIN).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(Page::None),
        (Some(_), Some(_)) => return Err(IssuerError::Malformed { field: "origin" }),
        (Some(value), None) => value,
    };
    // One spelling is one origin: `null`, upper case, default ports and trailing dots don't parse (R50).
    let Some(origin) = value.to_str().ok().and_then(|text| Origin::parse(text).ok()) else {
        return Ok(Page::Unregistered(None));
    };
    let now = app.issuer.clock.now();
    if !app.issuer.store.is_registered_origin(&origin, now).await? {
        return Ok(Page::Unregistered(Some(value.clone())));
    }
    app.limits.note_page(&origin, now);
    Ok(Page::Registered(value.clone()))
}

fn preflight(methods: &'static str) -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods)),
        (ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOW_HEADERS)),
        (ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE)),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// The same for the account routes: what outlives a session needs a step-up, in a header of its own.
fn account_preflight() -> Response {
    let mut response = preflight("GET, POST, DELETE");
    // Names with commas between them are a value.
    if let Ok(allowed) = HeaderValue::from_str(&format!("{ALLOW_HEADERS}, {}", step_up::HEADER)) {
        response.headers_mut().insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    }
    response
}
