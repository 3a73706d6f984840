//! `GET /openapi.json`: the document of every route (OpenAPI 3.1).

use crate::http::openapi::doc::Doc;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

/// Answers with the document. `router.rs` has it: a route does not know the list that it stands in.
pub(crate) fn answer(document: Bytes) -> Response {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")], document).into_response()
}

/// How the document describes it.
pub(crate) fn get_doc() -> Doc {
    Doc::new("This document").tag("description").answers_object(StatusCode::OK, "OpenAPI 3.1")
}
