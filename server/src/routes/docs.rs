//! `GET /docs/`: the OpenAPI document as a page. Everything that it loads is in the binary, and its policy lets it load nothing else.

use super::problem::Refused;
use crate::domain::issuer_code::IssuerCode;
use crate::domain::refusal::Refusal;
use crate::openapi::Doc;
use axum::body::Body;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION, REFERRER_POLICY,
};
use std::sync::{Arc, OnceLock};
use utoipa_swagger_ui::Config;

/// The pictures inside its style sheet are `data:`; everything else is a file beside it.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The page's relative links need the slash.
pub async fn redirect() -> Response {
    (StatusCode::PERMANENT_REDIRECT, [(LOCATION, "docs/")]).into_response()
}

/// The page.
///
/// # Errors
/// [`Refused`].
pub async fn page() -> Result<Response, Refused> {
    file("index.html")
}

/// One of its files.
///
/// # Errors
/// [`Refused`] where there is no such file.
pub async fn asset(Path(name): Path<String>) -> Result<Response, Refused> {
    file(&name)
}

fn file(name: &str) -> Result<Response, Refused> {
    static CONFIG: OnceLock<Arc<Config<'static>>> = OnceLock::new();
    let config =
        CONFIG.get_or_init(|| Arc::new(Config::new(["../openapi.json"]).validator_url("none").use_base_layout()));
    // An error is a fault of the files, which are part of the binary.
    let found = utoipa_swagger_ui::serve(name, Arc::clone(config)).map_err(|_| Refusal::Panicked)?;
    let found = found.ok_or(Refusal::NotFound { what: "file" })?;
    let mut response = Response::new(Body::from(found.bytes.into_owned()));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_str(&found.content_type);
    headers.insert(CONTENT_TYPE, kind.unwrap_or(HeaderValue::from_static("application/octet-stream")));
    if found.gzpipped {
        // The only form in which it is there: every browser takes it.
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Ok(response)
}

/// How the document describes it.
pub fn redirect_doc() -> Doc {
    Doc::new("This document as a page")
        .tag("description")
        .answers_empty(StatusCode::PERMANENT_REDIRECT, "The page is at `docs/`")
        .with_header("Location", "`docs/`")
}

/// How the document describes it.
pub fn page_doc() -> Doc {
    files(Doc::new("This document as a page").tag("description").answers_text(StatusCode::OK, "The page", "text/html"))
}

/// How the document describes it.
pub fn asset_doc() -> Doc {
    let mut doc = Doc::new("A file of that page").tag("description").path_part("file", "Its name");
    for kind in ["text/html", "text/css", "text/javascript", "image/png"] {
        doc = doc.answers_text(StatusCode::OK, "The file", kind);
    }
    files(doc.refuses(IssuerCode::NotFound))
}

fn files(doc: Doc) -> Doc {
    doc.with_header("Content-Encoding", "`gzip`: the only form in which most files are there")
}
