//! The key schedule (profile §2): from the root secret of an epoch down to the key that signs one token's requests.
//!
//! ```text
//! ROOT_e ──► PRK_e ──┬──► K_kek       seals key material at rest
//!                    ├──► K_pepper    Argon2id secret
//!                    ├──► K_store     one more purpose at rest, by its name
//!                    ├──► K_challenge proof-of-work challenges, at the issuer
//!                    └──► K_tool ──┬──► K_sign         one token's requests
//!                                  ├──► K_encrypt      one token's payloads
//!                                  ├──► K_hop          gateway → tool
//!                                  ├──► K_hop_encrypt  the messages of that hop, each under a key of its own
//!                                  ├──► K_capability   capability URLs
//!                                  └──► K_link         a verifier's own requests to the issuer
//! ```
//!
//! Every step is HKDF-SHA256 (RFC 5869) and every key has 32 bytes. Inputs are length-prefixed, so that no byte can be
//! shifted from one field to the next (R21).
//!
//! Secrets have no `==`: a comparison is in constant time, or does not compile (R34).
//!
//! ```compile_fail,E0369
//! use bmap_protocol::keys::SigningKey;
//! assert!(SigningKey::from_bytes([1; 32]) == SigningKey::from_bytes([1; 32]));
//! ```
//!
//! ```
//! use bmap_protocol::ids::{Issuer, ToolId};
//! use bmap_protocol::keys::{MacKey, RootSecret, TokenDigest};
//!
//! let epoch = RootSecret::from_bytes([7; 32]).epoch(1);
//! let tool_key = epoch.tool_key(&Issuer::parse("https://auth.example")?, &ToolId::parse("geo")?);
//! // The tool derives the key of a token from the token itself: nothing is stored for it.
//! let signing_key = tool_key.signing_key(&TokenDigest::of(b"a token's bytes"));
//! let mac = MacKey::new(&signing_key).mac(b"a signature base");
//! assert_eq!(mac.len(), 32);
//! # Ok::<(), bmap_protocol::ids::InvalidName>(())
//! ```

use crate::ids::{Issuer, ToolId};
use core::fmt;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Length of every key and digest, in bytes.
pub const KEY_LEN: usize = 32;

macro_rules! secret {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        ///
        /// Secret: redacted in `Debug`, not comparable with `==`, wiped on drop.
        #[derive(Clone, Zeroize, ZeroizeOnDrop)]
        pub struct $type([u8; 32]);

        impl $type {
            /// Takes 32 bytes as this key.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The bytes, for storing, sealing or handing to the key's one user.
            pub const fn expose(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($type), "(…)"))
            }
        }
    };
}
pub(crate) use secret;

secret!(
    /// `ROOT_e`: 32 random bytes for one epoch. In a 0400 file, an environment file or a KMS; never in the database.
    RootSecret
);
secret!(
    /// `K_kek`: seals API-key signing keys and issuer private keys at rest.
    KeyEncryptionKey
);
secret!(
    /// `K_pepper`: Argon2id's secret for passwords.
    Pepper
);
secret!(
    /// `K_sign`: given to the SDK with its token; signs that token's requests.
    SigningKey
);
secret!(
    /// `K_encrypt`: encrypts one token's payloads end to end.
    EncryptionKey
);
secret!(
    /// `K_hop`: signs the gateway's assertion of a principal to one tool.
    HopKey
);
secret!(
    /// `K_hop_encrypt`: the keys of single messages between gateway and tool are expanded from it; it encrypts nothing
    /// itself.
    HopEncryptKey
);
secret!(
    /// `K_capability`: authenticates one tool's capability URLs.
    CapabilityKey
);
secret!(
    /// `K_link`: signs a verifier's own requests to the issuer.
    LinkKey
);
secret!(
    /// `K_challenge`: authenticates the issuer's proof-of-work challenges. It never leaves the issuer.
    ChallengeKey
);

/// `PRK_e`: every key of an epoch is expanded from it.
#[derive(Clone)]
pub struct EpochKeys {
    epoch: u32,
    prk: Hkdf<Sha256>,
}

impl RootSecret {
    /// Extracts the keys of epoch `epoch`: `PRK_e = Extract(salt = "bmap/1/root", ROOT_e)`.
    pub fn epoch(&self, epoch: u32) -> EpochKeys {
        EpochKeys { epoch, prk: Hkdf::new(Some(b"bmap/1/root"), &self.0) }
    }
}

