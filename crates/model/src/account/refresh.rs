//! Rotation of refresh tokens (profile §7): each is used once, and its successor is the same for every caller that
//! presents it within the grace (R38, R39).
//!
//! The successor is derived and not stored: HKDF over the presented token and `K_kek`, salted with 32 random bytes that
//! stand in the used token's row. So all racers get the same pair, whichever of them the database let win; the database
//! holds hashes and salts, which make nothing; and neither the root secret without the token nor the token without the root
//! secret leads to the successor.

use super::UserSession;
use super::opaque::{Kind, OpaqueToken, TokenHash};
use crate::clock::UnixTime;
use crate::roots::Roots;
use crate::row_seal::{RowFault, RowSeal};
use crate::session::SessionId;
use crate::user::UserState;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::keys::EpochKeys;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// 32 random bytes that make a token's successor from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salt([u8; 32]);

/// That a token was used: when, and what made its successor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// When.
    pub at: UnixTime,
    /// The successor's salt.
    pub salt: Salt,
}

/// The successor of a token: the next one, and the `jti` of the access token beside it.
#[derive(Debug)]
pub struct Successor {
    /// The next refresh token.
    pub token: OpaqueToken,
    /// The access token's id.
    pub jti: [u8; 16],
}

impl Salt {
    /// The salt of 32 random bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The salt as stored.
    pub fn to_text(&self) -> String {
        Base64UrlUnpadded::encode_string(&self.0)
    }

    /// The salt as it was stored.
    pub fn from_stored(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let length = Base64UrlUnpadded::decode(text, &mut bytes).ok()?.len();
        (length == 32).then_some(Self(bytes))
    }
}

impl Used {
    /// Whether the token still gives its successor. A clock that is behind the one that wrote the time counts as within.
    pub const fn is_within_grace(&self, now: UnixTime, grace_seconds: i64) -> bool {
        now.0.saturating_sub(self.at.0) < grace_seconds.saturating_mul(1000)
    }
}

/// A successor could not be derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a successor of a refresh token could not be derived")]
pub struct NotDerived;

/// The successor of `token` with that salt.
///
/// # Errors
/// [`NotDerived`], which two lengths below HKDF's limit never come to.
pub fn successor(keys: &EpochKeys, token: &OpaqueToken, salt: &Salt) -> Result<Successor, NotDerived> {
    let mut material = Zeroizing::new([0; 64]);
    let (secret, presented) = material.split_at_mut(32);
    secret.copy_from_slice(keys.kek().expose());
    presented.copy_from_slice(token.expose());
    let derived = Hkdf::<Sha256>::new(Some(&salt.0), material.as_slice());
    let mut bytes = Zeroizing::new([0; 32]);
    let mut jti = [0; 16];
    let expanded = derived.expand(b"bmap/1/refresh-successor", bytes.as_mut_slice());
    expanded.and_then(|()| derived.expand(b"bmap/1/refresh-jti", &mut jti)).map_err(|_| NotDerived)?;
    Ok(Successor { token: OpaqueToken::from_bytes(Kind::Refresh, *bytes), jti })
}

/// A refresh token's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshRow {
    /// Of the token.
    pub hash: TokenHash,
    /// Its session.
    pub session: SessionId,
    /// The token that it followed on.
    pub predecessor: Option<TokenHash>,
    /// Whether it was used.
    pub used: Option<Used>,
    /// Binds all of these to the root secret: a used token can't be made a new one.
    pub seal: Option<RowSeal>,
}

impl RefreshRow {
    /// The row of a token that was not used, sealed.
    pub fn new(keys: &EpochKeys, hash: TokenHash, session: SessionId, predecessor: Option<TokenHash>) -> Self {
        Self { hash, session, predecessor, used: None, seal: None }.sealed(keys)
    }

    /// The row after its use, sealed.
    #[must_use]
    pub fn used(&self, keys: &EpochKeys, used: Used) -> Self {
        Self { used: Some(used), ..self.clone() }.sealed(keys)
    }

    /// The same row, sealed with these keys.
    #[must_use]
    pub fn sealed(self, keys: &EpochKeys) -> Self {
        Self { seal: self.with_fields(|fields| Some(RowSeal::make(keys, fields))), ..self }
    }

    /// Whether the row is as it was written.
    ///
    /// # Errors
    /// [`RowFault`], an alarm.
    pub fn check_seal(&self, roots: &Roots) -> Result<(), RowFault> {
        self.with_fields(|fields| RowSeal::check(self.seal.as_ref(), roots, fields))
    }

    fn with_fields<T>(&self, take: impl FnOnce(&[&str]) -> T) -> T {
        let predecessor = self.predecessor.as_ref().map_or("", TokenHash::as_str);
        let used = self.used.as_ref().map(|used| format!("{} {}", used.at.0, used.salt.to_text()));
        let used = used.as_deref().unwrap_or("unused");
        take(&["refresh token", self.hash.as_str(), self.session.as_str(), predecessor, used])
    }
}

/// A refresh token as the database knows it.
#[derive(Clone, Debug)]
pub struct FoundToken {
    /// Its row.
    pub token: RefreshRow,
    /// Its session.
    pub session: UserSession,
    /// Whether the session's user may do anything.
    pub user_state: UserState,
    /// Its successor.
    pub successor: Option<TokenHash>,
}

/// A rotation as the database is asked for it.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The presented token as it was found.
    pub presented: RefreshRow,
    /// The same after its use.
    pub used: RefreshRow,
    /// Its successor's row.
    pub successor: RefreshRow,
}

#[cfg(test)]
mod tests {
    use super::*;
    use bmap_protocol::keys::RootSecret;

    #[test]
    fn r38_the_successor_follows_from_token_salt_and_root_and_from_nothing_less() {
        let keys = |root| RootSecret::from_bytes([root; 32]).epoch(1);
        let token = |byte| OpaqueToken::from_bytes(Kind::Refresh, [byte; 32]);
        let of = |root, byte, salt| {
            let next = successor(&keys(root), &token(byte), &Salt::from_bytes([salt; 32])).unwrap();
            (next.token.reveal().to_string(), next.jti)
        };
        let one = of(7, 1, 1);
        assert_eq!(one, of(7, 1, 1));
        for other in [of(8, 1, 1), of(7, 2, 1), of(7, 1, 2)] {
            assert!(one.0 != other.0 && one.1 != other.1);
        }
        assert_eq!(Salt::from_stored(&Salt::from_bytes([5; 32]).to_text()), Some(Salt::from_bytes([5; 32])));
        assert_eq!(Salt::from_stored("x"), None);
    }

    #[test]
    fn the_grace_is_ten_seconds() {
        let used = Used { at: UnixTime(1_000), salt: Salt::from_bytes([0; 32]) };
        let within = |millis| used.is_within_grace(UnixTime(millis), 10);
        assert!(within(0) && within(10_999) && !within(11_000) && !within(i64::MAX));
        assert!(!used.is_within_grace(used.at, 0), "no grace at all");
    }
}
