//! Sealing of key material at rest (profile §2): AES-256-GCM under `K_kek`, bound to the whole row.
//!
//! The associated data names epoch, key id, signing kind, owner, canonical scope and stored hash. A row that was edited
//! or copied does not open, so an attacker who can write the database can't forge, re-own or widen a key (T13).
//!
//! ```
//! use bmap_protocol::api_key::ApiSecret;
//! use bmap_protocol::ids::{ApiKeyId, UserId};
//! use bmap_protocol::keys::RootSecret;
//! use bmap_protocol::seal::{ApiKeyRow, SigningKind};
//!
//! let kek = RootSecret::from_bytes([7; 32]).epoch(1).kek();
//! let (id, owner) = (ApiKeyId::from_uuid([1; 16]), UserId::from_uuid([2; 16]));
//! let hash = ApiSecret::from_bytes([3; 32]).stored_hash(&id);
//! let row = ApiKeyRow {
//!     epoch: 1, key_id: &id, signing: SigningKind::HmacSha256, owner: &owner, scope: "{}", stored_hash: &hash,
//! };
//! let sealed = row.seal(&kek, [9; 12], b"key material")?; // the nonce is random
//! assert_eq!(*row.open(&kek, &sealed)?, b"key material");
//! let other = UserId::from_uuid([4; 16]);
//! assert!(ApiKeyRow { owner: &other, ..row }.open(&kek, &sealed).is_err(), "an edited row does not open");
//! # Ok::<(), bmap_protocol::seal::SealError>(())
//! ```

use crate::api_key::StoredHash;
use crate::ids::{ApiKeyId, UserId};
use crate::keys::{KeyEncryptionKey, lp_len};
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64ct::{Base64UrlUnpadded, Encoding};
use zeroize::Zeroizing;

/// How a key signs: a part of the data that its row is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningKind {
    /// HMAC-SHA256 with `K_api`; the row holds it sealed.
    HmacSha256,
    /// Ed25519; the row holds the public key.
    Ed25519,
}

impl SigningKind {
    /// The kind as text, as in rows and in the interface.
    pub const fn as_str(self) -> &'static str {
        match self {
            SigningKind::HmacSha256 => "hmac-sha256",
            SigningKind::Ed25519 => "ed25519",
        }
    }
}

/// The row that an API key's sealed material is bound to.
#[derive(Clone, Copy, Debug)]
pub struct ApiKeyRow<'a> {
    /// Epoch of the root whose `K_kek` seals.
    pub epoch: u32,
    /// The key's public id.
    pub key_id: &'a ApiKeyId,
    /// How it signs.
    pub signing: SigningKind,
    /// Its user.
    pub owner: &'a UserId,
    /// Its scope as canonical JSON, byte for byte as stored.
    pub scope: &'a str,
    /// The hash of its secret.
    pub stored_hash: &'a StoredHash,
}

/// Why something could not be sealed or opened.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A field of the associated data is over 65,535 bytes.
    #[error("a sealed row's field is over 65,535 bytes")]
    FieldTooLong,
    /// Not `s1.` and base64url of epoch, nonce and ciphertext.
    #[error("not a sealed value")]
    Form,
    /// Sealed in another epoch than the row says.
    #[error("sealed in epoch {sealed}, the row says {row}")]
    OtherEpoch {
        /// Epoch in the sealed value.
        sealed: u32,
        /// Epoch of the row.
        row: u32,
    },
    /// The tag does not match: edited row, other key, or a damaged value. Nothing was decrypted.
    #[error("the sealed value does not open: edited row or other root secret")]
    DoesNotOpen,
}

const VERSION: &str = "s1.";
const NONCE_LEN: usize = 12;

impl ApiKeyRow<'_> {
    /// `lp("bmap/1/seal") ‖ u32(e) ‖ lp(key id) ‖ lp(signing) ‖ lp(owner) ‖ lp(scope) ‖ lp(stored hash)`.
    ///
    /// # Errors
    /// [`SealError::FieldTooLong`] for a scope over 65,535 bytes.
    pub fn associated_data(&self) -> Result<Vec<u8>, SealError> {
        let mut data = field(Vec::new(), b"bmap/1/seal")?;
        data.extend_from_slice(&self.epoch.to_be_bytes());
        let fields: [&[u8]; 5] = [
            self.key_id.as_str().as_bytes(),
            self.signing.as_str().as_bytes(),
            self.owner.as_str().as_bytes(),
            self.scope.as_bytes(),
            &self.stored_hash.0,
        ];
        fields.into_iter().try_fold(data, field)
    }

    /// Seals key material to this row. `nonce` is 12 random bytes, never used twice under one key.
    ///
    /// # Errors
    /// [`SealError::FieldTooLong`] for a scope over 65,535 bytes.
    pub fn seal(&self, kek: &KeyEncryptionKey, nonce: [u8; NONCE_LEN], material: &[u8]) -> Result<String, SealError> {
        seal(kek, self.epoch, nonce, &self.associated_data()?, material)
    }

    /// Opens the text that was sealed to exactly this row.
    ///
    /// # Errors
    /// [`SealError`]; nothing of the plaintext is given out before the tag holds.
    pub fn open(&self, kek: &KeyEncryptionKey, sealed: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
        open(kek, self.epoch, &self.associated_data()?, sealed)
    }
}

