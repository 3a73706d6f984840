//! The admin listener: on loopback, apart from the tool's own port, without a token.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;

/// How often each handler was entered. A request that the verifier refuses must leave these as they are: the tests count on it.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) search: AtomicU64,
    pub(crate) nearby: AtomicU64,
}

impl Counters {
    pub(crate) fn enter(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// `GET /healthz` and `GET /metrics` (Prometheus text format 0.0.4).
pub(crate) fn routes(counters: Arc<Counters>) -> Router {
    Router::new().route("/healthz", get(async || "ok\n")).route("/metrics", get(metrics)).with_state(counters)
}

async fn metrics(State(counters): State<Arc<Counters>>) -> impl IntoResponse {
    let mut text = String::from(
        "# HELP places_handler_entered_total Requests that reached a handler, after the verifier.\n\
         # TYPE places_handler_entered_total counter\n",
    );
    for (route, counter) in [("search", &counters.search), ("nearby", &counters.nearby)] {
        let count = counter.load(Ordering::Relaxed);
        // Writing to a String can't fail.
        let _ = writeln!(text, "places_handler_entered_total{{route=\"{route}\"}} {count}");
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
