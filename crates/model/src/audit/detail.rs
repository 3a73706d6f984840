//! Further facts of an event, each with a name.
//!
//! A fact is made from types that hold no secret, and from no text of a caller's choice but names, so that a secret can't
//! get into the log by a slip (R33). A name is escaped and cut (T33).

use crate::openid::IdentityKey;
use crate::openid::provider_name::ProviderName;
use crate::role::Role;
use crate::scope::Scopes;
use crate::session::SessionId;
use crate::session::TokenId;
use crate::stored_origin::StoredOrigin;
use crate::tool_policy;
use crate::user::UserName;
use bmap_protocol::ids::{ApiKeyId, ToolId, UserId};
use bmap_protocol::origin::Origin;
use bmap_protocol::tool_policy::ToolPolicy;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Most facts of an event; more are left out.
pub const MAX_FACTS: usize = 12;
/// Most bytes of a fact; the rest is cut off.
pub const MAX_FACT: usize = 256;

/// How texts begin that are secrets: a name that holds one of these was meant for another field.
const SECRETS: &[&str] = &[
    "bms_",
    "bmt_",
    "bmr_",
    "bmc_",
    "bmp_",
    "bme_",
    "bmo_",
    "bmn_",
    "bmi_",
    "bmu_",
    "bmv_",
    "bmg_",
    "bmap-tool-1.",
    "eyJ",
];

/// One fact: printable and short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact(String);

/// Facts by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail(BTreeMap<&'static str, Fact>);

impl Detail {
    /// Adds a fact.
    pub fn add(&mut self, name: &'static str, fact: Fact) {
        if self.0.len() < MAX_FACTS || self.0.contains_key(name) {
            self.0.insert(name, fact);
        }
    }

    /// The fact of that name.
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|fact| fact.0.as_str())
    }

    /// Its fact `count`; 1 without it.
    pub fn count(&self) -> u64 {
        self.0.get("count").and_then(|fact| fact.0.parse().ok()).unwrap_or(1)
    }

    /// The JSON object that is stored: sorted by name, so the same facts are the same text.
    pub fn to_json(&self) -> String {
        let texts: BTreeMap<&str, &str> = self.0.iter().map(|(name, fact)| (*name, fact.0.as_str())).collect();
        // Strings: nothing in it can fail to serialise.
        serde_json::to_string(&texts).unwrap_or_default()
    }
}

impl Fact {
    /// Escapes, cuts, and withholds what looks like a secret.
    pub fn of_text(text: &str) -> Self {
        if SECRETS.iter().any(|start| text.contains(start)) {
            return Self("(withheld)".to_owned());
        }
        let mut fact = String::with_capacity(text.len().min(MAX_FACT));
        for character in text.chars() {
            let before = fact.len();
            if character.is_control() || is_invisible(character) {
                // Writing to a String does not fail.
                let _ = write!(fact, "{}", character.escape_unicode());
            } else {
                fact.push(character);
            }
            if fact.len() > MAX_FACT {
                fact.truncate(before);
                fact.push('…');
                break;
            }
        }
        Self(fact)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Characters that print as nothing or change the order of the characters around them: line separators, marks of
/// direction.
const fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

macro_rules! facts {
    ($($type:ty),*) => {
        $(impl From<&$type> for Fact {
            fn from(value: &$type) -> Self {
                Self::of_text(value.as_str())
            }
        })*
    };
}
facts!(ProviderName, UserId, ApiKeyId, ToolId, SessionId, TokenId, Origin, StoredOrigin, UserName, Role);

/// The provider alone: its `sub` for the user may be an email address.
impl From<&IdentityKey> for Fact {
    fn from(key: &IdentityKey) -> Self {
        Self::of_text(&key.issuer)
    }
}

impl From<&Scopes> for Fact {
    fn from(scopes: &Scopes) -> Self {
        Self::of_text(&scopes.to_string())
    }
}

/// Its name, since it may be long: [`tool_policy::digest`].
impl From<&ToolPolicy> for Fact {
    fn from(policy: &ToolPolicy) -> Self {
        Self::of_text(&tool_policy::digest(policy))
    }
}

/// A list, with spaces between: for types whose texts have none.
impl<T: std::fmt::Display + Listed> From<&[T]> for Fact {
    fn from(list: &[T]) -> Self {
        Self::of_text(&list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }
}

/// Types of which a list can be a fact.
pub trait Listed {}
impl Listed for ToolId {}
impl Listed for StoredOrigin {}
impl Listed for IpNet {}

impl From<&'static str> for Fact {
    fn from(text: &'static str) -> Self {
        Self::of_text(text)
    }
}

impl From<bool> for Fact {
    fn from(value: bool) -> Self {
        Self(value.to_string())
    }
}

impl From<i64> for Fact {
    fn from(number: i64) -> Self {
        Self(number.to_string())
    }
}

impl From<u64> for Fact {
    fn from(number: u64) -> Self {
        Self(number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::opaque::{Kind, OpaqueToken};

    #[test]
    fn t33_facts_are_printable_and_short() {
        let of = |text: &str| Fact::of_text(text).0;
        assert_eq!(of("Škoda a.s."), "Škoda a.s.");
        assert_eq!(of("a\nb\r\u{1b}[31m\0"), "a\\u{a}b\\u{d}\\u{1b}[31m\\u{0}");
        assert_eq!(of("a\u{202e}b\u{2028}"), "a\\u{202e}b\\u{2028}");
        for long in ["x".repeat(10_000), "ж".repeat(10_000), "\n".repeat(10_000)] {
            let fact = of(&long);
            assert!(fact.len() <= MAX_FACT + 3 && fact.ends_with('…'), "{fact}");
        }
        assert_eq!(of(&"x".repeat(MAX_FACT)).len(), MAX_FACT);
    }

    #[test]
    fn r33_what_looks_like_a_secret_is_withheld() {
        for text in ["bms_x", "bmt_x", "my bmr_AAAA", "eyJhbGciOi", "x bmap-tool-1.e30"] {
            assert_eq!(Fact::of_text(text).0, "(withheld)");
        }
        for kind in Kind::ALL {
            let token = OpaqueToken::from_bytes(kind, [7; 32]);
            assert_eq!(Fact::of_text(&format!("my {}", *token.reveal())).0, "(withheld)", "{kind:?}");
        }
    }

    #[test]
    fn facts_are_few_and_in_one_order() {
        const NAMES: [&str; 14] = ["n", "m", "l", "k", "j", "i", "h", "g", "f", "e", "d", "c", "b", "a"];
        let mut detail = Detail::default();
        for name in NAMES {
            detail.add(name, Fact::from(1_i64));
        }
        detail.add("n", Fact::from(2_i64));
        assert_eq!(detail.0.len(), MAX_FACTS);
        assert!(detail.to_json().starts_with("{\"c\":\"1\",") && detail.to_json().ends_with("\"n\":\"2\"}"));
    }
}
