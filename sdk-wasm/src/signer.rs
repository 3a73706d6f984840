//! The signer of one tool token or API key.

use crate::error::{code, refuse};
use crate::rng::Nonces;
use alloc::string::String;
use bmap_protocol::keys::SigningKey;
use bmap_protocol::sign::{self, Request, RequestKey, Stamp};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Url;
use zeroize::Zeroizing;

/// Signs requests with one key. The key stays in here; JavaScript can't read it back, and it is wiped by `free()`.
#[wasm_bindgen]
pub struct Signer {
    pub(crate) key: RequestKey,
    pub(crate) key_id: String,
    pub(crate) nonces: Nonces,
}

#[wasm_bindgen]
impl Signer {
    /// The signer of a tool token: `key` is the 32 bytes of its `signing_key`, `key_id` its `key_id`.
    ///
    /// # Errors
    /// `bad_key` unless there are 32 bytes, and a token that can be sent.
    #[wasm_bindgen(constructor)]
    pub fn new(key: &[u8], key_id: String, token: &str) -> Result<Signer, JsValue> {
        let bytes = Zeroizing::new(<[u8; 32]>::try_from(key).map_err(|_| refuse("bad_key"))?);
        let key = RequestKey::token(&SigningKey::from_bytes(*bytes), token).map_err(|_| refuse("bad_key"))?;
        Ok(Self { key, key_id, nonces: Nonces::new() })
    }

    /// Signs a request that is about to be sent to `url`, and answers with the values of `Signature-Input` and `Signature`, one
    /// after the other with a line feed between: one string crosses the boundary faster than an object of two.
    ///
    /// `created` is the server's time in seconds. The type and the digest are given where there is a body.
    ///
    /// # Errors
    /// `bad_url` or `bad_request` where a verifier would have to refuse; nothing is signed then.
    pub fn sign(
        &mut self,
        method: &str,
        url: &Url,
        created: f64,
        content_type: Option<String>,
        content_digest: Option<String>,
    ) -> Result<String, JsValue> {
        let (host, path, search) = (url.host(), url.pathname(), url.search());
        let request = Request {
            method,
            authority: &host,
            path: &path,
            query: search.strip_prefix('?'),
            authorization: None,
            content_type: content_type.as_deref(),
            content_digest: content_digest.as_deref(),
            more: &[],
        };
        let stamp = Stamp { created: created as u64, nonce: self.nonces.take()?, key_id: &self.key_id };
        let headers = sign::sign(&request, &stamp, &self.key).map_err(|error| refuse(code(error)))?;
        let mut both = headers.signature_input;
        both.push('\n');
        both.push_str(&headers.signature);
        Ok(both)
    }
}