impl EpochKeys {
    /// The epoch's number.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// `K_kek = Expand(PRK_e, lp("bmap/1/kek") ‖ u32(e))`.
    pub fn kek(&self) -> KeyEncryptionKey {
        KeyEncryptionKey(expand(&self.prk, &[&lp_len(b"bmap/1/kek"), b"bmap/1/kek", &self.epoch.to_be_bytes()]))
    }

    /// `K_pepper = Expand(PRK_e, lp("bmap/1/pepper") ‖ u32(e))`.
    pub fn pepper(&self) -> Pepper {
        Pepper(expand(&self.prk, &[&lp_len(b"bmap/1/pepper"), b"bmap/1/pepper", &self.epoch.to_be_bytes()]))
    }

    /// `K_challenge = Expand(PRK_e, lp("bmap/1/challenge") ‖ u32(e))`.
    pub fn challenge_key(&self) -> ChallengeKey {
        let label = b"bmap/1/challenge";
        ChallengeKey(expand(&self.prk, &[&lp_len(label), label, &self.epoch.to_be_bytes()]))
    }

    /// `K_store = Expand(PRK_e, lp("bmap/1/store") ‖ u32(e) ‖ lp(purpose))`: seals the other secrets in the database, under a
    /// key for each purpose, so that nothing that was sealed for one is ever opened as another.
    pub fn storage_key(&self, purpose: &str) -> KeyEncryptionKey {
        let (label, purpose) = (b"bmap/1/store", purpose.as_bytes());
        let info: [&[u8]; 5] = [&lp_len(label), label, &self.epoch.to_be_bytes(), &lp_len(purpose), purpose];
        KeyEncryptionKey(expand(&self.prk, &info))
    }

    /// `K_tool = Expand(PRK_e, lp("bmap/1/tool") ‖ u32(e) ‖ lp(issuer) ‖ lp(tool))`: the only key that a tool's verifier holds.
    pub fn tool_key(&self, issuer: &Issuer, tool: &ToolId) -> ToolKey {
        let (issuer, tool) = (issuer.as_str().as_bytes(), tool.as_str().as_bytes());
        ToolKey::from_bytes(expand(
            &self.prk,
            &[
                &lp_len(b"bmap/1/tool"),
                b"bmap/1/tool",
                &self.epoch.to_be_bytes(),
                &lp_len(issuer),
                issuer,
                &lp_len(tool),
                tool,
            ],
        ))
    }
}

impl fmt::Debug for EpochKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EpochKeys({}, …)", self.epoch)
    }
}

/// `K_tool` with its HMAC key schedule ready. Redacted in `Debug`, wiped on drop.
#[derive(Clone)]
pub struct ToolKey {
    bytes: zeroize::Zeroizing<[u8; KEY_LEN]>,
    prk: Hkdf<Sha256>,
}

impl ToolKey {
    /// Takes 32 bytes as this key.
    pub fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        // `from_prk` refuses a key shorter than the hash, which 32 bytes are not; `new` with these bytes as the salt
        // would be another key.
        let prk = Hkdf::from_prk(&bytes).unwrap_or_else(|_| Hkdf::new(None, &bytes));
        Self { bytes: bytes.into(), prk }
    }

    /// The bytes, for the tool's credential.
    pub fn expose(&self) -> &[u8; KEY_LEN] {
        &self.bytes
    }

    /// `K_sign = Expand(K_tool, lp("bmap/1/sign") ‖ SHA-256(token))`.
    pub fn signing_key(&self, token: &TokenDigest) -> SigningKey {
        SigningKey(expand(&self.prk, &[&lp_len(b"bmap/1/sign"), b"bmap/1/sign", &token.0]))
    }

    /// `K_encrypt = Expand(K_tool, lp("bmap/1/encrypt") ‖ SHA-256(token))`.
    pub fn encryption_key(&self, token: &TokenDigest) -> EncryptionKey {
        EncryptionKey(expand(&self.prk, &[&lp_len(b"bmap/1/encrypt"), b"bmap/1/encrypt", &token.0]))
    }

    /// `K_hop = Expand(K_tool, lp("bmap/1/hop"))`.
    pub fn hop_key(&self) -> HopKey {
        HopKey(self.labelled(b"bmap/1/hop"))
    }

    /// `K_hop_encrypt = Expand(K_tool, lp("bmap/1/hop-encrypt"))`.
    pub fn hop_encrypt_key(&self) -> HopEncryptKey {
        HopEncryptKey(self.labelled(b"bmap/1/hop-encrypt"))
    }

    /// `K_capability = Expand(K_tool, lp("bmap/1/capability"))`.
    pub fn capability_key(&self) -> CapabilityKey {
        CapabilityKey(self.labelled(b"bmap/1/capability"))
    }

    /// `K_link = Expand(K_tool, lp("bmap/1/link"))`.
    pub fn link_key(&self) -> LinkKey {
        LinkKey(self.labelled(b"bmap/1/link"))
    }

    /// `Expand(K_tool, lp(label))`.
    fn labelled(&self, label: &[u8]) -> [u8; KEY_LEN] {
        expand(&self.prk, &[&lp_len(label), label])
    }
}

