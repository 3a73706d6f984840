//! The issuer's Ed25519 key, ready to sign tokens.

use bmap_model::issuer_key::{IssuerKeyError, SealedIssuerKey};
use bmap_model::roots::Roots;
use bmap_protocol::api_key::Ed25519Seed;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use std::fmt;
use zeroize::Zeroizing;

/// The key, ready to sign.
#[derive(Clone)]
pub struct TokenSigner {
    pub(super) header: Header,
    pub(super) key: EncodingKey,
    kid: String,
    public_key: [u8; 32],
}

impl fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenSigner({}, …)", self.kid)
    }
}

impl TokenSigner {
    /// The key of a row.
    ///
    /// # Errors
    /// [`IssuerKeyError`] for another root secret or a row that is not as it was written.
    pub fn open(key: &SealedIssuerKey, roots: &Roots) -> Result<Self, IssuerKeyError> {
        let seed = key.open(roots)?;
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(key.kid.clone());
        let public_key = seed.public_key();
        Ok(Self { header, key: EncodingKey::from_ed_der(&pkcs8(&seed)), kid: key.kid.clone(), public_key })
    }

    /// The key's id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The raw public key.
    pub const fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }

    /// The header of every token that it signs.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Signs claims as a JWT (RFC 7515).
    ///
    /// # Errors
    /// The JWT library's, for claims that are no JSON.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, jsonwebtoken::errors::Error> {
        jsonwebtoken::encode(&self.header, claims, &self.key)
    }
}

/// A seed as PKCS #8 version 1 (RFC 8410 §7): the one form that the JWT library takes.
fn pkcs8(seed: &Ed25519Seed) -> Zeroizing<Vec<u8>> {
    const PREFIX: [u8; 16] =
        [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    let mut der = Zeroizing::new(Vec::with_capacity(48));
    der.extend_from_slice(&PREFIX);
    der.extend_from_slice(seed.expose());
    der
}

#[cfg(test)]
mod tests {
    use super::*;
    use bmap_model::clock::UnixTime;
    use bmap_model::issuer_key::generate;
    use bmap_model::rng::SystemRandom;
    use bmap_protocol::keys::RootSecret;

    #[test]
    fn a_signer_is_of_its_row_and_does_not_print() {
        let epoch = RootSecret::from_bytes([7; 32]).epoch(1);
        let sealed = generate(&epoch, UnixTime(0), &SystemRandom).unwrap();
        let signer = TokenSigner::open(&sealed, &Roots::from(&epoch)).unwrap();
        assert_eq!(signer.header().kid.as_deref(), Some(sealed.kid.as_str()));
        assert_eq!(format!("{signer:?}"), format!("TokenSigner({}, …)", sealed.kid));
        assert!(TokenSigner::open(&sealed, &RootSecret::from_bytes([8; 32]).epoch(1).into()).is_err());
    }
}
