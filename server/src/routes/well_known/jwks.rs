//! `GET /.well-known/jwks.json`: the issuer's public keys (RFC 7517).

use crate::http::app::App;
use crate::http::caller::Open;
use crate::http::openapi::doc::Doc;
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use bmap_model::issuer_key::PublicJwk;
use http::StatusCode;
use http::header::CACHE_CONTROL;

/// Answers with the key set.
pub(crate) async fn get(_: Open, State(app): State<App>) -> impl IntoResponse {
    let keys: Vec<PublicJwk> = app.issuer.public_keys.iter().map(PublicJwk::of).collect();
    ([(CACHE_CONTROL, "public, max-age=300")], Json(serde_json::json!({ "keys": keys })))
}

/// The document of [`get`].
pub(crate) fn get_doc() -> Doc {
    Doc::new("The issuer's public keys").answers_object(StatusCode::OK, "A JWK set (RFC 7517 §5)")
}
