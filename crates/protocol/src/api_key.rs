//! The parts of an API key (profile §2): its secret as people see it, and the values that are derived from it.
//!
//! ```
//! use bmap_protocol::api_key::ApiSecret;
//! use bmap_protocol::ids::ApiKeyId;
//!
//! let (id, secret) = (ApiKeyId::from_uuid([1; 16]), ApiSecret::from_bytes([2; 32]));
//! let stored = secret.stored_hash(&id);
//! assert!(stored.matches(&id, &ApiSecret::parse(&secret.reveal())?));
//! assert!(!stored.matches(&ApiKeyId::from_uuid([3; 16]), &secret), "a hash is of one key's secret");
//! # Ok::<(), bmap_protocol::api_key::InvalidSecret>(())
//! ```

use crate::ids::ApiKeyId;
use crate::keys::{SigningKey, lp_len, secret};
use alloc::string::String;
use base64ct::{Base64UrlUnpadded, Encoding};
use core::fmt;
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

secret!(
    /// `S`: the 32 random bytes of an API key, shown once as `bms_` + 43 base64url characters + `_` + 6 base62 digits.
    ApiSecret
);
secret!(
    /// The seed (RFC 8032 §5.1.5) of an API key that signs with Ed25519.
    Ed25519Seed
);

/// Why a text is not an API secret.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// Not `bms_` + 43 base64url characters + `_` + 6 base62 digits.
    #[error("an API secret is bms_, 43 base64url characters, _ and 6 base62 digits")]
    Form,
    /// The checksum does not match: a character was lost or changed on the way.
    #[error("the checksum of the API secret does not match: was it copied whole?")]
    Checksum,
}

const PREFIX: &str = "bms_";
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl ApiSecret {
    /// Reads the form that is shown to people.
    ///
    /// # Errors
    /// [`InvalidSecret`]; it never repeats the given text.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let (encoded, checksum) =
            text.strip_prefix(PREFIX).and_then(|rest| rest.split_at_checked(43)).ok_or(InvalidSecret::Form)?;
        let checksum = checksum.strip_prefix('_').filter(|digits| digits.len() == 6).ok_or(InvalidSecret::Form)?;
        let mut bytes = Zeroizing::new([0; 32]);
        // 43 digits are 32 bytes.
        Base64UrlUnpadded::decode(encoded, bytes.as_mut_slice()).map_err(|_| InvalidSecret::Form)?;
        if base62(crc32(encoded.as_bytes())).as_slice() != checksum.as_bytes() {
            return Err(InvalidSecret::Checksum);
        }
        Ok(Self(*bytes))
    }

    /// The form that is shown to people, once.
    pub fn reveal(&self) -> Zeroizing<String> {
        let encoded = Zeroizing::new(Base64UrlUnpadded::encode_string(&self.0));
        let mut text = Zeroizing::new(String::with_capacity(54));
        text.push_str(PREFIX);
        text.push_str(&encoded);
        text.push('_');
        base62(crc32(encoded.as_bytes())).iter().for_each(|digit| text.push(char::from(*digit)));
        text
    }

    /// `SHA-256(lp("bmap/1/api-auth") ‖ lp(key id) ‖ S)`: the hash that is stored, and compared with a presented
    /// secret.
    pub fn stored_hash(&self, key_id: &ApiKeyId) -> StoredHash {
        let id = key_id.as_str().as_bytes();
        let hash = Sha256::new()
            .chain_update(lp_len(b"bmap/1/api-auth"))
            .chain_update(b"bmap/1/api-auth")
            .chain_update(lp_len(id))
            .chain_update(id)
            .chain_update(self.0);
        StoredHash(hash.finalize().into())
    }

    /// `K_api`: the HMAC-SHA256 key that signs requests.
    pub fn signing_key(&self, key_id: &ApiKeyId) -> SigningKey {
        SigningKey::from_bytes(self.derive(b"bmap/1/api-sign", key_id))
    }

    /// The seed of the Ed25519 key that signs requests.
    pub fn ed25519_seed(&self, key_id: &ApiKeyId) -> Ed25519Seed {
        Ed25519Seed(self.derive(b"bmap/1/api-ed25519", key_id))
    }

    fn derive(&self, label: &[u8], key_id: &ApiKeyId) -> [u8; 32] {
        let id = key_id.as_str().as_bytes();
        let mut key = [0; 32];
        let prk = Hkdf::<Sha256>::new(Some(b"bmap/1/api"), &self.0);
        if prk.expand_multi_info(&[&lp_len(label), label, &lp_len(id), id], &mut key).is_err() {
            key = [0; 32]; // One block is never too long (RFC 5869 §2.3).
        }
        key
    }
}

