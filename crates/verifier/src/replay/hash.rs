//! The hash that a record is known by: SipHash-1-3 with 128 bits of output and a random key, over all 16 + 16 bytes of key id
//! and nonce.
//!
//! Nothing else goes in, so the hash of a (keyid, nonce) is the same for as long as its store lives. The hash's key is the store's own: without
//! it an attacker can't choose ids or nonces that fall together (T25).

use siphasher::sip128::SipHasher13;
use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// The key of the hash.
#[derive(Clone, Copy)]
pub(crate) struct Seed([u8; 16]);

/// The part of a record's hash that is compared: 48 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Print {
    pub(super) low: u32,
    pub(super) high: u16,
}

/// A hash in its parts, of which no two share a bit: the compared part tells records apart that lie in the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hashed {
    pub(super) print: Print,
    /// Where in its shard.
    pub(super) place: u32,
    /// Which shard.
    pub(super) shard: u32,
}

impl Seed {
    /// A key from the platform's randomness, by way of the standard library's own keyed hash.
    pub(crate) fn random() -> Self {
        let source = RandomState::new();
        Self(bytes_of([source.hash_one(0_u8), source.hash_one(1_u8)]))
    }

    /// A key that was saved.
    pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The key, to save it.
    pub(crate) const fn bytes(&self) -> [u8; 16] {
        self.0
    }

    /// The hash of a (keyid, nonce).
    pub(super) fn of_record(&self, key: &[u8; 16], nonce: &[u8; 16]) -> Hashed {
        let mut both = [0; 32];
        let (first, second) = both.split_at_mut(16);
        first.copy_from_slice(key);
        second.copy_from_slice(nonce);
        self.of(&both)
    }

    /// The hash of a key's id.
    pub(super) fn of_key(&self, id: &[u8; 16]) -> Hashed {
        self.of(id)
    }

    fn of(&self, bytes: &[u8]) -> Hashed {
        let [a, b, c, d, e, f, _, _, place @ .., s0, s1, s2, s3] =
            SipHasher13::new_with_key(&self.0).hash(bytes).as_bytes();
        Hashed {
            print: Print { low: u32::from_le_bytes([a, b, c, d]), high: u16::from_le_bytes([e, f]) },
            place: u32::from_le_bytes(place),
            shard: u32::from_le_bytes([s0, s1, s2, s3]),
        }
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(…)")
    }
}

/// A place in a table of `size`: the upper bits of a product, which needs no power of two.
pub(super) fn index_in(place: u32, size: usize) -> usize {
    let size = u64::try_from(size).unwrap_or(1);
    usize::try_from(u64::from(place).saturating_mul(size) >> 32).unwrap_or(0)
}

fn bytes_of([first, second]: [u64; 2]) -> [u8; 16] {
    let mut bytes = [0; 16];
    let (low, high) = bytes.split_at_mut(8);
    low.copy_from_slice(&first.to_le_bytes());
    high.copy_from_slice(&second.to_le_bytes());
    bytes
}
