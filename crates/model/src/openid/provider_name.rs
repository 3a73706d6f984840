//! The name of an OpenID provider in the issuer's paths.

/// A provider's name in our paths: a letter, then up to 31 letters, digits and hyphens, all lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProviderName(String);

impl ProviderName {
    /// Parses a name. `token` is a path of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=32).contains(&text.len()) && text.starts_with(|first: char| first.is_ascii_lowercase());
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (fits && text.bytes().all(is_plain) && text != "token").then(|| Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["acme", "a", "acme-2", &"x".repeat(32)] {
            assert!(ProviderName::parse(good).is_some(), "{good}");
        }
        for bad in ["", "token", "Acme", "2acme", "-a", "a_b", "a/b", "a.b", "é", &"x".repeat(33)] {
            assert!(ProviderName::parse(bad).is_none(), "{bad}");
        }
    }
}
