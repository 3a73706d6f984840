//! `Content-Digest` (RFC 9530), with `sha-256` as the one algorithm that counts.
//!
//! ```
//! use bmap_protocol::digest::BodyDigest;
//!
//! let digest = BodyDigest::of(b"{}");
//! assert_eq!(digest.header_value(), "sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:");
//! assert!(digest.matches(&BodyDigest::parse(digest.header_value().as_bytes()).unwrap()));
//! ```

use alloc::string::String;
use base64ct::{Base64, Encoding};
use sha2::{Digest, Sha256};

/// SHA-256 of a body.
#[derive(Clone, Copy, Debug)]
pub struct BodyDigest([u8; 32]);

impl BodyDigest {
    /// Hashes a whole body.
    pub fn of(body: &[u8]) -> Self {
        Self(Sha256::digest(body).into())
    }

    /// Takes a SHA-256 that was computed elsewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The header's value: `sha-256=:…:`.
    pub fn header_value(&self) -> String {
        let mut encoded = [0; 44];
        let encoded = Base64::encode(&self.0, &mut encoded).unwrap_or_default(); // 32 bytes are 44 characters
        let mut value = String::with_capacity(54);
        value.push_str(PREFIX);
        value.push_str(encoded);
        value.push(':');
        value
    }

    /// Compares. The sender of the body knows both, so this may take a time that depends on them.
    pub fn matches(&self, other: &BodyDigest) -> bool {
        self.0 == other.0
    }
}

/// A SHA-256 under way, for bodies that come in pieces.
#[derive(Clone, Default)]
pub struct BodyHasher(Sha256);

impl BodyHasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest.
    pub fn finish(self) -> BodyDigest {
        BodyDigest(self.0.finalize().into())
    }
}

const PREFIX: &str = "sha-256=:";

/// Why a `Content-Digest` header can't be used.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestFault {
    /// Not a dictionary of byte sequences (RFC 9530 §2), a second `sha-256`, or one that is not 32 bytes long.
    #[error("not a Content-Digest")]
    Malformed,
    /// A dictionary, but without `sha-256`.
    #[error("no sha-256 in Content-Digest")]
    NoSha256,
}

#[cfg(feature = "check")]
impl BodyDigest {
    /// Whether a header's value is this digest as [`BodyDigest::header_value`] spells it, which is how our own SDK does: compared
    /// as it came, without a dictionary parser and without the heap.
    pub fn is_spelled(&self, value: &[u8]) -> bool {
        use base64::Engine;
        let mut encoded = [0; 44];
        base64::engine::general_purpose::STANDARD.encode_slice(self.0, &mut encoded).is_ok()
            && value.strip_prefix(PREFIX.as_bytes()).and_then(|value| value.strip_suffix(b":")) == Some(&encoded)
    }

    /// Reads the header's value. Other algorithms beside `sha-256` are ignored (RFC 9530 §2).
    ///
    /// # Errors
    /// [`DigestFault`].
    pub fn parse(value: &[u8]) -> Result<Self, DigestFault> {
        Self::parse_lines([value])
    }

    /// Reads the header's lines, which are one dictionary: an algorithm that stands in two of them is refused as one that stands
    /// twice in a line.
    ///
    /// # Errors
    /// [`DigestFault`].
    pub fn parse_lines<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, DigestFault> {
        let mut found = None;
        let mut members = crate::byte_members::ByteMembers::new(|label: &str, bytes: Vec<u8>| {
            if label == "sha-256" {
                let digest: [u8; 32] = bytes.try_into().map_err(|_| ())?;
                if found.replace(BodyDigest(digest)).is_some() {
                    return Err(());
                }
            }
            Ok(())
        });
        for line in lines {
            members.read(line).map_err(|()| DigestFault::Malformed)?;
        }
        found.ok_or(DigestFault::NoSha256)
    }
}

#[cfg(all(test, feature = "check"))]
mod tests {
    use super::*;

    // RFC 9530 Appendix B.1: the digest of {"hello": "world"} and a newline.
    const HELLO: &str = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
    const HELLO_512: &str =
        "sha-512=:YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCsyRZOtw8MjkM7iw7yZ/WkppmM44T3qg==:";

    #[test]
    fn rfc9530_appendix_b_values() {
        let digest = BodyDigest::of(b"{\"hello\": \"world\"}\n");
        assert_eq!(digest.header_value(), HELLO);
        for value in [HELLO.to_owned(), format!("{HELLO}, {HELLO_512}"), format!("{HELLO_512}, {HELLO}")] {
            assert!(BodyDigest::parse(value.as_bytes()).unwrap().matches(&digest), "{value}");
            assert_eq!(digest.is_spelled(value.as_bytes()), value == digest.header_value(), "{value}");
        }
        assert_eq!(BodyDigest::parse(HELLO_512.as_bytes()).unwrap_err(), DigestFault::NoSha256);
    }

    #[test]
    fn everything_else_is_malformed() {
        for value in [
            "sha-256=RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=",
            "sha-256=:AAAA:",
            "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg*:",
            "sha-256=1",
            "sha-256",
            "sha-256=(:AAAA:)",
            "SHA-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:",
            &format!("{HELLO}, {HELLO}"),
            &format!("{HELLO},"),
            "\u{e9}",
        ] {
            assert_eq!(BodyDigest::parse(value.as_bytes()).unwrap_err(), DigestFault::Malformed, "{value}");
            assert!(!BodyDigest::of(b"{\"hello\": \"world\"}\n").is_spelled(value.as_bytes()), "{value}");
        }
        assert_eq!(BodyDigest::parse(b"").unwrap_err(), DigestFault::NoSha256);
    }

    #[test]
    fn in_pieces_or_whole() {
        let mut hasher = BodyHasher::default();
        hasher.update(b"{\"hello\": ");
        hasher.update(b"\"world\"}\n");
        assert!(hasher.finish().matches(&BodyDigest::of(b"{\"hello\": \"world\"}\n")));
    }
}