/// Seals `material` under `kek` with any associated data: `s1.` + base64url(u32(epoch) ‖ nonce ‖ ciphertext ‖ tag).
///
/// `nonce` is 12 random bytes, never used twice under one key.
///
/// # Errors
/// [`SealError::FieldTooLong`] where the material is longer than AES-GCM takes.
pub fn seal(
    kek: &KeyEncryptionKey,
    epoch: u32,
    nonce: [u8; NONCE_LEN],
    associated_data: &[u8],
    material: &[u8],
) -> Result<String, SealError> {
    let ciphertext = Aes256Gcm::new(kek.expose().into())
        .encrypt(&Nonce::from(nonce), Payload { msg: material, aad: associated_data })
        .map_err(|_| SealError::FieldTooLong)?;
    let mut bytes = epoch.to_be_bytes().to_vec();
    bytes.extend_from_slice(&nonce);
    bytes.extend_from_slice(&ciphertext);
    Ok(format!("{VERSION}{}", Base64UrlUnpadded::encode_string(&bytes)))
}

/// Opens what [`seal`] made with the same key, epoch and associated data.
///
/// # Errors
/// [`SealError`]; nothing of the plaintext is given out before the tag holds.
pub fn open(
    kek: &KeyEncryptionKey,
    epoch: u32,
    associated_data: &[u8],
    sealed: &str,
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let encoded = sealed.strip_prefix(VERSION).ok_or(SealError::Form)?;
    let bytes = Base64UrlUnpadded::decode_vec(encoded).map_err(|_| SealError::Form)?;
    let (sealed_epoch, rest) = bytes.split_first_chunk::<4>().ok_or(SealError::Form)?;
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Form)?;
    let sealed_epoch = u32::from_be_bytes(*sealed_epoch);
    if sealed_epoch != epoch {
        return Err(SealError::OtherEpoch { sealed: sealed_epoch, row: epoch });
    }
    Aes256Gcm::new(kek.expose().into())
        .decrypt(&Nonce::from(*nonce), Payload { msg: ciphertext, aad: associated_data })
        .map(Zeroizing::new)
        .map_err(|_| SealError::DoesNotOpen)
}

/// Appends `lp(x)`.
fn field(mut data: Vec<u8>, x: &[u8]) -> Result<Vec<u8>, SealError> {
    if u16::try_from(x.len()).is_err() {
        return Err(SealError::FieldTooLong);
    }
    data.extend_from_slice(&lp_len(x));
    data.extend_from_slice(x);
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t13_an_edited_row_does_not_open() {
        let kek = KeyEncryptionKey::from_bytes([1; 32]);
        let (id, other_id) = (ApiKeyId::from_uuid([1; 16]), ApiKeyId::from_uuid([2; 16]));
        let (owner, other_owner) = (UserId::from_uuid([1; 16]), UserId::from_uuid([2; 16]));
        let (hash, other_hash) = (StoredHash([1; 32]), StoredHash([2; 32]));
        let row = ApiKeyRow {
            epoch: 1,
            key_id: &id,
            signing: SigningKind::HmacSha256,
            owner: &owner,
            scope: r#"{"tools":["geo"]}"#,
            stored_hash: &hash,
        };
        let sealed = row.seal(&kek, [9; 12], b"material").unwrap();
        assert_eq!(row.open(&kek, &sealed).unwrap().as_slice(), b"material");
        for edited in [
            ApiKeyRow { key_id: &other_id, ..row },
            ApiKeyRow { signing: SigningKind::Ed25519, ..row },
            ApiKeyRow { owner: &other_owner, ..row },
            ApiKeyRow { scope: r#"{"tools":["geo","router"]}"#, ..row },
            ApiKeyRow { stored_hash: &other_hash, ..row },
        ] {
            assert_eq!(edited.open(&kek, &sealed), Err(SealError::DoesNotOpen));
        }
        assert_eq!(ApiKeyRow { epoch: 2, ..row }.open(&kek, &sealed), Err(SealError::OtherEpoch { sealed: 1, row: 2 }));
        assert_eq!(row.open(&KeyEncryptionKey::from_bytes([2; 32]), &sealed), Err(SealError::DoesNotOpen));
    }

    #[test]
    fn r56_every_short_or_cut_value_is_an_error_and_no_panic() {
        let kek = KeyEncryptionKey::from_bytes([1; 32]);
        for length in 0..=32 {
            let sealed = seal(&kek, 1, [9; 12], b"row", &vec![7; length]).unwrap();
            assert_eq!(open(&kek, 1, b"row", &sealed).unwrap().len(), length);
            for cut in 0..sealed.len() {
                assert!(open(&kek, 1, b"row", &sealed[..cut]).is_err());
            }
        }
        for length in 0..=64 {
            let encoded =
                format!("s1.{}", Base64UrlUnpadded::encode_string(&[&[0, 0, 0, 1][..], &vec![7; length]].concat()));
            assert!(open(&kek, 1, b"row", &encoded).is_err());
        }
    }

    #[test]
    fn a_scope_that_does_not_fit_its_prefix_is_an_error() {
        let (id, owner, hash) = (ApiKeyId::from_uuid([1; 16]), UserId::from_uuid([1; 16]), StoredHash([1; 32]));
        let scope = "x".repeat(65_536);
        let row = ApiKeyRow {
            epoch: 1,
            key_id: &id,
            signing: SigningKind::Ed25519,
            owner: &owner,
            scope: &scope,
            stored_hash: &hash,
        };
        assert_eq!(row.associated_data(), Err(SealError::FieldTooLong));
    }
}
