//! Limits on requests, as HTTP has them: 429 with `Retry-After`, and on every answer the requests that are left (`RateLimit-RatePolicy`
//! and `RateLimit`, draft-ietf-httpapi-ratelimit-headers).
//!
//! The limit of the address alone comes first: nothing is looked up and no signature checked for a request that its address has no
//! budget for (profile §5, order of policies). A request is counted to its address at once, and given back when it turns out to be a
//! known caller's. Where a route asks for a credential and one is shown, it is counted to the address only if it fails, so known
//! callers cost their address nothing.
//!
//! An address without any budget left is refused with whatever it shows, but for one thing: a credential that held from this address
//! lately ([`shown`]). So a caller goes on working beside a flood from the same address, and one that was not there before waits.

use crate::http::access::{Access, AccessOfRoutes};
use crate::http::app::App;
use crate::http::client::ClientAddress;
use crate::http::layers::cors;
use crate::http::problem::RouteError;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bmap_issuer::error::IssuerError;
use bmap_issuer::request_limits::{RateKey, RateStatus};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::cell::Cell;
use std::net::IpAddr;

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Routes that are counted and never refused: a supervisor restarts what does not answer them, and would do so for a flood.
const HEALTH: [&str; 3] = ["/livez", "/readyz", "/healthz"];

/// Which caller a request turned out to have.
#[derive(Clone, Copy)]
enum Known {
    /// None yet.
    No,
    /// One who is not limited, or paid before.
    Free,
    /// One who was counted.
    RateStatus(RateStatus),
}

tokio::task_local! {
    /// Of the request that this task answers: code that proves a caller says so here, and the layer writes the headers. No
    /// handler in between has to hand it on, or can forget to.
    static KNOWN: Cell<Known>;
}

impl App {
    /// Counts the request to a caller who has proved itself.
    ///
    /// # Errors
    /// [`IssuerError::RateLimited`].
    pub fn count(&self, payer: RateKey<'_>) -> Result<(), IssuerError> {
        let paid = self.limits.check(payer, self.issuer.clock.now());
        let known = paid.map_or(Known::Free, Known::RateStatus);
        // Outside of a request there is no answer to put it into.
        let _ = KNOWN.try_with(|cell| cell.set(known));
        paid.map_or(Ok(()), |paid| paid.check())
    }

    /// The request was counted before: its key paid when it made the ticket that the request used up.
    pub fn counted_before(&self) {
        let _ = KNOWN.try_with(|cell| cell.set(Known::Free));
    }
}

/// The layer around everything: routes of every kind, preflights, and unknown paths.
pub async fn counted(State((app, routes)): State<(App, AccessOfRoutes)>, request: Request, next: Next) -> Response {
    let Some(address) = request.extensions().get::<ClientAddress>().map(|address| address.0) else {
        return KNOWN.scope(Cell::new(Known::No), next.run(request)).await;
    };
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("", MatchedPath::as_str);
    let access = routes.of(route, request.method());
    let shown = match access {
        Access::Open | Access::OwnProof | Access::Verifier => None,
        Access::Credential | Access::User | Access::Admin => shown(request.headers()),
    };
    let is_of_unknown_page = cors::is_of_unknown_page(&app, request.uri().path(), request.headers());
    match shown {
        Some(shown) if !is_of_unknown_page => by_credential(&app, address, &shown, request, next).await,
        shown => {
            let counted = Counted { address, access, is_health: HEALTH.contains(&route) };
            by_address(&app, counted, shown.as_deref(), request, next).await
        }
    }
}

/// The properties that a request is counted by.
struct Counted {
    address: IpAddr,
    access: Access,
    is_health: bool,
}

/// A request that shows no credential where it could, or one whose credential must make no difference yet: its address pays at once, and
/// gets it back when the request is a known caller's.
async fn by_address(app: &App, counted: Counted, shown: Option<&[u8]>, request: Request, next: Next) -> Response {
    let Counted { address, access, is_health } = counted;
    let paid = app.limits.check(RateKey::Address(address), app.issuer.clock.now());
    if let Some(paid) = paid
        && !is_health
        && let Err(refusal) = paid.check()
    {
        return refused(app, &request, refusal, paid);
    }
    let (known, response) = answered(request, next).await;
    if matches!(known, Known::Free | Known::RateStatus(_)) {
        if paid.is_some() {
            app.limits.give_back(RateKey::Address(address));
        }
        if let Some(shown) = shown {
            app.limits.note_held(address, shown, app.issuer.clock.now());
        }
    }
    match (known, paid) {
        (Known::RateStatus(paid), _) => with_ratelimit_headers(response, paid),
        (Known::No, Some(paid)) if access != Access::Open => with_ratelimit_headers(response, paid),
        _ => response,
    }
}

