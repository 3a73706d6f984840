//! CORS of the routes that pages call: the exact echo of one registered or configured origin, or nothing.

use crate::domain::refusal::Refusal;
use crate::router::App;
use crate::routes::problem::Refused;
use crate::store::ApiKeys;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bmap_protocol::origin::Origin;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN, VARY,
};
use http::{HeaderMap, Method, StatusCode};

const ALLOWED_HEADERS: &str = "authorization, content-digest, signature, signature-input, content-type";
const EXPOSED_HEADERS: &str =
    "retry-after, ratelimit, ratelimit-policy, x-request-id, www-authenticate, accept-signature, date";
const MAX_AGE: &str = "7200";

/// Answers preflights, which carry no credential, and lets only registered pages through; callers without `Origin` are
/// not pages and pass.
pub async fn token_endpoint(State(app): State<App>, request: Request, next: Next) -> Response {
    if request.uri().path() != "/oauth/token" {
        return next.run(request).await;
    }
    let origin = request.headers().get(ORIGIN).cloned();
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match registered(&app, request.headers()).await {
        Ok(false) => Refused::from(Refusal::OriginDenied).into_response(),
        Err(refusal) => Refused::from(refusal).into_response(),
        Ok(true) => {
            let mut response = match is_preflight {
                true => preflight(),
                false => next.run(request).await,
            };
            if let Some(origin) = origin {
                let headers = response.headers_mut();
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
                headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS));
            }
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
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match (is_listed, is_preflight) {
        (true, true) => {
            let mut response = preflight();
            let methods = HeaderValue::from_static("GET, POST, DELETE");
            response.headers_mut().insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
            response
        }
        _ => next.run(request).await,
    };
    if is_listed {
        response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        response.headers_mut().insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS));
    }
    response.headers_mut().append(VARY, HeaderValue::from_static("Origin"));
    response
}

/// Lets a page read why it was refused before anything was looked up: at the token endpoint one that was registered lately, at the
/// account routes one that is configured.
pub fn let_read(app: &App, path: &str, headers: &HeaderMap, response: &mut Response) {
    let mut values = headers.get_all(ORIGIN).iter();
    let (Some(origin), None) = (values.next(), values.next()) else { return };
    let may = match path {
        "/oauth/token" => app.limits.was_registered_lately(origin.as_bytes(), app.issuer.clock.now()),
        path => is_account_route(path) && is_sign_in_page(app, origin),
    };
    if may {
        response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        response.headers_mut().insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS));
    }
    response.headers_mut().append(VARY, HeaderValue::from_static("Origin"));
}

/// What signing in with an OpenID provider needs.
fn is_account_route(path: &str) -> bool {
    matches!(path, "/auth/openid" | "/auth/me" | "/auth/refresh" | "/auth/logout")
        || path.strip_prefix("/auth/openid/").is_some_and(|rest| !rest.ends_with("/callback"))
}

fn is_sign_in_page(app: &App, origin: &HeaderValue) -> bool {
    app.openid.origins().iter().any(|listed| listed.as_str().as_bytes() == origin.as_bytes())
}

/// Whether the request comes from a registered page, or from no page at all.
async fn registered(app: &App, headers: &HeaderMap) -> Result<bool, Refusal> {
    let mut values = headers.get_all(ORIGIN).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(true),
        (Some(_), Some(_)) => Err(Refusal::Malformed { field: "origin" }),
        // One spelling is one origin: `null`, upper case, default ports and trailing dots don't parse (R50).
        (Some(value), None) => match value.to_str().ok().and_then(|text| Origin::parse(text).ok()) {
            Some(origin) => {
                let now = app.issuer.clock.now();
                let is_registered = app.issuer.store.is_registered_origin(&origin, now).await?;
                if is_registered {
                    app.limits.note_page(&origin, now);
                }
                Ok(is_registered)
            }
            None => Ok(false),
        },
    }
}

fn preflight() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST")),
        (ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED_HEADERS)),
        (ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE)),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}
