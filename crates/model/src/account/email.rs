//! Email addresses, in one canonical spelling, which is stored, keys the counters, and receives the mail (R32).

use std::fmt;
use unicode_normalization::UnicodeNormalization;
use url::Host;

/// Longest address, in bytes (RFC 5321 §4.5.3.1.3, without its angle brackets).
pub const MAX_ADDRESS: usize = 254;
const MAX_LOCAL_PART: usize = 64;

/// A plain address `local@domain` in its canonical spelling: compatibility forms composed (NFKC), folded to lower case as a
/// whole, without space around it, the domain as DNS has it.
///
/// Two texts that a person would call one address are equal here. Mail goes to this spelling and to no other, so a
/// person who confirms an account reads the mail of exactly the address that it is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailAddress(String);

/// Not a plain address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a plain email address of up to 254 bytes")]
pub struct InvalidEmail;

impl EmailAddress {
    /// Parses an address: a dot-atom of RFC 5322 §3.2.3, `@`, a DNS name. No quotes, comments, address literals or display
    /// names. A local part that is not ASCII after folding is refused: every other one has one spelling.
    ///
    /// # Errors
    /// [`InvalidEmail`].
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        // Composed forms can be shorter than what they are made of, but not by more than this.
        if text.len() > 4 * MAX_ADDRESS {
            return Err(InvalidEmail);
        }
        // Lower case is case folding here: they differ only for letters that stay outside ASCII and are refused.
        let folded: String = text.nfkc().flat_map(char::to_lowercase).nfkc().collect();
        let (local, domain) = folded.trim().rsplit_once('@').ok_or(InvalidEmail)?;
        let is_atom = |atom: &str| !atom.is_empty() && atom.bytes().all(is_atext);
        if local.len() > MAX_LOCAL_PART || !local.split('.').all(is_atom) {
            return Err(InvalidEmail);
        }
        // The parser would decode percent signs; an address has none in its domain.
        let host = if domain.contains('%') { Err(InvalidEmail) } else { Host::parse(domain).map_err(|_| InvalidEmail) };
        let Host::Domain(domain) = host? else { return Err(InvalidEmail) };
        if !domain.split('.').all(is_label) {
            return Err(InvalidEmail);
        }
        let address = format!("{local}@{domain}");
        if address.len() <= MAX_ADDRESS { Ok(Self(address)) } else { Err(InvalidEmail) }
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `atext` of RFC 5322 §3.2.3.
fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

/// A label of RFC 1123 §2.1.
fn is_label(label: &str) -> bool {
    let fits = (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    fits && !label.starts_with('-') && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r32_one_address_has_one_spelling() {
        for (text, canonical) in [
            ("alice@x.example", "alice@x.example"),
            ("Alice@X.EXAMPLE", "alice@x.example"),
            (" alice@x.example\t", "alice@x.example"),
            ("\u{3000}alice@x.example\u{a0}", "alice@x.example"),
            ("ａｌｉｃｅ＠ｘ．ｅｘａｍｐｌｅ", "alice@x.example"),
            ("ALICE@x.example", "alice@x.example"),
            ("ali\u{212a}e@x.example", "alike@x.example"),
            ("a.b+c@bücher.example", "a.b+c@xn--bcher-kva.example"),
            ("a.b+c@XN--BCHER-KVA.example", "a.b+c@xn--bcher-kva.example"),
            ("root@localhost", "root@localhost"),
        ] {
            assert_eq!(
                EmailAddress::parse(text).map(|address| address.to_string()).as_deref(),
                Ok(canonical),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_not_a_plain_address_is_refused() {
        for bad in [
            "",
            "@",
            "a@",
            "@b.example",
            "a",
            "a@b@c.example",
            ".a@b.example",
            "a..b@c.example",
            "\"a b\"@c.example",
            "a(comment)@b.example",
            "A <a@b.example>",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a@b.example.",
            "a@-b.example",
            "a@b_c.example",
            "a@%62.example",
            "a@b.example\r\nBcc: c@d.example",
            "a\0@b.example",
            "straße@b.example",
            "аlice@b.example", // a Cyrillic а
        ] {
            assert_eq!(EmailAddress::parse(bad), Err(InvalidEmail), "{bad:?}");
        }
        let label = "x".repeat(60);
        let domain = format!("{label}.{label}.{label}.example"); // 190 bytes
        assert!(EmailAddress::parse(&format!("{}@{domain}", "a".repeat(63))).is_ok());
        assert!(EmailAddress::parse(&format!("{}@{domain}", "a".repeat(64))).is_err());
        assert!(EmailAddress::parse(&format!("{}@b.example", "a".repeat(64))).is_ok());
        assert!(EmailAddress::parse(&format!("{}@b.example", "a".repeat(65))).is_err());
        assert!(EmailAddress::parse(&"a".repeat(1_000_000)).is_err());
    }
}
