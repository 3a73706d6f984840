//! Page origins in their one serialised form (WHATWG HTML, "ASCII serialisation of an origin"; RFC 6454 §6.2).
//!
//! ```
//! use bmap_protocol::origin::Origin;
//!
//! let page = Origin::parse("https://shop.example:8443")?;
//! assert_eq!((page.scheme(), page.authority(), page.host()), ("https", "shop.example:8443", "shop.example"));
//! let previews = Origin::parse_pattern("https://*.pages.example")?;
//! assert!(previews.covers("https://pr-7.pages.example") && !previews.covers("https://pages.example"));
//! # Ok::<(), bmap_protocol::origin::InvalidOrigin>(())
//! ```

use alloc::boxed::Box;
use core::fmt::{self, Write};
use core::net::{Ipv4Addr, Ipv6Addr};

/// A serialised origin: `scheme://host[:port]`, lower case, default port left out.
///
/// There is one spelling for an origin, the one that a browser sends; every other spelling is refused and not
/// normalised, so that equality of bytes is equality of origins. `null` is not an origin.
///
/// Pages of an app's web view or of a browser's extension have schemes of their own: `capacitor://localhost`, `tauri://localhost`,
/// `chrome-extension://<id>`.
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
    /// None of the schemes that pages have, in lower case. `null` lands here.
    #[error("an origin starts with https:// or http:// in lower case (or capacitor://, tauri://, chrome-extension://)")]
    Scheme,
    /// The host is empty or has a character that a serialised host can't have (upper case, a path, a user, a trailing dot), or is an address
    /// in another spelling than browsers send.
    #[error(
        "the host of an origin is lower-case ASCII without path, user or trailing dot, and an address as browsers spell it"
    )]
    Host,
    /// The port is empty, padded, out of range, or the scheme's default.
    #[error("the port of an origin is left out when it is the default, else a plain number")]
    Port,
    /// `*` in another place than as the whole first label of an https origin with two more labels at least.
    #[error("a wildcard is the whole first label of an https origin, like https://*.pages.example")]
    Wildcard,
}

/// The schemes of pages: how each begins, and its default port. One without a default has no ports.
const SCHEMES: [(&str, Option<&str>); 5] = [
    ("https://", Some("443")),
    ("http://", Some("80")),
    ("capacitor://", None),
    ("tauri://", None),
    ("chrome-extension://", None),
];

/// How an origin pattern begins: one label of any name, and then its host.
const WILDCARD: &str = "https://*.";

impl Origin {
    /// Parses the serialised form.
    ///
    /// # Errors
    /// [`InvalidOrigin`] for every other spelling, with what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidOrigin> {
        let authority = check(text)?;
        Ok(Self { text: text.into(), authority })
    }

    /// Parses the serialised form of an origin, or a pattern `https://*.host[:port]` that stands for one label of any name (preview
    /// deployments). Whether the host may have pages of others beside each other is not looked at.
    ///
    /// # Errors
    /// [`InvalidOrigin`].
    pub fn parse_pattern(text: &str) -> Result<Self, InvalidOrigin> {
        let Some(rest) = text.strip_prefix(WILDCARD) else {
            return if text.contains('*') { Err(InvalidOrigin::Wildcard) } else { Self::parse(text) };
        };
        if text.len() > 255 {
            return Err(InvalidOrigin::TooLong);
        }
        let (host, port) = split_port(rest);
        // One label alone is a top-level domain, and an address has no names in it.
        if !is_host(host) || host.starts_with('[') || !host.contains('.') || ends_in_number(host) {
            return Err(InvalidOrigin::Wildcard);
        }
        check_port(port, Some("443"))?;
        Ok(Self { text: text.into(), authority: "https://".len() })
    }

    /// The host of a pattern behind its wildcard, without its port; `None` for an origin.
    pub fn wildcard_host(&self) -> Option<&str> {
        self.text.strip_prefix(WILDCARD).map(|rest| split_port(rest).0)
    }

    /// The pattern that would stand for this origin; `None` for one that no pattern stands for.
    pub fn wildcard(&self) -> Option<Self> {
        let (_, rest) = self.text.strip_prefix("https://")?.split_once('.')?;
        Self::parse_pattern(&[WILDCARD, rest].concat()).ok()
    }

    /// Whether this is that serialised origin, or the pattern that stands for it.
    pub fn covers(&self, origin: &str) -> bool {
        if &*self.text == origin {
            return !origin.contains('*');
        }
        let Some(rest) = self.text.strip_prefix(WILDCARD) else { return false };
        let label_and_rest = origin.strip_prefix("https://").and_then(|origin| origin.split_once('.'));
        label_and_rest.is_some_and(|(_, of_origin)| of_origin == rest) && check(origin).is_ok()
    }

    /// The origin as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The scheme, such as `https`.
    pub fn scheme(&self) -> &str {
        self.authority.checked_sub("://".len()).and_then(|end| self.text.get(..end)).unwrap_or_default()
    }

    /// Whether it is on the web: `https` or `http`.
    pub fn is_web(&self) -> bool {
        matches!(self.scheme(), "https" | "http")
    }

    /// Host and port, as `@authority` has them (RFC 9421 §2.2.3).
    pub fn authority(&self) -> &str {
        self.text.get(self.authority..).unwrap_or_default()
    }

    /// The host, an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        split_port(self.authority()).0
    }

    /// Whether the host is this machine: `localhost`, `127.0.0.1` or `[::1]`.
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
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

