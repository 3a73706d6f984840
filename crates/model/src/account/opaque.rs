//! Opaque tokens: 32 random bytes as text, of which only the SHA-256 is stored.

use crate::row_seal::RowSeal;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::keys::EpochKeys;
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// The purpose of a token. It stands in the text and goes into the hash, so one kind is never taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes on with a session.
    Refresh,
    /// Confirms the address of a registration.
    Confirmation,
    /// Sets a new password.
    PasswordReset,
    /// Confirms the new address of an account.
    EmailChange,
    /// Names a sign-in while the browser is at a provider.
    SignInState,
    /// Binds such sign-ins to their browser: its cookie.
    Browser,
    /// The code that a page swaps for the session of such a sign-in.
    SignInCode,
    /// Allows one act of a user who entered the password a moment ago.
    StepUp,
    /// Revokes keys after a password was reset.
    KeyReview,
    /// Makes an account of an invited address.
    Invitation,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 10] = [
        Kind::Refresh,
        Kind::Confirmation,
        Kind::PasswordReset,
        Kind::EmailChange,
        Kind::SignInState,
        Kind::Browser,
        Kind::SignInCode,
        Kind::StepUp,
        Kind::KeyReview,
        Kind::Invitation,
    ];

    const fn prefix(self) -> &'static str {
        match self {
            Kind::Refresh => "bmr_",
            Kind::Confirmation => "bmc_",
            Kind::PasswordReset => "bmp_",
            Kind::EmailChange => "bme_",
            Kind::SignInState => "bmo_",
            Kind::Browser => "bmn_",
            Kind::SignInCode => "bmi_",
            Kind::StepUp => "bmu_",
            Kind::KeyReview => "bmv_",
            Kind::Invitation => "bmg_",
        }
    }
}

/// A token as its holder has it: a bearer secret. Redacted in `Debug`, wiped on drop.
pub struct OpaqueToken {
    kind: Kind,
    bytes: Zeroizing<[u8; 32]>,
}

/// SHA-256 of a token's text, base64url: all that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHash(String);

impl OpaqueToken {
    /// The token for 32 random bytes.
    pub fn from_bytes(kind: Kind, bytes: [u8; 32]) -> Self {
        Self { kind, bytes: Zeroizing::new(bytes) }
    }

    /// A token of 16 random bytes and 16 of a MAC over them and its row: it is good for that row alone, so an attacker who can
    /// only write the database can't put a row in for a token of their own (T13).
    pub fn bound_to(kind: Kind, keys: &EpochKeys, random: &[u8; 16], row: &[&str]) -> Self {
        let encoded = Base64UrlUnpadded::encode_string(random);
        let mac = RowSeal::bytes(keys, &[&[kind.prefix(), encoded.as_str()], row].concat());
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.iter_mut().zip(random.iter().chain(&mac)).for_each(|(to, from)| *to = *from);
        Self { kind, bytes }
    }

    /// Whether it was made for that row: made again of it, it is the same.
    pub fn is_bound_to(&self, keys: &EpochKeys, row: &[&str]) -> bool {
        let Some(random) = self.bytes.first_chunk() else { return false };
        // Hashes are compared, so how far they are alike says nothing about the token.
        Self::bound_to(self.kind, keys, random, row).hash() == self.hash()
    }

    /// Reads a presented text; `None` if it is no token of that kind.
    pub fn parse(kind: Kind, text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(kind.prefix())?;
        let mut bytes = Zeroizing::new([0; 32]);
        let length = Base64UrlUnpadded::decode(encoded, bytes.as_mut_slice()).ok()?.len();
        (encoded.len() == 43 && length == 32).then_some(Self { kind, bytes })
    }

    /// The text, for its one receiver.
    pub fn reveal(&self) -> Zeroizing<String> {
        let encoded = Zeroizing::new(Base64UrlUnpadded::encode_string(self.bytes.as_slice()));
        Zeroizing::new(format!("{}{}", self.kind.prefix(), *encoded))
    }

    /// The bytes, to derive from.
    pub fn expose(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The hash to store, or to look for.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Base64UrlUnpadded::encode_string(&Sha256::digest(self.reveal().as_bytes())))
    }
}

impl fmt::Debug for OpaqueToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpaqueToken({:?}, …)", self.kind)
    }
}

impl TokenHash {
    /// The hash as stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hash as it was stored.
    pub fn from_stored(text: &str) -> Option<Self> {
        (text.len() == 43).then(|| Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hash_can_be_stored_and_kinds_are_kept_apart() {
        let token = OpaqueToken::from_bytes(Kind::Refresh, [7; 32]);
        let text = token.reveal();
        assert_eq!(text.len(), 47);
        assert_eq!(OpaqueToken::parse(Kind::Refresh, &text).unwrap().hash(), token.hash());
        assert!(OpaqueToken::parse(Kind::Confirmation, &text).is_none());
        assert_ne!(OpaqueToken::from_bytes(Kind::Confirmation, [7; 32]).hash(), token.hash());
        assert!(!token.hash().as_str().contains(&text[4..]));
        assert_eq!(format!("{token:?}"), "OpaqueToken(Refresh, …)");
        for bad in ["", "bmr_", &text[..46], &format!("{}x", *text), &"x".repeat(47), "bmr_' OR 1=1--"] {
            assert!(OpaqueToken::parse(Kind::Refresh, bad).is_none(), "{bad}");
        }
    }
}
