//! A signed request taken apart, for a debug panel and for tests: what a verifier reads out of it, and the base that it rebuilds.

use crate::error::refuse;
use bmap_protocol::check::{self, Received};
use bmap_protocol::fields::Fields;
use bmap_protocol::received::UnverifiedSignature;
use bmap_protocol::signature_base::Values;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Url;

/// A request as it was sent.
#[derive(Deserialize)]
struct Sent {
    method: String,
    headers: BTreeMap<String, String>,
}

/// The answer of [`inspect`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Inspection {
    components: Vec<Component>,
    created: i64,
    expires: Option<i64>,
    nonce: [u8; 16],
    key_id: String,
    signature: Vec<u8>,
    base: String,
    /// The token's payload as it reads; nothing of it was checked.
    unverified_claims: Option<serde_json::Value>,
}

/// One covered component with the value that was signed.
#[derive(Serialize)]
struct Component {
    name: String,
    value: String,
}

/// Takes a signed request apart with the verifier's own parser. Checks no signature.
///
/// # Errors
/// The code that a verifier would refuse with, where the request is not of the profile's form; `bad_request` for arguments that are
/// no request.
#[wasm_bindgen(unchecked_return_type = "Inspection")]
pub fn inspect(
    #[wasm_bindgen(unchecked_param_type = "{ method: string; headers: Record<string, string> }")] sent: JsValue,
    url: &Url,
) -> Result<JsValue, JsValue> {
    let sent: Sent = serde_wasm_bindgen::from_value(sent).map_err(|_| refuse("bad_request"))?;
    let mut headers = http::HeaderMap::new();
    for (name, value) in &sent.headers {
        let name = http::HeaderName::try_from(name).map_err(|_| refuse("bad_request"))?;
        headers.append(name, value.try_into().map_err(|_| refuse("bad_request"))?);
    }
    let fields = Fields::of(&headers);
    let (scheme, authority, path, search) = (url.protocol(), url.host(), url.pathname(), url.search());
    let received = Received {
        method: &sent.method,
        scheme: scheme.strip_suffix(':').unwrap_or(&scheme),
        authority: &authority,
        path: &path,
        query: search.strip_prefix('?'),
        fields: &fields,
    };
    let signature = UnverifiedSignature::parse(&fields).map_err(|refusal| refuse(refusal.code().as_str()))?;
    let base = check::base(&received, &signature).map_err(|refusal| refuse(refusal.code().as_str()))?;
    let components = signature.components().map(|component| {
        let mut value = Vec::new();
        // The base was written, so every component is there.
        received.put_value(component, &mut value).ok();
        Component { name: component.name().to_owned(), value: String::from_utf8_lossy(&value).into_owned() }
    });
    let inspection = Inspection {
        components: components.collect(),
        created: signature.created,
        expires: signature.expires,
        nonce: signature.nonce,
        key_id: signature.key_id.to_owned(),
        signature: signature.signature().to_vec(),
        base: String::from_utf8_lossy(&base).into_owned(),
        unverified_claims: sent.headers.get("authorization").and_then(|value| claims(value)),
    };
    // Objects as JavaScript writes them, and not as `Map`; numbers as numbers.
    let serializer = serde_wasm_bindgen::Serializer::json_compatible();
    inspection.serialize(&serializer).map_err(|_| refuse("bad_request"))
}

fn claims(authorization: &str) -> Option<serde_json::Value> {
    use base64ct::Encoding;
    let payload = authorization.split_once(' ')?.1.split('.').nth(1)?;
    serde_json::from_slice(&base64ct::Base64UrlUnpadded::decode_vec(payload).ok()?).ok()
}

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = "
/** A signed request taken apart. */
export interface Inspection {
  /** The covered components with their values, in the order in which they were signed. */
  components: { name: string; value: string }[];
  /** Seconds since 1970, in the server's time. */
  created: number;
  /** Seconds since 1970, where the signature has an end of its own. */
  expires: number | null;
  /** The 16 bytes that make the request the only one of its kind. */
  nonce: number[];
  /** The token's `jti`, or the API key's id. */
  keyId: string;
  /** The bytes of the signature. */
  signature: number[];
  /** The text that was signed (RFC 9421 §2.5). */
  base: string;
  /** The token's payload as it reads. Nothing of it was checked. */
  unverifiedClaims: Record<string, unknown> | null;
}
";