#[cfg(feature = "ed25519")]
impl Ed25519Seed {
    /// The key that signs.
    pub fn signing_key(&self) -> ed25519_dalek::SigningKey {
        ed25519_dalek::SigningKey::from_bytes(&self.0)
    }

    /// The public key: all that a row of a key that signs with Ed25519 holds.
    pub fn public_key(&self) -> [u8; 32] {
        self.signing_key().verifying_key().to_bytes()
    }
}

/// The hash that a row holds for a presented secret. Compared in constant time only; never used as a MAC key.
#[derive(Clone)]
pub struct StoredHash(pub [u8; 32]);

impl StoredHash {
    /// Whether the presented secret is the one behind this hash, in constant time.
    pub fn matches(&self, key_id: &ApiKeyId, presented: &ApiSecret) -> bool {
        self.0.ct_eq(&presented.stored_hash(key_id).0).into()
    }
}

impl fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredHash(…)")
    }
}

/// CRC-32 (IEEE 802.3) of the encoded secret: so that scanners and people find a damaged one; not a security check.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// Six base62 digits, most significant first: 62^6 > 2^32.
fn base62(mut number: u32) -> [u8; 6] {
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62.get((number % 62) as usize).copied().unwrap_or(b'0');
        number /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32_is_the_common_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926); // the check value of CRC-32/ISO-HDLC
        assert_eq!(&base62(0), b"000000");
        assert_eq!(&base62(u32::MAX), b"4gfFC3");
    }

    #[test]
    fn a_secret_comes_back_and_a_damaged_one_does_not() {
        let secret = ApiSecret::from_bytes([0x5a; 32]);
        let shown = secret.reveal();
        assert_eq!(shown.len(), 54);
        assert_eq!(ApiSecret::parse(&shown).unwrap().expose(), secret.expose());
        let damaged = shown.replacen('W', "X", 1);
        assert_ne!(*damaged, **shown);
        assert_eq!(ApiSecret::parse(&damaged).unwrap_err(), InvalidSecret::Checksum);
        for text in ["", "bms_", "bmx_", &shown[..53], &format!("{}x", *shown), "bms_ééééééééééééééééééééééééééé"]
        {
            assert_eq!(ApiSecret::parse(text).unwrap_err(), InvalidSecret::Form, "{text:?}");
        }
    }

    #[test]
    fn t33_a_secret_does_not_print() {
        let secret = ApiSecret::from_bytes([0x5a; 32]);
        let id = ApiKeyId::from_uuid([1; 16]);
        assert_eq!(format!("{secret:?} {:?}", secret.stored_hash(&id)), "ApiSecret(…) StoredHash(…)");
    }

    #[test]
    fn a_hash_matches_one_secret_of_one_key() {
        let secret = ApiSecret::from_bytes([1; 32]);
        let (a, b) = (ApiKeyId::from_uuid([1; 16]), ApiKeyId::from_uuid([2; 16]));
        let stored = secret.stored_hash(&a);
        assert!(stored.matches(&a, &secret));
        assert!(!stored.matches(&b, &secret));
        assert!(!stored.matches(&a, &ApiSecret::from_bytes([2; 32])));
    }
}