/// Where the authority of a serialised origin begins.
fn check(text: &str) -> Result<usize, InvalidOrigin> {
    if text.len() > 255 {
        return Err(InvalidOrigin::TooLong);
    }
    let scheme = SCHEMES.iter().find_map(|(scheme, port)| Some((scheme.len(), *port, text.strip_prefix(scheme)?)));
    let Some((begin, default_port, authority)) = scheme else { return Err(InvalidOrigin::Scheme) };
    let (host, port) = split_port(authority);
    if !is_host(host) {
        return Err(InvalidOrigin::Host);
    }
    check_port(port, default_port).map(|()| begin)
}

/// Whether a host is serialised as browsers do it (WHATWG URL §3.5): a name, an IPv4 address in dotted decimal, or an IPv6 address in
/// brackets, compressed and in lower case.
fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        return address.strip_suffix(']').is_some_and(is_ipv6);
    }
    let is_name = host.split('.').all(|label| !label.is_empty())
        && host.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_'));
    // What ends in a number is an address to a browser (WHATWG URL §3.5), or no host at all.
    is_name && (!ends_in_number(host) || host.parse::<Ipv4Addr>().is_ok())
}

fn ends_in_number(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_hex = |digits: &str| digits.bytes().all(|b| b.is_ascii_hexdigit());
    !last.is_empty() && (last.bytes().all(|b| b.is_ascii_digit()) || last.strip_prefix("0x").is_some_and(is_hex))
}

/// Whether a text is an IPv6 address as browsers serialise it. Unlike Rust and RFC 5952 they write no part of it as IPv4.
fn is_ipv6(text: &str) -> bool {
    let Ok(address) = text.parse::<Ipv6Addr>() else { return false };
    let segments = address.segments();
    let mut buffer = Lowercase { bytes: [0; 39], length: 0 };
    let run = longest_run_of_zeros(&segments);
    let mut at = 0;
    while at < segments.len() {
        if let Some((start, length)) = run
            && start == at
        {
            let _ = buffer.write_str(if at == 0 { "::" } else { ":" });
            at = at.saturating_add(length);
            continue;
        }
        let segment = segments.get(at).copied().unwrap_or_default();
        let _ = write!(buffer, "{segment:x}");
        at = at.saturating_add(1);
        if at < segments.len() {
            let _ = buffer.write_str(":");
        }
    }
    buffer.as_str() == text
}

/// The first longest run of at least two zero parts: where it begins, and how long it is.
fn longest_run_of_zeros(segments: &[u16; 8]) -> Option<(usize, usize)> {
    let mut best: Option<(usize, usize)> = None;
    let mut current: Option<(usize, usize)> = None;
    for (at, segment) in segments.iter().enumerate() {
        current = match (segment, current) {
            (0, Some((start, length))) => Some((start, length.saturating_add(1))),
            (0, None) => Some((at, 1)),
            _ => None,
        };
        if let Some((start, length)) = current
            && length >= 2
            && best.is_none_or(|(_, longest)| length > longest)
        {
            best = Some((start, length));
        }
    }
    best
}

/// Room for the longest serialised IPv6 address.
struct Lowercase {
    bytes: [u8; 39],
    length: usize,
}