/// A request that shows a credential: its address pays if it fails.
async fn by_credential(app: &App, address: IpAddr, shown: &[u8], request: Request, next: Next) -> Response {
    let now = app.issuer.clock.now();
    if let Some(paid) = app.limits.look(RateKey::Address(address), now)
        && let Err(refusal) = paid.check()
        && !app.limits.held_lately(address, shown, now)
    {
        return refused(app, &request, refusal, paid);
    }
    let (known, mut response) = answered(request, next).await;
    match known {
        Known::Free | Known::RateStatus(_) => app.limits.note_held(address, shown, now),
        Known::No if is_callers_fault(&response) => {
            app.limits.forget_held(address, shown);
            let Some(paid) = app.limits.check(RateKey::Address(address), now) else { return response };
            if let Err(refusal) = paid.check() {
                // It takes the place of the request's own refusal. The same pages may read it, except where only that refusal may
                // be read (O19).
                let had = response.extensions_mut().insert(RouteError::from(refusal));
                if had.is_some_and(|had| matches!(*had.0, IssuerError::OriginDenied)) {
                    cors::hide(&mut response);
                }
            }
            return with_ratelimit_headers(response, paid);
        }
        Known::No => {}
    }
    match known {
        Known::RateStatus(paid) => with_ratelimit_headers(response, paid),
        Known::Free | Known::No => response,
    }
}

async fn answered(request: Request, next: Next) -> (Known, Response) {
    let answer = async {
        let response = next.run(request).await;
        (KNOWN.with(Cell::get), response)
    };
    KNOWN.scope(Cell::new(Known::No), answer).await
}

/// The answer to a request that was not looked at.
fn refused(app: &App, request: &Request, refusal: IssuerError, paid: RateStatus) -> Response {
    let mut response = with_ratelimit_headers(RouteError::from(refusal).into_response(), paid);
    cors::let_read(app, request.uri().path(), request.headers(), &mut response);
    response
}

/// A text that stands for the credential that a request shows, unchecked: all of it, which no other caller can present. Of a request that an
/// API key signed it is the key's id; others can name that one too, and the first failure ends its good standing.
fn shown(headers: &HeaderMap) -> Option<Vec<u8>> {
    let presented = [AUTHORIZATION.as_str(), "x-api-key", "x-api-secret"];
    let presented: Vec<&[u8]> =
        presented.iter().flat_map(|name| headers.get_all(*name)).map(HeaderValue::as_bytes).collect();
    if !presented.is_empty() {
        return Some(presented.join(&b'\n'));
    }
    let signature = headers.get("signature-input")?.as_bytes();
    let start = signature.windows(KEY_ID.len()).position(|window| window == KEY_ID);
    let id = start.and_then(|start| signature.get(start.saturating_add(KEY_ID.len())..));
    let id = id.and_then(|id| id.split(|byte| *byte == b'"').next());
    Some(id.unwrap_or(signature).to_vec())
}

const KEY_ID: &[u8] = b";keyid=\"";

/// A refusal that is not a fault of ours.
fn is_callers_fault(response: &Response) -> bool {
    response.extensions().get::<RouteError>().is_some_and(|refused| refused.0.code().status() < 500)
}

/// The answer with the headers of the limit.
fn with_ratelimit_headers(mut response: Response, paid: RateStatus) -> Response {
    let (policy, count) = (paid.policy, paid.count);
    let t = count.retry_after.unwrap_or(count.reset);
    for (name, value) in [
        (RATELIMIT_POLICY, format!("\"{}\";q={};w=60", policy.name, policy.quota)),
        (RATELIMIT, format!("\"{}\";r={};t={t}", policy.name, count.remaining)),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
