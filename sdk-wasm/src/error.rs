//! The error that JavaScript sees when a call is refused: an `Error` whose message is one of the codes of
//! `npm/src/errors.ts`.
//!
//! A code, and not a sentence: the sentences are in TypeScript, once, and the module stays free of formatting.

use bmap_protocol::sign::SignError;
use js_sys::Error;
use wasm_bindgen::JsValue;

/// A refusal with a stable code.
pub(crate) fn refuse(code: &str) -> JsValue {
    Error::new(code).into()
}

/// The code for a request that can't be signed.
pub(crate) fn code(error: SignError) -> &'static str {
    match error {
        SignError::Target(_) => "bad_url",
        _ => "bad_request",
    }
}