impl fmt::Debug for ToolKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ToolKey(…)")
    }
}

/// SHA-256 of a compact token exactly as sent: its keys are derived from it, and a verifier remembers the token by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenDigest(pub [u8; 32]);

impl TokenDigest {
    /// Hashes the compact token's bytes.
    pub fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }
}

/// HMAC-SHA256 (RFC 2104) with its key schedule computed once: the key of one token or API key, ready for many requests.
///
/// Redacted in `Debug`, wiped on drop.
#[derive(Clone)]
pub struct MacKey(Hmac<Sha256>);

impl MacKey {
    /// Prepares a signing key.
    pub fn new(key: &SigningKey) -> Self {
        Self::from_key_bytes(&key.0)
    }

    /// Prepares any key; HMAC takes every length.
    pub fn from_key_bytes(key: &[u8]) -> Self {
        Self(match Hmac::new_from_slice(key) {
            Ok(mac) => mac,
            Err(_) => Hmac::new(&[0; 64].into()), // HMAC has no invalid length; this arm is never taken.
        })
    }

    /// A key whose every message starts with `prefix`: that part is hashed here, once.
    pub fn starting_with(&self, prefix: &[u8]) -> Self {
        Self(self.0.clone().chain_update(prefix))
    }

    /// Starts a MAC over a message that comes in pieces.
    #[inline]
    pub fn begin(&self) -> MacStream {
        MacStream { mac: self.0.clone(), buffer: [0; BUFFER], filled: 0 }
    }

    /// The MAC of a whole message.
    pub fn mac(&self, message: &[u8]) -> [u8; KEY_LEN] {
        self.0.clone().chain_update(message).finalize().into_bytes().into()
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(…)")
    }
}

/// Bytes gathered on the stack before they are hashed: the text after a token fits in one go, and nothing needs the
/// heap.
const BUFFER: usize = 512;

/// A MAC under way.
pub struct MacStream {
    mac: Hmac<Sha256>,
    buffer: [u8; BUFFER],
    filled: usize,
}

impl MacStream {
    /// Adds bytes.
    #[inline]
    pub fn update(&mut self, bytes: &[u8]) {
        let end = self.filled.saturating_add(bytes.len());
        if let Some(free) = self.buffer.get_mut(self.filled..end) {
            free.copy_from_slice(bytes);
            self.filled = end;
        } else {
            self.spill(bytes);
        }
    }

    fn spill(&mut self, bytes: &[u8]) {
        self.mac.update(self.buffer.get(..self.filled).unwrap_or_default());
        self.mac.update(bytes);
        self.filled = 0;
    }

    /// The MAC of the added bytes. By reference, because to move the buffer costs as much as to hash a block.
    pub fn finish(&mut self) -> [u8; KEY_LEN] {
        self.spill(b"");
        self.mac.clone().finalize().into_bytes().into()
    }

    /// Compares the MAC of the added bytes with a received one in constant time.
    pub fn verify(&mut self, received: &[u8]) -> bool {
        let Ok(received) = <[u8; KEY_LEN]>::try_from(received) else { return false };
        // By words: `subtle` puts a barrier behind each element that it compares, and one for each byte took 50 ns.
        words(&self.finish()).ct_eq(&words(&received)).into()
    }
}

