//! For callers that hold an API key: backends, never pages.

use crate::error::refuse;
use crate::rng::Nonces;
use crate::signer::Signer;
use alloc::string::String;
use bmap_protocol::api_key::ApiSecret;
use bmap_protocol::ids::ApiKeyId;
use bmap_protocol::keys::MacKey;
use bmap_protocol::sign::RequestKey;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// The signer of an API key that signs with HMAC: the key is derived from the `bms_…` secret as it is shown.
///
/// # Errors
/// `bad_key` unless both are of their form and the secret's checksum holds.
#[wasm_bindgen(js_name = apiKeySigner)]
pub fn api_key_signer(key_id: String, secret: &str) -> Result<Signer, JsValue> {
    let id = ApiKeyId::parse(&key_id).map_err(|_| refuse("bad_key"))?;
    let secret = ApiSecret::parse(secret).map_err(|_| refuse("bad_key"))?;
    let key = RequestKey::Hmac(MacKey::new(&secret.signing_key(&id)));
    Ok(Signer { key, key_id, nonces: Nonces::new() })
}
