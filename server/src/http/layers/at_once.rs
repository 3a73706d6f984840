//! The bound on requests that are at work.

use crate::http::problem::RouteError;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bmap_issuer::error::IssuerError;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Most requests at once to routes that ask for something. An HTTP/2 connection carries many, so the bound on connections does not
/// bound what bodies take: this one does, to 64 MiB.
pub const MAX_AT_ONCE: usize = 1024;

/// A place among the requests that are at work. Where there is none, a request is refused before anything of it is
/// read.
pub async fn bounded_number(State(places): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    match places.try_acquire() {
        Ok(_place) => next.run(request).await,
        Err(_) => RouteError::from(IssuerError::Busy).into_response(),
    }
}