/// A MAC as four words, in whatever order of bytes this machine has.
fn words(mac: &[u8; KEY_LEN]) -> [u64; KEY_LEN / 8] {
    let mut words = [0; KEY_LEN / 8];
    for (word, bytes) in words.iter_mut().zip(mac.as_chunks().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    words
}

/// HKDF-Expand to 32 bytes: one block, so the length is never too large.
fn expand(prk: &Hkdf<Sha256>, info: &[&[u8]]) -> [u8; KEY_LEN] {
    let mut key = [0; KEY_LEN];
    if prk.expand_multi_info(info, &mut key).is_err() {
        // Only more than 255 blocks are refused (RFC 5869 §2.3); one is asked for.
        key = [0; KEY_LEN];
    }
    key
}

/// The prefix of `lp(x)`: the length of `x` in bytes, u16 big-endian.
///
/// Every name that gets here is at most 255 bytes long (see [`crate::ids`]).
pub(crate) fn lp_len(x: &[u8]) -> [u8; 2] {
    u16::try_from(x.len()).unwrap_or(u16::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool_key(issuer: &str, tool: &str) -> [u8; 32] {
        let keys = RootSecret::from_bytes([7; 32]).epoch(1);
        *keys.tool_key(&Issuer::parse(issuer).unwrap(), &ToolId::parse(tool).unwrap()).expose()
    }

    #[test]
    fn r21_no_byte_moves_between_fields() {
        // The same bytes in a row, cut at another place, give another key.
        assert_ne!(tool_key("https://a.example", "bc"), tool_key("https://a.exampleb", "c"));
    }

    #[test]
    fn every_input_changes_the_key() {
        let root = RootSecret::from_bytes([7; 32]);
        let key = root.epoch(1).tool_key(&Issuer::parse("https://a.example").unwrap(), &ToolId::parse("geo").unwrap());
        assert_ne!(root.epoch(1).kek().expose(), root.epoch(2).kek().expose());
        assert_ne!(root.epoch(1).kek().expose(), root.epoch(1).pepper().expose());
        let (a, b) = (TokenDigest::of(b"a"), TokenDigest::of(b"b"));
        assert_ne!(key.signing_key(&a).expose(), key.signing_key(&b).expose());
        assert_ne!(key.signing_key(&a).expose(), key.encryption_key(&a).expose());
    }

    #[test]
    fn keys_know_their_epoch() {
        assert_eq!(RootSecret::from_bytes([7; 32]).epoch(42).epoch(), 42);
    }

    #[test]
    fn each_purpose_has_a_key_of_its_own() {
        let keys = RootSecret::from_bytes([7; 32]).epoch(1);
        let key = |purpose| *keys.storage_key(purpose).expose();
        assert_eq!(key("mail"), key("mail"));
        let others = [key("mai"), key(""), *keys.kek().expose(), *keys.pepper().expose()];
        assert!(!others.contains(&key("mail")));
        assert_ne!(*RootSecret::from_bytes([7; 32]).epoch(2).storage_key("mail").expose(), key("mail"));
    }

    #[test]
    fn t33_secrets_do_not_print() {
        let root = RootSecret::from_bytes([0xab; 32]);
        let printed =
            format!("{:?} {:?} {:?} {:?}", root, root.epoch(1), root.epoch(1).kek(), ToolKey::from_bytes([0xab; 32]));
        assert!(!printed.to_lowercase().contains("ab, ") && !printed.contains("171"), "{printed}");
    }

    #[test]
    fn a_stream_is_the_whole_message_at_every_length() {
        let key = MacKey::from_key_bytes(b"key");
        let message: Vec<u8> = (0..5000_u32).map(|i| (i % 251) as u8).collect();
        for length in [0, 1, 63, 64, 511, 512, 513, 4000, 5000] {
            for piece in [1, 7, 700, 2000] {
                let mut stream = key.begin();
                message[..length].chunks(piece).for_each(|bytes| stream.update(bytes));
                assert!(stream.verify(&key.mac(&message[..length])), "{length} {piece}");
            }
        }
        let mut stream = key.begin();
        stream.update(b"x");
        assert!(!stream.verify(&key.mac(b"y")));
        assert!(!key.begin().verify(b""));
    }
}
