//! The numbers for Prometheus, on an address of their own: callers of the issuer need not see them.

use crate::cli::error::CliError;
use crate::metrics;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bmap_listener::{ConnectionLimits, Listener};
use bmap_model::clock::{MachineClock, WallClock};
use bmap_store::Database;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use metrics_exporter_prometheus::PrometheusHandle;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::JoinHandle;

/// A scraper or two, and a person with a browser.
const MAX_CONNECTIONS: usize = 16;
/// How often measurements are folded, so that it takes no room where no Prometheus scrapes.
const FOLD_EVERY: Duration = Duration::from_secs(5);

/// The tasks that run beside the server; ended with it.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Begins to count, and shows the numbers at `GET /metrics` of that address.
pub(super) async fn start(listen: SocketAddr, store: &Database) -> Result<Running, CliError> {
    let failed = |error: std::io::Error| CliError::Failed(format!("metrics_listen {listen}: {error}"));
    let listener = Listener::bind(listen, ConnectionLimits::total(MAX_CONNECTIONS)).await.map_err(failed)?;
    let address = listener.local_address().map_err(failed)?;
    let handle = metrics::install(MachineClock.now().seconds()).map_err(CliError::failed)?;
    let folded = handle.clone();
    let fold = tokio::spawn(async move {
        loop {
            tokio::time::sleep(FOLD_EVERY).await;
            folded.run_upkeep();
        }
    });
    let router = Router::new().route("/metrics", get(show)).with_state((handle, store.clone()));
    let serve = tokio::spawn(listener.serve(router, std::future::pending()));
    Ok(Running { address, tasks: [fold, serve] })
}

async fn show(State((handle, store)): State<(PrometheusHandle, Database)>) -> Response {
    let (connections, idle) = store.connections();
    metrics::observe(connections, idle);
    // A database that does not answer leaves the last numbers.
    if let (Ok(waiting), Ok(oldest)) = (store.mail_waiting().await, store.oldest_mail().await) {
        let age = oldest.map_or(0, |oldest| MachineClock.now().seconds().saturating_sub(oldest.seconds()));
        metrics::outbox(waiting, age);
    }
    let headers = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (headers, handle.render()).into_response()
}
