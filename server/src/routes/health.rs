//! `GET /livez`, `/readyz`, and `/healthz`, which is `/readyz` by its other name.

use crate::http::app::App;
use crate::http::caller::Open;
use crate::http::openapi::doc::Doc;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// The process runs.
pub(crate) async fn live(_: Open) -> Response {
    answer(StatusCode::OK, "ok")
}

/// The document of [`live`].
pub(crate) fn live_doc() -> Doc {
    Doc::new("Whether the process runs").tag("health").answers::<Health>(StatusCode::OK, "It runs")
}

/// The process can do its work: the database answers, and it is not going down.
pub(crate) async fn ready(_: Open, State(app): State<App>) -> Response {
    if app.is_stopping() {
        return answer(StatusCode::SERVICE_UNAVAILABLE, "stopping");
    }
    match tokio::time::timeout(Duration::from_secs(2), app.issuer.store.ping()).await {
        Ok(Ok(())) => answer(StatusCode::OK, "ok"),
        _ => answer(StatusCode::SERVICE_UNAVAILABLE, "database"),
    }
}

/// The document of [`ready`].
pub(crate) fn ready_doc() -> Doc {
    Doc::new("Whether the process can do its work")
        .tag("health")
        .answers::<Health>(StatusCode::OK, "The database answers")
        .answers::<Health>(
            StatusCode::SERVICE_UNAVAILABLE,
            "The database does not answer, or the process is going down",
        )
}

#[derive(Serialize, ToSchema)]
struct Health {
    /// `ok`, or the fault.
    status: &'static str,
}

fn answer(status: StatusCode, text: &'static str) -> Response {
    (status, [(CACHE_CONTROL, "no-store")], Json(Health { status: text })).into_response()
}
