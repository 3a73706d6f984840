//! Names of users, API keys, tools and issuers, parsed once at the edge (profile §1).
//!
//! Each grammar is fixed and at most 80 ASCII bytes (the issuer's URL: 255), so that a name is never a path, a URL or
//! SQL by accident (kid injection), and so that a length prefix of two bytes always fits.
//!
//! ```
//! use bmap_protocol::ids::{Issuer, ToolId};
//!
//! assert_eq!(ToolId::parse("geo")?.as_str(), "geo");
//! assert!(ToolId::parse("../geo").is_err());
//! assert!(Issuer::parse("https://auth.example/").is_err(), "one spelling, without a slash at its end");
//! # Ok::<(), bmap_protocol::ids::InvalidName>(())
//! ```

use alloc::{boxed::Box, string::String};
use core::fmt;

/// A name that is not in its grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what}: {grammar}")]
pub struct InvalidName {
    /// Which kind of name was expected.
    pub what: &'static str,
    /// The grammar that it must follow.
    pub grammar: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $grammar:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(Box<str>);

        impl $type {
            #[doc = concat!("Parses a ", $what, ": ", $grammar, ".")]
            ///
            /// # Errors
            /// [`InvalidName`] if the text is not in the grammar.
            pub fn parse(text: &str) -> Result<Self, InvalidName> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.into())) } else { Err(InvalidName { what: $what, grammar: $grammar }) }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl core::str::FromStr for $type {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::parse(text)
            }
        }
    };
}

name!(
    /// Id of a user: `usr_` and a UUIDv7 in 32 hex digits.
    UserId, "user id", "`usr_` and 32 lower-case hex digits",
    |text| hex_id(text, "usr_").is_some()
);
name!(
    /// Public id of an API key: `bmk_` and a UUIDv7 in 32 hex digits.
    ApiKeyId, "API key id", "`bmk_` and 32 lower-case hex digits",
    |text| hex_id(text, "bmk_").is_some()
);
name!(
    /// Id of a tool: `[a-z0-9-]{1,32}`.
    ToolId, "tool id", "1 to 32 of a-z, 0-9 and -",
    |text| (1..=32).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
);
name!(
    /// An issuer: its exact public URL (RFC 8414 §2), compared byte for byte.
    Issuer, "issuer", "an http or https URL of at most 255 ASCII bytes without query, fragment, user or trailing slash",
    |text| text.len() <= 255
        && text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).is_some_and(|rest| {
            !rest.is_empty()
                && !rest.ends_with('/')
                && rest.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'@' | b'\\' | b'"'))
        })
);

impl UserId {
    /// The id for the 16 bytes of a UUIDv7.
    pub fn from_uuid(uuid: [u8; 16]) -> Self {
        Self(with_hex("usr_", uuid))
    }
}

impl ApiKeyId {
    /// The id for the 16 bytes of a UUIDv7.
    pub fn from_uuid(uuid: [u8; 16]) -> Self {
        Self(with_hex("bmk_", uuid))
    }
}

/// The 16 bytes behind `prefix` and 32 lower-case hex digits; `None` for any other text.
pub fn hex_id(text: &str, prefix: &str) -> Option<[u8; 16]> {
    let digits = text.strip_prefix(prefix)?.as_bytes();
    let (pairs, rest) = digits.as_chunks::<2>();
    let pairs: &[[u8; 2]; 16] = pairs.try_into().ok()?;
    let mut bytes = [0; 16];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    rest.is_empty().then_some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(digit.wrapping_sub(b'a').wrapping_add(10)),
        _ => None,
    }
}

fn with_hex(prefix: &str, bytes: [u8; 16]) -> Box<str> {
    let mut text = String::with_capacity(prefix.len().saturating_add(32));
    text.push_str(prefix);
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from(if nibble < 10 {
                b'0'.wrapping_add(nibble)
            } else {
                b'a'.wrapping_add(nibble).wrapping_sub(10)
            }));
        }
    }
    text.into_boxed_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_back() {
        let id = ApiKeyId::from_uuid([
            0x01, 0x92, 0xf0, 0xc1, 0xa7, 0xe2, 0x7c, 0x3c, 0x9f, 0x60, 0xb2, 0xb4, 0xb1, 0xc7, 0xa0, 0xff,
        ]);
        assert_eq!(id.as_str(), "bmk_0192f0c1a7e27c3c9f60b2b4b1c7a0ff");
        assert_eq!(ApiKeyId::parse(id.as_str()), Ok(id));
    }

    #[test]
    fn r07_names_are_never_paths_urls_or_sql() {
        for text in [
            "",
            "../../dev/null",
            "' OR 1=1--",
            "bmk_",
            "bmk_0192F0C1A7E27C3C9F60B2B4B1C7A0FF",
            "bmk_0192f0c1a7e27c3c9f60b2b4b1c7a0f\0",
        ] {
            assert!(ApiKeyId::parse(text).is_err(), "{text:?}");
            assert!(UserId::parse(text).is_err(), "{text:?}");
        }
        for text in ["", "Geo", "a/b", "a.b", "a_b", &"a".repeat(33)] {
            assert!(ToolId::parse(text).is_err(), "{text:?}");
        }
        for text in [
            "",
            "https://",
            "ftp://a",
            "https://a/",
            "https://a?x",
            "https://a#x",
            "https://u@a",
            "https://a b",
            "https://ä",
        ] {
            assert!(Issuer::parse(text).is_err(), "{text:?}");
        }
        for text in ["https://auth.bmap.example", "http://127.0.0.1:4000", "https://a.example/tenant"] {
            assert!(Issuer::parse(text).is_ok(), "{text:?}");
        }
    }
}
