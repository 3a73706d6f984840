//! The shape of the three files.

use serde::Deserialize;
use std::collections::BTreeMap;

/// `keys.json`.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "the members are the file's")]
pub struct Keys {
    pub root_hex: String,
    pub epoch: u32,
    pub issuer: String,
    pub tool: String,
    pub kek_hex: String,
    pub pepper_hex: String,
    pub tool_key_hex: String,
    pub hop_key_hex: String,
    pub token: String,
    pub token_sha256_hex: String,
    pub signing_key_hex: String,
    pub encryption_key_hex: String,
    pub issuer_ed25519_seed_hex: String,
    pub issuer_jwk: Jwk,
    pub api_key: ApiKey,
    pub other_tool_key_hex: String,
    pub other_epoch_key_hex: String,
    pub hop_encrypt_key_hex: String,
    pub capability_key_hex: String,
    pub challenge_key_hex: String,
    pub link_key_hex: String,
}

/// The issuer's public key.
#[derive(Debug, Deserialize)]
pub struct Jwk {
    pub kid: String,
    pub x: String,
}

/// The API key.
#[derive(Debug, Deserialize)]
pub struct ApiKey {
    pub key_id: String,
    pub secret_hex: String,
    pub signing_key_hex: String,
    pub ed25519_seed_hex: String,
    pub ed25519_public_hex: String,
    pub stored_hash_hex: String,
    pub owner: String,
    pub canonical_scope: String,
    pub seal_nonce_hex: String,
    pub seal_aad_hex: String,
    pub sealed: String,
}

/// One request of `requests.json` or `refusals.json`.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "the members are the file's")]
pub struct Case {
    pub name: String,
    pub method: String,
    pub authority: String,
    pub path: String,
    pub query: String,
    pub body_hex: String,
    pub created: u64,
    pub nonce: String,
    pub now: u32,
    pub signer: String,
    pub claims: Option<Claims>,
    pub signature_base: String,
    pub headers: BTreeMap<String, String>,
    pub expect: Option<String>,
    #[serde(default)]
    pub extra: BTreeMap<String, String>,
    pub signing_key_hex: Option<String>,
}

/// One request of `capability.json`.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "the members are the file's")]
pub struct CapabilityCase {
    pub name: String,
    pub now: u32,
    pub method: String,
    pub authority: String,
    pub path: String,
    pub query: String,
    pub origin: Option<String>,
    pub capability_key_hex: String,
    pub capability: String,
    pub tool_sees: Option<ToolSees>,
    pub expect: Option<String>,
}

/// What is left for the tool.
#[derive(Debug, Deserialize)]
pub struct ToolSees {
    /// Path and query, without the capability.
    pub target: String,
}

/// The claims that the runner needs.
#[derive(Debug, Deserialize)]
pub struct Claims {
    pub jti: String,
    pub origin: Option<String>,
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes behind hex digits.
pub(crate) fn unhex(text: &str) -> Result<Vec<u8>, String> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return Err("not hex".to_owned());
    }
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).map_err(|error| error.to_string()))
        .collect()
}

/// The 32 bytes behind hex digits.
pub(crate) fn unhex32(text: &str) -> Result<[u8; 32], String> {
    unhex(text)?.try_into().map_err(|_| "not 32 bytes".to_owned())
}
