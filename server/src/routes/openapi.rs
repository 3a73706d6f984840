//! `GET /openapi.json`: the document of every route (OpenAPI 3.1).

use crate::openapi::{Doc, document};
use crate::router::routes;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use std::sync::OnceLock;

/// The document, made once.
pub async fn get() -> Response {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| Bytes::from(document(&routes()).to_json().unwrap_or_default()));
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")];
    (headers, document.clone()).into_response()
}

/// How the document describes it.
pub fn get_doc() -> Doc {
    Doc::new("This document").tag("description").answers_object(StatusCode::OK, "OpenAPI 3.1")
}
