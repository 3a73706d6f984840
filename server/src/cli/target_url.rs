//! A URL as it will stand on the wire: cut into its parts, and not changed. A parser that normalises would sign something
//! else than what is sent.

use std::str::FromStr;

/// The parts of an http(s) URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TargetUrl {
    text: String,
    /// Host in lower case, port unless it is the default.
    pub(super) authority: String,
    /// The path as given; `/` where there is none.
    pub(super) path: String,
    /// The query as given, without its `?`.
    pub(super) query: Option<String>,
}

impl TargetUrl {
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for TargetUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (default_port, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (":443", rest),
            (_, Some(rest)) => (":80", rest),
            _ => return Err("a URL starts with https:// or http://".to_owned()),
        };
        if rest.contains('#') {
            return Err("a fragment is never sent: leave out # and what follows".to_owned());
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.is_empty() || authority.contains('@') {
            return Err("a URL has a host, and no user before it".to_owned());
        }
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        let authority = authority.to_ascii_lowercase();
        let authority = authority.strip_suffix(default_port).unwrap_or(&authority).to_owned();
        let path = if path.is_empty() { "/" } else { path }.to_owned();
        Ok(Self { text: text.to_owned(), authority, path, query })
    }
}

/// The authority as far as it can be normalised without knowing the scheme.
pub(super) fn normal_authority(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let bare = lower.strip_suffix(":443").or_else(|| lower.strip_suffix(":80"));
    bare.unwrap_or(&lower).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_normalised_but_the_authority() {
        let url: TargetUrl = "https://Places.Example:443/v1/%7Ea?q=a%20b+c&".parse().unwrap();
        assert_eq!((url.authority.as_str(), url.path.as_str()), ("places.example", "/v1/%7Ea"));
        assert_eq!(url.query.as_deref(), Some("q=a%20b+c&"));
        let url: TargetUrl = "http://127.0.0.1:4001?x".parse().unwrap();
        assert_eq!(
            (url.authority.as_str(), url.path.as_str(), url.query.as_deref()),
            ("127.0.0.1:4001", "/", Some("x"))
        );
        for text in ["places.example", "ftp://a", "https://", "https:///x", "https://u@a/", "https://a/#x"] {
            assert!(text.parse::<TargetUrl>().is_err(), "{text}");
        }
    }
}
