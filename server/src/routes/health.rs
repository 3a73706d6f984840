//! `GET /livez`, `/readyz`, and `/healthz`, which is `/readyz` by its other name.

use crate::router::App;
use crate::store::Settings;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use std::time::Duration;

/// The process runs.
pub async fn live() -> Response {
    answer(StatusCode::OK, "ok")
}

/// The process can do its work: the database answers, and it is not going down.
pub async fn ready(State(app): State<App>) -> Response {
    if app.is_stopping() {
        return answer(StatusCode::SERVICE_UNAVAILABLE, "stopping");
    }
    match tokio::time::timeout(Duration::from_secs(2), app.issuer.store.ping()).await {
        Ok(Ok(())) => answer(StatusCode::OK, "ok"),
        _ => answer(StatusCode::SERVICE_UNAVAILABLE, "database"),
    }
}

fn answer(status: StatusCode, text: &'static str) -> Response {
    (status, [(CACHE_CONTROL, "no-store")], Json(serde_json::json!({ "status": text }))).into_response()
}
