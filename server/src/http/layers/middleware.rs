//! Every layer around the routes, outermost first: answer (request id, log, problem bodies), the limit of the address, the head
//! (sizes, host, headers that claim to say who is calling), the body's bounds, time, CORS.

use super::{bodies, cors, host, rate_limit, unbelieved, wait};
use crate::http::access::AccessOfRoutes;
use crate::http::app::App;
use crate::http::challenge::Challenge;
use crate::http::client::ClientAddress;
use crate::http::layers::trace_id::trace_id;
use crate::http::problem::{self, PageError, RouteError};
use crate::http::step_up;
use crate::metrics::{self, InFlight};
use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use bmap_issuer::body_limit::MAX_BODY;
use bmap_issuer::error::IssuerError;
use bmap_listener::{MAX_HEADERS, PeerSocket, client_address};
use bmap_model::audit::Source;
use bmap_model::clock::Stopwatch;
use bmap_verifier::layer::drop_identity_headers;
use bmap_verifier::problem::{REQUEST_ID, request_id};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body::Body as _;
use http_body_util::Limited;
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

/// Longest that a request may take. A body has [`bodies::BODY_TIME`] of it.
pub const REQUEST_TIME: Duration = Duration::from_secs(35);

/// Puts every layer around the routes.
pub fn around(router: Router<App>, app: &App, access: AccessOfRoutes) -> Router<App> {
    // The last one added is the outermost.
    router
        .fallback(|| async { RouteError::from(IssuerError::NotFound { what: "route" }) })
        .method_not_allowed_fallback(|| async { RouteError::from(IssuerError::MethodNotAllowed) })
        .layer(from_fn_with_state((app.clone(), access.clone()), wait::until_in_force))
        .layer(from_fn_with_state(app.clone(), cors::token_endpoint))
        .layer(from_fn_with_state(app.clone(), cors::sign_in_pages))
        .layer(from_fn(cors::public_documents))
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            tracing::error!("a handler panicked");
            RouteError::from(IssuerError::Panicked).into_response()
        }))
        .layer(from_fn(bounded_time))
        .layer(from_fn_with_state(app.bodies.clone(), bodies::bounded))
        .layer(from_fn(without_identity_headers))
        .layer(from_fn(host::named_once))
        .layer(from_fn(bounded_size))
        .layer(from_fn_with_state((app.clone(), access.clone()), rate_limit::counted))
        .layer(from_fn_with_state((app.clone(), access), answered))
}

/// The outermost layer: the request's id and address on the way in; log, problem body and common headers on the way out.
async fn answered(State((app, routes)): State<(App, AccessOfRoutes)>, mut request: Request, next: Next) -> Response {
    let (began, watch, in_flight) = (app.issuer.unix_time(), Stopwatch::start(), InFlight::begin());
    let id = request_id(request.headers(), began);
    // Everything that is logged on the way says which request it was.
    let span = tracing::info_span!("request", request_id = id, trace_id = trace_id(request.headers()));
    let route = request.extensions().get::<MatchedPath>().cloned();
    let access = routes.of(route.as_ref().map_or("", MatchedPath::as_str), request.method());
    let challenge = Challenge::of(access, request.headers());
    let peer = request.extensions().get::<PeerSocket>().map(|peer| peer.0.ip());
    let address = client_address::of(peer, request.headers(), &app.trusted_proxies);
    if let Some(address) = address {
        request.extensions_mut().insert(ClientAddress(address));
    }
    if let Some(peer) = peer.filter(|peer| unbelieved::is_ignored(*peer, request.headers(), &app.trusted_proxies)) {
        let _entered = span.enter();
        app.note_unbelieved(peer);
    }
    let source = Source::request(address, &id);
    request.extensions_mut().insert(source.clone());
    let media_type =
        problem::media_type(request.method(), route.as_ref().map_or("", MatchedPath::as_str), request.headers());
    let method = request.method().clone();
    let path: String = request.uri().path().chars().take(128).collect();
    let mut response = next.run(request).instrument(span.clone()).await;
    let _logged = span.enter();
    let now = app.issuer.unix_time();
    let on_page = response.extensions_mut().remove::<PageError>().map(|page| page.0);
    let refused = response.extensions_mut().remove::<RouteError>();
    let refused = refused.or_else(|| problem::framework_error(&response)).map(|refused| refused.0);
    if let Some(refusal) = refused.as_ref().or(on_page.as_ref()) {
        app.issuer.audit.refused(&source, refusal, app.issuer.clock.now());
        let code = refusal.code().as_str();
        metrics::refused(code);
        let address = source.ip();
        tracing::info!(code, refused = %refusal, %address, "refused");
    }
    if let Some(refusal) = refused {
        let (parts, body) = problem::render(&refusal, challenge, &id, now).into_parts();
        *response.status_mut() = parts.status;
        *response.body_mut() = body;
        response.headers_mut().remove(CONTENT_LENGTH);
        set_all(response.headers_mut(), &parts.headers);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    let took = watch.elapsed();
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    metrics::answered(&method, route, response.status(), took);
    drop(in_flight);
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let (method, path) = (method.as_str(), path.as_str());
    // Both formats escape the caller's method and path (T33).
    tracing::info!(method, route, path, status = response.status().as_u16(), took_ms, "answered");
    response
}

/// Sets each header with all its values, in the place of those that it had.
fn set_all(to: &mut HeaderMap, from: &HeaderMap) {
    for name in from.keys() {
        to.remove(name);
    }
    for (name, value) in from {
        to.append(name, value.clone());
    }
}

/// Sizes, before anything is read: header lines, and a body limit that also holds for a handler that reads the raw body
/// (R47).
async fn bounded_size(request: Request, next: Next) -> Response {
    if request.headers().len() > MAX_HEADERS {
        return RouteError::from(IssuerError::HeadersTooLarge).into_response();
    }
    let limit = u64::try_from(MAX_BODY).unwrap_or(u64::MAX);
    if request.body().size_hint().lower() > limit {
        return RouteError::from(IssuerError::TooLarge).into_response();
    }
    next.run(request.map(|body| Body::new(Limited::new(body, MAX_BODY)))).await
}

/// Removes every inbound `bmap-*` header, in any spelling: who is calling is found out here, and never read from a header (R09). The one that
/// stays is `Bmap-Step-Up`: a secret that a caller shows, and no word about who it is.
async fn without_identity_headers(mut request: Request, next: Next) -> Response {
    let headers = request.headers_mut();
    let step_ups: Vec<HeaderValue> = headers.get_all(step_up::HEADER).iter().cloned().collect();
    headers.remove(step_up::HEADER);
    let dropped = drop_identity_headers(headers);
    for mut value in step_ups {
        value.set_sensitive(true);
        headers.append(step_up::HEADER, value);
    }
    if dropped > 0 {
        metrics::identity_headers_dropped(u64::try_from(dropped).unwrap_or(u64::MAX));
    }
    next.run(request).await
}

/// No request holds its connection for ever, however slowly its client sends or its handler works.
async fn bounded_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_TIME, next.run(request)).await {
        Ok(response) => response,
        Err(_) => RouteError::from(IssuerError::Slow).into_response(),
    }
}
