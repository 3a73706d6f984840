//! Counts and measures of the process, by the names of the Prometheus ecosystem: base units, `_total`, `_seconds`, and labels
//! that have few values. No user, key or path of a caller is ever in a label, and no address but those of a few peers whose
//! `X-Forwarded-For` is not believed.
//!
//! The `metrics` crate keeps the numbers; without [`install`] every call here does nothing.

use bmap_listener::ConnectionEvent;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::time::Duration;

const REQUESTS: &str = "bmap_http_requests_total";
const REQUEST_SECONDS: &str = "bmap_http_request_duration_seconds";
const IN_FLIGHT: &str = "bmap_http_requests_in_flight";
const REFUSALS: &str = "bmap_refusals_total";
const MAILS_WAITING: &str = "bmap_mails_waiting";
const OLDEST_MAIL: &str = "bmap_mails_oldest_age_seconds";
const DATABASE: &str = "bmap_database_connections";
const CONNECTIONS: &str = "bmap_http_connections_closed_total";
const DROPPED_HEADERS: &str = "bmap_identity_headers_dropped_total";
const FORWARDING: &str = "bmap_forwarded_for_ignored_total";
const BUILD: &str = "bmap_build_info";
const STARTED: &str = "bmap_start_time_seconds";

/// From a look-up in memory to the longest that a request may take.
const BUCKETS: &[f64] = &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The recorder could not be installed.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// It could not be built.
    #[error("metrics: {0}")]
    Build(#[from] BuildError),
    /// The process has one already.
    #[error("metrics: this process has a recorder already")]
    Twice,
}

/// Keeps the numbers of this process from now on. The handle renders them.
///
/// # Errors
/// [`MetricsError`] for a second call.
pub fn install(started: i64) -> Result<PrometheusHandle, MetricsError> {
    let builder =
        PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_duration_seconds".to_owned()), BUCKETS)?;
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|_| MetricsError::Twice)?;
    describe_counter!(REQUESTS, "Answered requests, by method, route and status.");
    describe_histogram!(
        REQUEST_SECONDS,
        Unit::Seconds,
        "Time from a request's head to the head of its answer, by route."
    );
    describe_gauge!(IN_FLIGHT, "Requests that are being answered.");
    describe_counter!(REFUSALS, "Refusals, by the code of their problem.");
    bmap_issuer::metrics::describe();
    describe_gauge!(MAILS_WAITING, "Mails that wait in the database, of all processes.");
    describe_gauge!(OLDEST_MAIL, Unit::Seconds, "Age of the oldest mail that waits, 0 without one.");
    describe_gauge!(DATABASE, "Connections to the database, by state.");
    describe_counter!(CONNECTIONS, "Connections that were closed for others, by reason.");
    describe_counter!(DROPPED_HEADERS, "Header lines named bmap-*, in any spelling, that were removed from requests.");
    describe_counter!(FORWARDING, "Requests whose X-Forwarded-For was not believed, by peer; of 32 peers at most.");
    describe_gauge!(BUILD, "1, with the program's version.");
    describe_gauge!(STARTED, Unit::Seconds, "When the process began, unix time.");
    gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    gauge!(STARTED).set(number(started));
    Ok(handle)
}

/// A request that is being answered. Dropped without an answer, it was given up by its caller.
#[derive(Debug)]
pub struct InFlight(());

impl InFlight {
    /// One more.
    pub fn begin() -> Self {
        gauge!(IN_FLIGHT).increment(1.0);
        Self(())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!(IN_FLIGHT).decrement(1.0);
    }
}

/// A request was answered. `route` is the template of the route, never the path that was asked for.
pub fn answered(method: &http::Method, route: &str, status: http::StatusCode, took: Duration) {
    // A method is the caller's to choose: any other would be a label of their making.
    let method = match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known.to_owned(),
        _ => "other".to_owned(),
    };
    let status = status.as_u16().to_string();
    counter!(REQUESTS, "method" => method, "route" => route.to_owned(), "status" => status).increment(1);
    histogram!(REQUEST_SECONDS, "route" => route.to_owned()).record(took.as_secs_f64());
}

/// A request was refused.
pub fn refused(code: &'static str) {
    counter!(REFUSALS, "code" => code).increment(1);
}

/// A connection was closed: `refused` at once, since its address has its share, or to have `made_room` for another.
pub fn connection(event: ConnectionEvent) {
    let reason = match event {
        ConnectionEvent::MadeRoom => "made_room",
        _ => "refused",
    };
    counter!(CONNECTIONS, "reason" => reason).increment(1);
}

/// Header lines that claim to say who is calling were removed from a request.
pub fn identity_headers_dropped(lines: u64) {
    counter!(DROPPED_HEADERS).increment(lines);
}

/// The `X-Forwarded-For` of a request was not believed. The peer is named where it is one of the few that are: this is the one label
/// with an address, of an operator's own proxy ([`Unbelieved`](crate::http::layers::unbelieved::Unbelieved) bounds them).
pub fn forwarding_ignored(peer: Option<std::net::IpAddr>) {
    let peer = peer.map_or_else(|| "other".to_owned(), |peer| peer.to_string());
    counter!(FORWARDING, "peer" => peer).increment(1);
}

/// The mails that wait, looked at before numbers are shown; the age is in seconds.
pub fn outbox(waiting: i64, oldest_age: i64) {
    gauge!(MAILS_WAITING).set(number(waiting));
    gauge!(OLDEST_MAIL).set(number(oldest_age));
}

/// Gauges that are read before numbers are shown.
pub fn observe(connections: u32, idle: usize) {
    let idle = u32::try_from(idle).unwrap_or(u32::MAX).min(connections);
    gauge!(DATABASE, "state" => "idle").set(f64::from(idle));
    gauge!(DATABASE, "state" => "busy").set(f64::from(connections.saturating_sub(idle)));
}

/// Seconds since 1970 fit until the year 2106; a negative number, by a clock that went back, counts as 0.
fn number(seconds: i64) -> f64 {
    f64::from(u32::try_from(seconds.max(0)).unwrap_or(u32::MAX))
}
