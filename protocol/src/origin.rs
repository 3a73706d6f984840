//! Page origins in their one serialised form (WHATWG HTML, "ASCII serialisation of an origin"; RFC 6454 §6.2).

use alloc::boxed::Box;
use core::fmt;

/// A serialised origin: `scheme://host[:port]`, lower case, default port left out.
///
/// There is one spelling for an origin, the one that a browser sends; every other spelling is refused and not
/// normalised, so that equality of bytes is equality of origins. `null` is not an origin.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    text: Box<str>,
    /// Where the authority begins.
    authority: usize,
}

/// Why a text is not a serialised origin.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOrigin {
    /// Over 255 bytes.
    #[error("an origin has at most 255 bytes")]
    TooLong,
    /// Neither `https://` nor `http://` in lower case. `null` lands here.
    #[error("an origin starts with https:// or http:// in lower case")]
    Scheme,
    /// The host is empty or has a character that a serialised host can't have (upper case, a path, a user, a trailing dot).
    #[error("the host of an origin is lower-case ASCII without path, user or trailing dot")]
    Host,
    /// The port is empty, padded, out of range, or the scheme's default.
    #[error("the port of an origin is left out when it is the default, else a plain number")]
    Port,
}

impl Origin {
    /// Parses the serialised form.
    ///
    /// # Errors
    /// [`InvalidOrigin`] for every other spelling, with what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidOrigin> {
        check(text)?;
        let authority = if text.starts_with("https") { "https://".len() } else { "http://".len() };
        Ok(Self { text: text.into(), authority })
    }

    /// The origin as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The scheme: `https` or `http`.
    pub fn scheme(&self) -> &str {
        if self.authority == "https://".len() { "https" } else { "http" }
    }

    /// Host and port, as `@authority` has them (RFC 9421 §2.2.3).
    pub fn authority(&self) -> &str {
        self.text.get(self.authority..).unwrap_or_default()
    }

    /// Whether the host is this machine: `localhost`, `127.0.0.1` or `[::1]`.
    pub fn is_loopback(&self) -> bool {
        let host = split_port(self.authority()).0;
        matches!(host, "localhost" | "127.0.0.1" | "[::1]") || host.ends_with(".localhost")
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl core::str::FromStr for Origin {
    type Err = InvalidOrigin;
    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        Self::parse(text)
    }
}

fn check(text: &str) -> Result<(), InvalidOrigin> {
    if text.len() > 255 {
        return Err(InvalidOrigin::TooLong);
    }
    let (authority, default_port) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(authority), _) => (authority, "443"),
        (_, Some(authority)) => (authority, "80"),
        _ => return Err(InvalidOrigin::Scheme),
    };
    let (host, port) = split_port(authority);
    let valid_host = match host.strip_prefix('[') {
        Some(v6) => v6.strip_suffix(']').is_some_and(|v6| {
            !v6.is_empty()
                && v6.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b) || b == b':' || b == b'.')
        }),
        None => {
            host.split('.').all(|label| !label.is_empty())
                && host.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_'))
        }
    };
    if !valid_host {
        return Err(InvalidOrigin::Host);
    }
    match port {
        None => Ok(()),
        Some(port) if port != default_port && !port.starts_with('0') && port.bytes().all(|b| b.is_ascii_digit()) => {
            port.parse::<u16>().map(|_| ()).map_err(|_| InvalidOrigin::Port)
        }
        Some(_) => Err(InvalidOrigin::Port),
    }
}

/// Splits `host[:port]`; the colons of an IPv6 literal stay in the host.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r50_one_spelling_only() {
        for text in [
            "https://foo.com",
            "http://127.0.0.1:8080",
            "https://[::1]:8443",
            "https://[::1]",
            "https://[::ffff:192.0.2.1]",
            "https://[2001:db8::9]:9",
            "http://localhost",
            "https://xn--bcher-kva.example",
        ] {
            assert_eq!(Origin::parse(text).map(|o| o.to_string()).as_deref(), Ok(text));
        }
        for (text, fault) in [
            ("null", InvalidOrigin::Scheme),
            ("HTTPS://foo.com", InvalidOrigin::Scheme),
            ("ftp://foo.com", InvalidOrigin::Scheme),
            ("", InvalidOrigin::Scheme),
            ("https://Foo.com", InvalidOrigin::Host),
            ("https://foo.com.", InvalidOrigin::Host),
            ("https://foo.com/", InvalidOrigin::Host),
            ("https://foo..com", InvalidOrigin::Host),
            ("https://u@foo.com", InvalidOrigin::Host),
            ("https://", InvalidOrigin::Host),
            ("https://foo.com https://bar.com", InvalidOrigin::Host),
            ("https://bücher.example", InvalidOrigin::Host),
            ("https://foo.com:443", InvalidOrigin::Port),
            ("http://foo.com:80", InvalidOrigin::Port),
            ("https://foo.com:", InvalidOrigin::Port),
            ("https://foo.com:0443", InvalidOrigin::Port),
            ("https://foo.com:65536", InvalidOrigin::Port),
            ("https://foo.com:+1", InvalidOrigin::Port),
            ("https://[]", InvalidOrigin::Host),
            ("https://[:::1", InvalidOrigin::Host),
            ("https://[::1]x", InvalidOrigin::Host),
            ("https://[::G]", InvalidOrigin::Host),
            ("https://[foo.com]", InvalidOrigin::Host),
        ] {
            assert_eq!(Origin::parse(text), Err(fault), "{text:?}");
        }
    }

    #[test]
    fn r50_the_bound_on_length_is_exact() {
        let of = |length: usize| format!("https://{}", "a".repeat(length - "https://".len()));
        assert_eq!(Origin::parse(&of(255)).map(|origin| origin.to_string()), Ok(of(255)));
        assert_eq!(Origin::parse(&of(256)), Err(InvalidOrigin::TooLong));
    }

    #[test]
    fn parts() {
        let origin = Origin::parse("http://127.0.0.1:8080").unwrap();
        assert_eq!((origin.scheme(), origin.authority(), origin.is_loopback()), ("http", "127.0.0.1:8080", true));
        assert!(!Origin::parse("https://localhost.example").unwrap().is_loopback());
    }
}
