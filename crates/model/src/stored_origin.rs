//! Origins as rows have them: rows are sealed over their text, so one that was written under a former rule is read as it is.

use bmap_protocol::origin::Origin;
use std::fmt;

/// An origin of a key's or a tool's row.
///
/// What comes in is an [`Origin`], in the spelling that browsers send. Until that was the rule, addresses were taken in any spelling
/// (`https://127.1`, `https://[::ffff:192.0.2.1]`). No browser sends one of these, so such an origin stands for no page; it can be read,
/// named and replaced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredOrigin(Spelling);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Spelling {
    OfBrowsers(Origin),
    Former(Box<str>),
}

impl StoredOrigin {
    /// Reads an origin, or the pattern of several, out of a row: what may be registered now, and what could be formerly. `None` for
    /// everything else.
    pub fn of_row(text: &str) -> Option<Self> {
        match Origin::parse_pattern(text) {
            Ok(origin) => Some(Self(Spelling::OfBrowsers(origin))),
            Err(_) => is_of_former_rule(text).then(|| Self(Spelling::Former(text.into()))),
        }
    }

    /// The text, byte for byte as it was written.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Spelling::OfBrowsers(origin) => origin.as_str(),
            Spelling::Former(text) => text,
        }
    }

    /// The origin; `None` where its spelling is a former one.
    pub const fn origin(&self) -> Option<&Origin> {
        match &self.0 {
            Spelling::OfBrowsers(origin) => Some(origin),
            Spelling::Former(_) => None,
        }
    }

    /// Whether it is that page's origin, or the pattern that stands for it. One of a former spelling is no page's.
    pub fn covers(&self, page: &Origin) -> bool {
        self.origin().is_some_and(|origin| origin.covers(page.as_str()))
    }

    /// What is wrong with a former spelling, with the one that browsers send where there is any; `None` where nothing is.
    pub fn fault(&self) -> Option<String> {
        let Spelling::Former(text) = &self.0 else { return None };
        Some(match canonical(text) {
            Some(of_browsers) => format!("no browser sends {text}: it sends {of_browsers}"),
            None => format!("no browser sends {text}, which is no address: take it out"),
        })
    }
}

impl From<Origin> for StoredOrigin {
    fn from(origin: Origin) -> Self {
        Self(Spelling::OfBrowsers(origin))
    }
}

impl fmt::Display for StoredOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The serialised origin of a URL that is spelled in another way.
pub(super) fn canonical(text: &str) -> Option<String> {
    let lower = text.trim().to_ascii_lowercase();
    for scheme in ["capacitor://", "tauri://", "chrome-extension://"] {
        if let Some(rest) = lower.strip_prefix(scheme) {
            let host = rest.split(['/', '?', '#', ':']).next()?;
            return Origin::parse(&format!("{scheme}{host}")).ok().map(|origin| origin.to_string());
        }
    }
    let url = match url::Url::parse(text) {
        Ok(url) => url,
        // A name alone. What has a scheme, and is no URL, is none of another scheme either.
        Err(_) if !text.contains("://") => url::Url::parse(&format!("https://{text}")).ok()?,
        Err(_) => return None,
    };
    let serialised = url.origin().ascii_serialization();
    let serialised = serialised.trim_end_matches('.');
    Origin::parse_pattern(serialised).ok().map(|origin| origin.to_string())
}

/// The former rule, where it took more: the characters of a host were looked at, and not what they spell.
fn is_of_former_rule(text: &str) -> bool {
    let of = |scheme: &'static str| Some((scheme, text.strip_prefix(scheme)?));
    let Some((scheme, authority)) = of("https://").or_else(|| of("http://")) else { return false };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_host = match host.strip_prefix('[') {
        Some(address) => address.strip_suffix(']').is_some_and(|address| {
            !address.is_empty() && address.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b':' | b'.'))
        }),
        None => {
            host.split('.').all(|label| !label.is_empty())
                && host.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_'))
        }
    };
    // Lengths and ports are what they were: those of a name in the place of the host.
    is_host && text.len() <= 255 && Origin::parse(&with_port(scheme, port)).is_ok()
}

fn with_port(scheme: &str, port: Option<&str>) -> String {
    match port {
        Some(port) => format!("{scheme}host:{port}"),
        None => format!("{scheme}host"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r50_rows_of_the_former_rule_are_read_byte_for_byte_and_are_no_pages() {
        for (text, of_browsers) in [
            ("https://[::ffff:192.0.2.1]", Some("https://[::ffff:c000:201]")),
            ("https://[2001:0db8::9]:8443", Some("https://[2001:db8::9]:8443")),
            ("https://127.1", Some("https://127.0.0.1")),
            ("http://2130706433:8080", Some("http://127.0.0.1:8080")),
            ("https://0x7f.0.0.1", Some("https://127.0.0.1")),
            ("https://shop.1", None),
            ("https://256.0.0.1", None),
            ("https://[1.2]", None),
        ] {
            assert!(Origin::parse_pattern(text).is_err(), "{text}");
            let stored = StoredOrigin::of_row(text).unwrap();
            assert_eq!((stored.as_str(), stored.origin()), (text, None));
            let fault = stored.fault().unwrap();
            match of_browsers {
                Some(right) => {
                    assert!(fault.ends_with(&format!("it sends {right}")), "{fault}");
                    assert!(!stored.covers(&Origin::parse(right).unwrap()), "{text}");
                }
                None => assert!(fault.ends_with("take it out"), "{fault}"),
            }
        }
    }

    #[test]
    fn r50_what_neither_rule_takes_is_no_origin_of_a_row() {
        let long = format!("https://{}.1", "a".repeat(250));
        for text in [
            "",
            "null",
            "*",
            "https://",
            "https://Shop.example",
            "https://shop.example/",
            "https://shop.example.",
            "https://u@127.1",
            "https://127.1:443",
            "http://127.1:80",
            "https://127.1:08443",
            "https://127.1:65536",
            "https://127.1:",
            "https://[]",
            "https://[::G]",
            "https://[::1",
            "https://*.example",
            "capacitor://127.1",
            "ftp://127.1",
            &long,
        ] {
            assert_eq!(StoredOrigin::of_row(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_registered_now_is_read_as_what_it_is() {
        for text in
            ["https://shop.example", "https://*.pages.example", "capacitor://localhost", "http://127.0.0.1:8080"]
        {
            let stored = StoredOrigin::of_row(text).unwrap();
            assert_eq!((stored.as_str(), stored.fault()), (text, None));
            assert_eq!(stored, StoredOrigin::from(Origin::parse_pattern(text).unwrap()));
        }
        assert!(
            StoredOrigin::of_row("https://*.pages.example")
                .unwrap()
                .covers(&"https://a.pages.example".parse().unwrap())
        );
    }
}
