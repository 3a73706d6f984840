//! `GET /docs/`: the OpenAPI document as a page. Everything that it loads is in the binary, and its policy lets it load nothing else.

use crate::http::app::App;
use crate::http::argument::Argument;
use crate::http::caller::Open;
use crate::http::openapi::doc::Doc;
use crate::http::problem::RouteError;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::response::{IntoResponse, Response};
use bmap_issuer::error::IssuerError;
use bmap_model::issuer_code::IssuerCode;
use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION, REFERRER_POLICY,
};
use http::request::Parts;
use std::sync::{Arc, OnceLock};
use utoipa_swagger_ui::Config;

/// The pictures inside its style sheet are `data:`; everything else is a file beside it.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The page's relative links need the slash.
pub(crate) async fn redirect(_: Open) -> Response {
    (StatusCode::PERMANENT_REDIRECT, [(LOCATION, "docs/")]).into_response()
}

/// The document of [`redirect`].
pub(crate) fn redirect_doc() -> Doc {
    Doc::new("This document as a page")
        .tag("description")
        .answers_empty(StatusCode::PERMANENT_REDIRECT, "The page is at `docs/`")
        .with_header("Location", "`docs/`")
}

/// The page.
///
/// # Errors
/// [`RouteError`].
pub(crate) async fn page(_: Open) -> Result<Response, RouteError> {
    file("index.html")
}

/// The document of [`page`].
pub(crate) fn page_doc() -> Doc {
    files(Doc::new("This document as a page").tag("description").answers_text(StatusCode::OK, "The page", "text/html"))
}

/// One of its files.
///
/// # Errors
/// [`RouteError`] where there is no such file.
pub(crate) async fn asset(_: Open, AssetName(name): AssetName) -> Result<Response, RouteError> {
    file(&name)
}

/// The document of [`asset`].
pub(crate) fn asset_doc() -> Doc {
    let mut doc = Doc::new("A file of that page").tag("description");
    for kind in ["text/html", "text/css", "text/javascript", "image/png"] {
        doc = doc.answers_text(StatusCode::OK, "The file", kind);
    }
    files(doc)
}

/// The file that a path names.
pub(crate) struct AssetName(String);

impl FromRequestParts<App> for AssetName {
    type Rejection = PathRejection;

    async fn from_request_parts(head: &mut Parts, app: &App) -> Result<Self, PathRejection> {
        Path::from_request_parts(head, app).await.map(|Path(name)| Self(name))
    }
}

impl Argument for AssetName {
    fn describe(doc: Doc) -> Doc {
        doc.path_part("file", "Its name").refuses(IssuerCode::NotFound)
    }
}

fn file(name: &str) -> Result<Response, RouteError> {
    static CONFIG: OnceLock<Arc<Config<'static>>> = OnceLock::new();
    let config =
        CONFIG.get_or_init(|| Arc::new(Config::new(["../openapi.json"]).validator_url("none").use_base_layout()));
    // An error is a fault of the files, which are part of the binary.
    let found = utoipa_swagger_ui::serve(name, Arc::clone(config)).map_err(|_| IssuerError::Panicked)?;
    let found = found.ok_or(IssuerError::NotFound { what: "file" })?;
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

fn files(doc: Doc) -> Doc {
    doc.with_header("Content-Encoding", "`gzip`: the only form in which most files are there")
}