impl Lowercase {
    fn as_str(&self) -> &str {
        self.bytes.get(..self.length).and_then(|bytes| core::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl fmt::Write for Lowercase {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length.saturating_add(text.len());
        let room = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

fn check_port(port: Option<&str>, default_port: Option<&str>) -> Result<(), InvalidOrigin> {
    match (port, default_port) {
        (None, _) => Ok(()),
        (Some(port), Some(default))
            if port != default && !port.starts_with('0') && port.bytes().all(|b| b.is_ascii_digit()) =>
        {
            port.parse::<u16>().map(|_| ()).map_err(|_| InvalidOrigin::Port)
        }
        (Some(_), _) => Err(InvalidOrigin::Port),
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
            "https://[::ffff:c000:201]",
            "https://[2001:db8::9]:9",
            "https://[2001:db8:0:1:1:1:1:1]",
            "https://[2001:0:0:1::1]",
            "https://[1:2:3:4:5:6:7:8]",
            "https://[::]",
            "https://[1::]",
            "https://192.0.2.1",
            "https://a1.b2c",
            "capacitor://localhost",
            "tauri://localhost",
            "http://tauri.localhost",
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
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
            // Spelled as no browser sends them.
            ("https://[::ffff:192.0.2.1]", InvalidOrigin::Host),
            ("https://[2001:0db8::9]", InvalidOrigin::Host),
            ("https://[2001:db8:0:0:0:0:0:9]", InvalidOrigin::Host),
            ("https://[2001:db8::1:1:1:1:1]", InvalidOrigin::Host),
            ("https://[0:0::1]", InvalidOrigin::Host),
            ("https://[2001:0:0:0:1::1]", InvalidOrigin::Host),
            ("https://127.1", InvalidOrigin::Host),
            ("https://127.0.0.01", InvalidOrigin::Host),
            ("https://0x7f.0.0.1", InvalidOrigin::Host),
            ("https://a.0x1", InvalidOrigin::Host),
            ("https://2130706433", InvalidOrigin::Host),
            ("https://256.0.0.1", InvalidOrigin::Host),
            ("https://shop.1", InvalidOrigin::Host),
            ("https://*.pages.example", InvalidOrigin::Host),
            ("capacitor://localhost:80", InvalidOrigin::Port),
            ("Tauri://localhost", InvalidOrigin::Scheme),
            ("moz-extension://x", InvalidOrigin::Scheme),
            ("file://", InvalidOrigin::Scheme),
        ] {
            assert_eq!(Origin::parse(text), Err(fault), "{text:?}");
        }
    }

    #[test]
    fn r50_the_bound_on_length_is_exact() {
        let of = |length: usize| format!("https://{}", "a".repeat(length - "https://".len()));
        assert_eq!(Origin::parse(&of(255)).map(|origin| origin.to_string()), Ok(of(255)));
        assert_eq!(Origin::parse(&of(256)), Err(InvalidOrigin::TooLong));
        let labels = format!("{}.{}.{}.", "a".repeat(60), "b".repeat(60), "c".repeat(60));
        let pattern =
            |length: usize| format!("{WILDCARD}{labels}{}", "d".repeat(length - WILDCARD.len() - labels.len()));
        assert_eq!(Origin::parse_pattern(&pattern(255)).map(|origin| origin.to_string()), Ok(pattern(255)));
        assert_eq!(Origin::parse_pattern(&pattern(256)), Err(InvalidOrigin::TooLong));
        assert_eq!(Origin::parse_pattern(&pattern(400)), Err(InvalidOrigin::TooLong));
    }

    #[test]
    fn parts() {
        let origin = Origin::parse("http://127.0.0.1:8080").unwrap();
        assert_eq!((origin.scheme(), origin.authority(), origin.is_loopback()), ("http", "127.0.0.1:8080", true));
        assert!(!Origin::parse("https://localhost.example").unwrap().is_loopback());
        for (text, is_web) in [("https://a.example", true), ("http://localhost", true), ("tauri://localhost", false)] {
            assert_eq!(Origin::parse(text).unwrap().is_web(), is_web, "{text}");
        }
    }

    #[test]
    fn r50_a_wildcard_is_one_label_of_one_host() {
        for text in ["https://*.pages.example", "https://*.pages.example:8443", "https://*.a.b.example"] {
            let pattern = Origin::parse_pattern(text).unwrap();
            assert_eq!(pattern.as_str(), text);
            assert!(!pattern.covers(text), "a pattern is no origin");
            assert!(Origin::parse(text).is_err());
        }
        let pattern = Origin::parse_pattern("https://*.pages.example").unwrap();
        assert_eq!(pattern.wildcard_host(), Some("pages.example"));
        for origin in ["https://a.pages.example", "https://pr-7.pages.example", "https://xn--a.pages.example"] {
            assert!(pattern.covers(origin), "{origin}");
            assert_eq!(Origin::parse(origin).unwrap().wildcard(), Some(pattern.clone()));
        }
        for origin in [
            "https://pages.example",
            "https://a.b.pages.example",
            "https://.pages.example",
            "https://a.pages.example.",
            "https://A.pages.example",
            "https://a/.pages.example",
            "https://u@a.pages.example",
            "https://a.pages.example:8443",
            "https://a.pages.example.evil",
            "https://evilpages.example",
            "http://a.pages.example",
            "null",
            "",
        ] {
            assert!(!pattern.covers(origin), "{origin}");
        }
        for (text, fault) in [
            ("https://*.example", InvalidOrigin::Wildcard),
            ("https://*", InvalidOrigin::Wildcard),
            ("https://*.*.pages.example", InvalidOrigin::Wildcard),
            ("https://a*.pages.example", InvalidOrigin::Wildcard),
            ("https://a.*.example", InvalidOrigin::Wildcard),
            ("http://*.pages.example", InvalidOrigin::Wildcard),
            ("https://*.0.0.1", InvalidOrigin::Wildcard),
            ("https://*.[::1]", InvalidOrigin::Wildcard),
            ("https://*.Pages.example", InvalidOrigin::Wildcard),
            ("https://*.pages.example:443", InvalidOrigin::Port),
        ] {
            assert_eq!(Origin::parse_pattern(text), Err(fault), "{text}");
        }
        assert!(Origin::parse_pattern("https://shop.example").is_ok());
        let exact = Origin::parse("https://shop.example").unwrap();
        assert!(exact.covers("https://shop.example") && !exact.covers("https://a.shop.example"));
        assert_eq!(Origin::parse("https://192.0.2.1").unwrap().wildcard(), None);
    }
}
