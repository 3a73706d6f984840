//! `Content-Digest` of a body (RFC 9530).

use alloc::string::String;
use bmap_protocol::digest::BodyDigest;
use wasm_bindgen::prelude::wasm_bindgen;

/// The value of `Content-Digest` for a body: `sha-256=:…:`.
#[wasm_bindgen(js_name = contentDigest)]
pub fn content_digest(body: &[u8]) -> String {
    BodyDigest::of(body).header_value()
}
