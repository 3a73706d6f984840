//! Limits on requests, as HTTP has them: 429 with `Retry-After`, and on every answer what is left (`RateLimit-Policy` and
//! `RateLimit`, draft-ietf-httpapi-ratelimit-headers).
//!
//! A request is counted once it is known whose it is. One that shows no credential is counted to its address at once, and given
//! back when it turns out to be somebody's. Where a route asks for a credential and one is shown, it is looked at first, and the
//! request is counted to the address only if it is none: so nobody is refused for the noise of a neighbour at the same address.

use crate::domain::refusal::Refusal;
use crate::domain::request_limits::{Paid, Payer};
use crate::middleware::ClientAddress;
use crate::router::{Access, App};
use crate::routes::problem::Refused;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::cell::Cell;

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Whose a request turned out to be.
#[derive(Clone, Copy)]
enum Known {
    /// Nobody's yet.
    No,
    /// Somebody's, who is not limited or paid before.
    Free,
    /// Somebody's, who was counted.
    Paid(Paid),
}

tokio::task_local! {
    /// Of the request that this task answers: what proves a caller says so here, and the layer writes the headers. No handler in
    /// between has to hand it on, or can forget to.
    static KNOWN: Cell<Known>;
}

impl App {
    /// Counts the request to a caller who has proved itself.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`].
    pub fn count(&self, payer: Payer<'_>) -> Result<(), Refusal> {
        let paid = self.limits.pay(payer, self.issuer.clock.now());
        let known = paid.map_or(Known::Free, Known::Paid);
        // Outside of a request there is nobody to tell.
        let _ = KNOWN.try_with(|cell| cell.set(known));
        paid.map_or(Ok(()), |paid| paid.check())
    }

    /// The request is somebody's who paid for it before: with the ticket that it used up.
    pub fn counted_before(&self) {
        let _ = KNOWN.try_with(|cell| cell.set(Known::Free));
    }
}

/// The layer around every route that asks for something.
pub async fn counted(State((app, access)): State<(App, Access)>, request: Request, next: Next) -> Response {
    let address = request.extensions().get::<ClientAddress>().map(|address| Payer::Address(address.0));
    let pay = || app.limits.pay(address?, app.issuer.clock.now());
    let looks_first = access != Access::OwnProof && shows_credential(request.headers());
    let at_once = if looks_first { None } else { pay() };
    if let Some(paid) = at_once
        && let Err(refusal) = paid.check()
    {
        return told(Refused::from(refusal).into_response(), paid);
    }
    let answer = async {
        let response = next.run(request).await;
        (KNOWN.with(Cell::get), response)
    };
    let (known, response) = KNOWN.scope(Cell::new(Known::No), answer).await;
    if matches!(known, Known::Free | Known::Paid(_)) && at_once.is_some() {
        address.into_iter().for_each(|address| app.limits.give_back(address));
    }
    match (known, at_once) {
        (Known::Paid(paid), _) | (Known::No, Some(paid)) => told(response, paid),
        (Known::Free, _) => response,
        (Known::No, None) if looks_first => refused(&app, address, response),
        (Known::No, None) => response,
    }
}

/// The answer to a request of nobody's, counted to its address after it was looked at: if it was refused.
pub fn refused(app: &App, address: Option<Payer<'_>>, response: Response) -> Response {
    let pay = || app.limits.pay(address?, app.issuer.clock.now());
    match if is_callers_fault(&response) { pay() } else { None } {
        None => response,
        Some(paid) => match paid.check() {
            Ok(()) => told(response, paid),
            Err(refusal) => told(Refused::from(refusal).into_response(), paid),
        },
    }
}

/// Whether there is something to look at, good or bad.
fn shows_credential(headers: &HeaderMap) -> bool {
    ["x-api-key", "signature-input"].iter().any(|name| headers.contains_key(*name))
        || headers.contains_key(AUTHORIZATION)
}

/// A refusal that is not a fault of ours.
fn is_callers_fault(response: &Response) -> bool {
    response.extensions().get::<Refused>().is_some_and(|refused| refused.0.code().status() < 500)
}

/// The answer with what is left.
fn told(mut response: Response, paid: Paid) -> Response {
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
