//! The issuer's Ed25519 key as it rests in the database, sealed under `K_kek`.

use super::roots::Roots;
use crate::clock::UnixTime;
use crate::rng::{self, NoRandomness, Random};
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::api_key::Ed25519Seed;
use bmap_protocol::keys::EpochKeys;
use bmap_protocol::seal::{self, SealError};
use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The row of an issuer key.
#[derive(Clone, Debug)]
pub struct SealedIssuerKey {
    /// Its id in token headers: `bj1.` and the first 16 characters of its RFC 7638 thumbprint.
    pub kid: String,
    /// Epoch of the root that sealed it.
    pub epoch: u32,
    /// The raw public key, base64url.
    pub public_key: String,
    /// The seed, sealed.
    pub sealed: String,
    /// When it was made.
    pub created_at: UnixTime,
}

/// An issuer key that can't be made or used.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum IssuerKeyError {
    /// No randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// The seal does not open: another root secret, or an edited row.
    #[error("the issuer's key does not open: {0}")]
    Seal(#[from] SealError),
    /// The root secret of its epoch is not at hand.
    #[error("the issuer's key is sealed in epoch {epoch}, and there is no root secret of that epoch")]
    Epoch {
        /// The epoch.
        epoch: u32,
    },
    /// It opened, and the row's id or public key is not that of the seed.
    #[error("the issuer's key opened, but it is not the key that the row names")]
    OtherKey,
}

/// A public key as JWKS shows it (RFC 7517, RFC 8037).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublicJwk {
    /// `OKP`.
    pub kty: &'static str,
    /// `Ed25519`.
    pub crv: &'static str,
    /// The raw public key, base64url.
    pub x: String,
    /// Its id.
    pub kid: String,
    /// `EdDSA`.
    pub alg: &'static str,
    /// `sig`.
    #[serde(rename = "use")]
    pub usage: &'static str,
}

impl PublicJwk {
    /// The JWK for a row.
    pub fn of(key: &SealedIssuerKey) -> Self {
        Self { kty: "OKP", crv: "Ed25519", x: key.public_key.clone(), kid: key.kid.clone(), alg: "EdDSA", usage: "sig" }
    }
}

/// Makes a new key and seals it.
///
/// # Errors
/// [`IssuerKeyError`] without randomness.
pub fn generate(epoch: &EpochKeys, now: UnixTime, random: &dyn Random) -> Result<SealedIssuerKey, IssuerKeyError> {
    let seed = Ed25519Seed::from_bytes(rng::bytes(random)?);
    let public_key = Base64UrlUnpadded::encode_string(&seed.public_key());
    let kid = kid(&public_key);
    let mut key = SealedIssuerKey { kid, epoch: epoch.epoch(), public_key, sealed: String::new(), created_at: now };
    key.sealed = key.seal(epoch, rng::bytes(random)?, seed.expose())?;
    Ok(key)
}

impl SealedIssuerKey {
    /// Opens the row: the seed, which is the one of the id and public key that the row names.
    ///
    /// # Errors
    /// [`IssuerKeyError`] for another root secret or a row that is not as it was written.
    pub fn open(&self, roots: &Roots) -> Result<Ed25519Seed, IssuerKeyError> {
        let epoch = roots.of(self.epoch).ok_or(IssuerKeyError::Epoch { epoch: self.epoch })?;
        let opened = self.unseal(&epoch)?;
        let seed: [u8; 32] = opened.as_slice().try_into().map_err(|_| IssuerKeyError::OtherKey)?;
        let seed = Ed25519Seed::from_bytes(seed);
        let x = Base64UrlUnpadded::encode_string(&seed.public_key());
        if x == self.public_key && kid(&x) == self.kid { Ok(seed) } else { Err(IssuerKeyError::OtherKey) }
    }

    /// Seals the seed of this key in an epoch.
    ///
    /// # Errors
    /// [`SealError`], to which nothing of this size comes.
    pub fn seal(&self, epoch: &EpochKeys, nonce: [u8; 12], seed: &[u8]) -> Result<String, SealError> {
        seal::seal(&epoch.kek(), epoch.epoch(), nonce, &associated_data(&self.kid, &self.public_key), seed)
    }

    /// The seed, not looked at any further.
    ///
    /// # Errors
    /// [`SealError`] for another root secret or an edited row.
    pub fn unseal(&self, epoch: &EpochKeys) -> Result<Zeroizing<Vec<u8>>, SealError> {
        seal::open(&epoch.kek(), self.epoch, &associated_data(&self.kid, &self.public_key), &self.sealed)
    }
}

/// `bj1.` and the first 16 characters of the RFC 7638 thumbprint: SHA-256 of the required members, in lexicographic order.
fn kid(x: &str) -> String {
    let thumbprint = Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
    let text = Base64UrlUnpadded::encode_string(&thumbprint);
    format!("bj1.{}", text.get(..16).unwrap_or_default())
}

/// The data that the seed is sealed to: its kind, id and public key.
fn associated_data(kid: &str, public_key: &str) -> Vec<u8> {
    format!("bmap/1/issuer-key\n{kid}\n{public_key}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::SystemRandom;
    use bmap_protocol::keys::RootSecret;

    #[test]
    fn the_id_is_the_one_of_the_known_answers() {
        assert_eq!(kid("hNxzrLJLra2GYO4yZZCXwsj900imCEXstBvf9Dw_fsI"), "bj1.DB9pPpwbSO7Q3Voa");
    }

    #[test]
    fn a_key_comes_back_only_with_its_root_and_its_row() {
        let epoch = RootSecret::from_bytes([7; 32]).epoch(1);
        let sealed = generate(&epoch, UnixTime(0), &SystemRandom).unwrap();
        let seed = sealed.open(&Roots::from(&epoch)).unwrap();
        assert_eq!(Base64UrlUnpadded::encode_string(&seed.public_key()), sealed.public_key);
        assert!(sealed.open(&RootSecret::from_bytes([8; 32]).epoch(1).into()).is_err());
        let other = generate(&epoch, UnixTime(0), &SystemRandom).unwrap();
        let copied = SealedIssuerKey { sealed: other.sealed, ..sealed.clone() };
        assert!(matches!(copied.open(&Roots::from(&epoch)), Err(IssuerKeyError::Seal(SealError::DoesNotOpen))));
        let renamed = SealedIssuerKey { kid: other.kid, ..sealed };
        assert!(renamed.open(&Roots::from(&epoch)).is_err());
    }
}
