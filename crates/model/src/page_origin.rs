//! Origins as people type them: only the serialised form is taken, and the error says what that form is.

use super::stored_origin::{StoredOrigin, canonical};
use bmap_protocol::origin::Origin;
use std::net::IpAddr;

/// What an operator lets origins be beyond https, this machine and the schemes of apps. Default: nothing more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OriginRules {
    /// `http` on a network of one's own (private and link-local addresses, names without a dot or below `.local`): on a developer's own
    /// server.
    pub http_on_lan: bool,
    /// One wildcard label, `https://*.pages.example`: for preview deployments.
    pub wildcards: bool,
}

impl OriginRules {
    /// Whether an origin, or the pattern of several, may be registered.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn check(self, origin: &Origin) -> Result<(), String> {
        if let Some(host) = origin.wildcard_host() {
            return self.check_wildcard(origin, host);
        }
        if origin.scheme() != "http" || origin.is_loopback() || (self.http_on_lan && is_of_lan(origin.host())) {
            return Ok(());
        }
        let setting = match is_of_lan(origin.host()) {
            true => "; http_origins_on_lan = true takes http on a network of your own",
            false => "",
        };
        Err(format!("{origin} is not encrypted: http is for localhost only, use https{setting}"))
    }

    /// Below a public suffix are sites of strangers: who registers one there would be let in by the pattern.
    fn check_wildcard(self, origin: &Origin, host: &str) -> Result<(), String> {
        if !self.wildcards {
            return Err(format!(
                "{origin} stands for many origins, which this issuer does not take: name each, or set wildcard_origins = true"
            ));
        }
        // The list has patterns of its own: below `*.user.example` each name is a suffix, and the host itself is none.
        let below = format!("x.{host}");
        if psl::domain(host.as_bytes()).is_none() || psl::domain(below.as_bytes()).is_none() {
            return Err(format!(
                "{host} is a public suffix, below which everybody may have a site: name a host of your own below it"
            ));
        }
        Ok(())
    }
}

/// Whether one of these origins and patterns stands for an origin.
pub fn covers(registered: &[StoredOrigin], origin: &Origin) -> bool {
    registered.iter().any(|registered| registered.covers(origin))
}

/// Whether a host is one of a network of one's own.
fn is_of_lan(host: &str) -> bool {
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_private() || address.is_link_local(),
        Ok(IpAddr::V6(address)) => address.is_unique_local() || address.is_unicast_link_local(),
        Err(_) => !host.contains('.') || host.ends_with(".local"),
    }
}

/// Reads a page's origin, or the pattern of several, in the exact form that browsers send. Whether it may be registered is for
/// [`OriginRules`] to say.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn page_origin(text: &str) -> Result<Origin, String> {
    Origin::parse_pattern(text).map_err(|error| explained(text, &error.to_string()))
}

/// Reads a base URL, which is scheme and authority only.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn base_url(text: &str) -> Result<Origin, String> {
    let origin = Origin::parse(text).map_err(|error| explained(text, has_path(text).unwrap_or(&error.to_string())))?;
    if origin.is_web() {
        Ok(origin)
    } else {
        Err(format!("{origin} is the origin of an app; a base URL is https or http"))
    }
}

/// The fault of a URL with something behind its host and port, be it a slash.
fn has_path(text: &str) -> Option<&'static str> {
    let (_, rest) = text.split_once("://")?;
    rest.contains(['/', '?', '#'])
        .then_some("a base URL is scheme, host and port only, without a path or a slash at its end")
}

