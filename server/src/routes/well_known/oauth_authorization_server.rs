//! `GET /.well-known/oauth-authorization-server`: this issuer's metadata (RFC 8414).

use crate::http::app::App;
use crate::http::caller::Open;
use crate::http::openapi::doc::Doc;
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use http::header::CACHE_CONTROL;

/// Answers with the metadata.
pub(crate) async fn get(_: Open, State(app): State<App>) -> impl IntoResponse {
    let issuer = app.issuer.url.as_str();
    let metadata = serde_json::json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}/oauth/token"),
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "grant_types_supported": [
            "client_credentials",
            "refresh_token",
            super::super::oauth::token::TOKEN_EXCHANGE,
            super::super::oauth::token::CAPABILITY,
        ],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "introspection_endpoint": format!("{issuer}/oauth/introspect"),
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "revocation_endpoint": format!("{issuer}/oauth/revoke"),
        // Without: a user's refresh token, which proves itself.
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        // There is no authorization endpoint, so there are no response types; the member is required.
        "response_types_supported": [],
        "bmap_profile": bmap_protocol::TAG,
        // Each version has a tag of its own, so a client finds here whether it speaks one of them.
        "bmap_versions_supported": [bmap_protocol::TAG],
        "bmap_tickets_endpoint": format!("{issuer}/tickets"),
    });
    ([(CACHE_CONTROL, "public, max-age=300")], Json(metadata))
}

/// The document of [`get`].
pub(crate) fn get_doc() -> Doc {
    Doc::new("What this issuer can do").answers_object(StatusCode::OK, "Metadata (RFC 8414)")
}
