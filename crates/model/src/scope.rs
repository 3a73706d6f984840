//! Scopes: the rights of a token at its tool (RFC 6749 §3.3).

use std::collections::BTreeSet;
use std::fmt;

/// A set of scope tokens, at most 64 characters each and 1024 in all; may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<String>);

/// Not a space-separated list of scope tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scope is up to 1024 printable ASCII characters without quote and backslash, in words of up to 64")]
pub struct InvalidScope;

impl Scopes {
    /// Parses a space-separated list; the empty text is the empty set.
    ///
    /// # Errors
    /// [`InvalidScope`].
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        let words: BTreeSet<String> = text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        // scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
        let valid =
            |word: &String| word.len() <= 64 && word.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        if text.len() <= 1024 && words.iter().all(valid) { Ok(Self(words)) } else { Err(InvalidScope) }
    }

    /// The set of these words.
    ///
    /// # Errors
    /// [`InvalidScope`], also for a word with a space in it.
    pub fn of_words(words: &[String]) -> Result<Self, InvalidScope> {
        let is_one = words.iter().all(|word| !word.is_empty() && !word.contains(' '));
        if is_one { Self::parse(&words.join(" ")) } else { Err(InvalidScope) }
    }

    /// Whether every word of `self` is one of `other`.
    pub fn is_within(&self, other: &Scopes) -> bool {
        self.0.is_subset(&other.0)
    }

    /// The words of both.
    pub fn union(&self, other: &Scopes) -> Scopes {
        Scopes(self.0.union(&other.0).cloned().collect())
    }

    /// The words that the other has not.
    #[must_use]
    pub fn beyond(&self, other: &Scopes) -> Scopes {
        Scopes(self.0.difference(&other.0).cloned().collect())
    }

    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The words that are in both.
    pub fn intersection(&self, other: &Scopes) -> Scopes {
        Scopes(self.0.intersection(&other.0).cloned().collect())
    }

    /// The words, sorted.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for word in self.words() {
            write!(f, "{separator}{word}")?;
            separator = " ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_a_set() {
        let scopes = Scopes::parse("search  route search").unwrap();
        assert_eq!(scopes.to_string(), "route search");
        assert!(Scopes::parse("search").unwrap().is_within(&scopes));
        assert!(!scopes.is_within(&Scopes::parse("search").unwrap()));
        assert!(Scopes::default().is_within(&scopes));
    }

    #[test]
    fn other_characters_are_refused() {
        for bad in ["a\"b", "a\\b", "a\tb", "ä", &"x".repeat(65)] {
            assert_eq!(Scopes::parse(bad), Err(InvalidScope), "{bad:?}");
        }
        let many: Vec<String> = (1000..1206).map(|i| i.to_string()).collect();
        assert_eq!(Scopes::parse(&many.join(" ")), Err(InvalidScope));
    }
}