fn explained(text: &str, error: &str) -> String {
    match canonical(text) {
        Some(canonical) => format!("{error}; did you mean {canonical}?"),
        None => error.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: OriginRules = OriginRules { http_on_lan: true, wildcards: true };

    #[test]
    fn r50_other_spellings_are_refused_with_the_right_one() {
        for (text, canonical) in [
            ("HTTPS://Shop.Example", "https://shop.example"),
            ("https://shop.example/", "https://shop.example"),
            ("https://shop.example:443", "https://shop.example"),
            ("https://shop.example./", "https://shop.example"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("shop.example", "https://shop.example"),
            ("http://127.0.0.1:08080/x?y", "http://127.0.0.1:8080"),
            ("http://127.1:8080", "http://127.0.0.1:8080"),
            ("https://0x7f.0.0.1", "https://127.0.0.1"),
            ("https://[2001:0DB8:0:0::9]", "https://[2001:db8::9]"),
            ("https://[::ffff:192.0.2.1]", "https://[::ffff:c000:201]"),
            ("Capacitor://localhost/", "capacitor://localhost"),
            ("chrome-extension://abcdefghijklmnop/popup.html", "chrome-extension://abcdefghijklmnop"),
            ("https://*.Pages.example/", "https://*.pages.example"),
        ] {
            let error = page_origin(text).unwrap_err();
            assert!(error.ends_with(&format!("did you mean {canonical}?")), "{text}: {error}");
        }
        for text in ["null", "", "data:text/html,x", "https://a b", "file:///x"] {
            assert!(page_origin(text).is_err(), "{text}");
        }
        for text in ["https://shop.1", "https://256.0.0.1", "https://[1.2]"] {
            let error = page_origin(text).unwrap_err();
            assert!(!error.contains("did you mean"), "{text}: {error}");
        }
    }

    #[test]
    fn http_is_for_this_machine_and_for_a_developers_own_network() {
        let check = |rules: OriginRules, text: &str| rules.check(&page_origin(text).unwrap());
        for text in ["http://127.0.0.1:8080", "http://localhost", "https://shop.example", "capacitor://localhost"] {
            assert_eq!(check(OriginRules::default(), text), Ok(()), "{text}");
        }
        for lan in
            ["http://192.168.1.7:5173", "http://10.0.0.2", "http://[fd00::7]", "http://laptop:3000", "http://pi.local"]
        {
            let refused = check(OriginRules::default(), lan).unwrap_err();
            assert!(refused.contains("https") && refused.contains("http_origins_on_lan = true"), "{refused}");
            assert_eq!(check(ALL, lan), Ok(()), "{lan}");
        }
        for public in ["http://shop.example", "http://192.0.2.1", "http://[2001:db8::1]"] {
            let refused = check(ALL, public).unwrap_err();
            assert!(refused.contains("https") && !refused.contains("http_origins_on_lan"), "{refused}");
        }
        assert!(base_url("http://places:4001").is_ok());
        for path in ["http://127.0.0.1:4001/", "http://127.0.0.1:4001/v1", "http://127.0.0.1:4001?a"] {
            let refused = base_url(path).unwrap_err();
            assert!(refused.contains("without a path") && !refused.contains("port is"), "{refused}");
            assert!(refused.ends_with("did you mean http://127.0.0.1:4001?"), "{refused}");
        }
        assert!(base_url("tauri://localhost").is_err() && base_url("https://*.pages.example").is_err());
    }

    #[test]
    fn a_wildcard_is_never_below_a_public_suffix() {
        let check = |rules: OriginRules, text: &str| rules.check(&page_origin(text).unwrap());
        let refused = check(OriginRules::default(), "https://*.pages.example").unwrap_err();
        assert!(refused.contains("name each") && refused.contains("wildcard_origins = true"), "{refused}");
        for own in ["https://*.pages.example", "https://*.shop.co.uk", "https://*.my-project.pages.dev"] {
            assert_eq!(check(ALL, own), Ok(()), "{own}");
        }
        for suffix in [
            "https://*.co.uk",
            "https://*.pages.dev",
            "https://*.github.io",
            "https://*.vercel.app",
            "https://*.s3.amazonaws.com",
            "https://*.user.fm",
            "https://*.beget.app",
            "https://*.kawasaki.jp",
        ] {
            assert!(check(ALL, suffix).unwrap_err().contains("public suffix"), "{suffix}");
        }
    }
}
