//! The known-answer runner of `bmap-vectors`, built for `wasm32-unknown-unknown` so that the whole profile, both ends of it, is
//! checked in the form in which the SDK's half ships. For tests and measurements only: nothing that people install contains it.

use bmap_protocol::keys::MacKey;
use serde::Serialize;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsError, JsValue};

/// Runs `keys.json`, `requests.json`, `refusals.json` and `capability.json`; answers with `{ passed, failed }`, the names of the cases.
///
/// # Errors
/// A file that is not of its form.
#[wasm_bindgen(js_name = runVectors, unchecked_return_type = "{ passed: string[]; failed: string[] }")]
pub fn run_vectors(keys: &str, requests: &str, refusals: &str, capabilities: &str) -> Result<JsValue, JsError> {
    let report = bmap_vectors::run(keys, requests, refusals, capabilities).map_err(|why| JsError::new(&why))?;
    Ok(report.serialize(&serde_wasm_bindgen::Serializer::json_compatible())?)
}

/// A MAC as the signer computes it, bytes in and bytes out: to be timed beside WebCrypto's.
#[wasm_bindgen]
pub struct Mac(MacKey);

#[wasm_bindgen]
impl Mac {
    /// A key with the part that every message starts with, which is hashed here.
    #[wasm_bindgen(constructor)]
    pub fn new(key: &[u8], prefix: &[u8]) -> Mac {
        Mac(MacKey::from_key_bytes(key).starting_with(prefix))
    }

    /// The MAC of the prefix and `rest`.
    pub fn mac(&self, rest: &[u8]) -> Vec<u8> {
        self.0.mac(rest).to_vec()
    }
}
