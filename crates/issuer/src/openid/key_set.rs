//! A provider's public keys (RFC 7517), and which of them a token's header means.

use super::fault::IdTokenFault;
use crate::openid::fault::ProviderFault;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Largest key set, in bytes, and most keys of one.
pub const MAX_KEY_SET: usize = 256 * 1024;
const MAX_KEYS: usize = 100;
/// Longest key id.
const MAX_KID: usize = 256;

/// The keys that may have signed an ID token.
#[derive(Clone, Debug)]
pub struct KeySet(Vec<Jwk>);

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a set. Keys of other kinds, for other uses or in other forms are left out, as RFC 7517 §5 wants it.
    ///
    /// # Errors
    /// [`ProviderFault::Form`].
    pub fn read(bytes: &[u8]) -> Result<Self, ProviderFault> {
        let document: Document = serde_json::from_slice(bytes).map_err(|_| ProviderFault::Form { what: "key set" })?;
        let keys = document.keys.into_iter().take(MAX_KEYS);
        let keys = keys.filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        Ok(Self(keys.filter(|key| algorithm(key).is_some()).collect()))
    }

    /// The key that a header means, for its algorithm. The key says which algorithm it is for, not the token (T20).
    ///
    /// # Errors
    /// [`IdTokenFault::UnknownKey`]; the set may be older than the key.
    pub fn find(&self, kid: Option<&str>, alg: Algorithm) -> Result<DecodingKey, IdTokenFault> {
        let mut fitting = self.0.iter().filter(|key| algorithm(key) == Some(alg));
        let key = match kid {
            Some(kid) if kid.len() > MAX_KID => None,
            Some(kid) => fitting.find(|key| key.common.key_id.as_deref() == Some(kid)),
            // Without a name only an only key can be meant (OpenID Connect Core §10.1).
            None => fitting.next().filter(|_| fitting.next().is_none()),
        };
        let key = key.ok_or(IdTokenFault::UnknownKey)?;
        DecodingKey::from_jwk(key).map_err(|_| IdTokenFault::UnknownKey)
    }
}

/// The one algorithm of [`super::provider::ALGORITHMS`] that a key is for; `None` for shared secrets and everything else.
fn algorithm(key: &Jwk) -> Option<Algorithm> {
    let alg = match &key.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        _ => return None,
    };
    let is_for_signing = matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let says = key.common.key_algorithm.map(|named| named.to_string());
    let agrees = says.is_none_or(|says| says == format!("{alg:?}"));
    (is_for_signing && agrees).then_some(alg)
}
