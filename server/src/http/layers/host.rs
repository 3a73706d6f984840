//! Which host a request is for: named once, and well-formed (RFC 9112 §3.2, RFC 9113 §8.3.1).
//!
//! Two parties that read different hosts in one request decide about different requests, so what could be read in two ways is refused.

use crate::http::problem::RouteError;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bmap_issuer::error::IssuerError;
use http::header::HOST;
use http::{HeaderMap, Uri, Version};
use std::net::Ipv6Addr;

/// Refuses a request without a host, with two, or with a malformed one, on whatever route.
pub async fn named_once(request: Request, next: Next) -> Response {
    match check(request.version(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => RouteError::from(refusal).into_response(),
    }
}

/// HTTP/1.0 alone may leave the host out. A target with an authority, which HTTP/2 always has in `:authority`, names the same one as `Host`.
fn check(version: Version, uri: &Uri, headers: &HeaderMap) -> Result<(), IssuerError> {
    let malformed = || IssuerError::Malformed { field: "host" };
    let mut lines = headers.get_all(HOST).iter();
    let host = match (lines.next(), lines.next()) {
        (line, None) => line.map(|line| line.to_str().map_err(|_| malformed())).transpose()?,
        (_, Some(_)) => return Err(malformed()),
    };
    let authority = uri.authority().map(http::uri::Authority::as_str);
    match (authority, host) {
        (None, None) if version == Version::HTTP_10 => Ok(()),
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => Err(malformed()),
        (Some(named), _) | (None, Some(named)) if is_host_and_port(named) => Ok(()),
        _ => Err(malformed()),
    }
}

/// `uri-host [ ":" port ]` (RFC 9110 §7.2), with a host that is not empty.
fn is_host_and_port(text: &str) -> bool {
    let (is_host, rest) = match text.strip_prefix('[').map(|text| text.split_once(']')) {
        Some(Some((address, rest))) => (address.parse::<Ipv6Addr>().is_ok(), rest),
        Some(None) => return false,
        None => {
            let end = text.find(':').unwrap_or(text.len());
            let (name, rest) = text.split_at(end);
            (is_name(name), rest)
        }
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    is_host && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port))
}

/// A registered name or an IPv4 address (RFC 3986 §3.2.2).
fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let is_digit = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_hexdigit());
    while let Some(byte) = bytes.next() {
        let is_valid = match byte {
            b'%' => is_digit(bytes.next()) && is_digit(bytes.next()),
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => {
                true
            }
            byte => byte.is_ascii_alphanumeric(),
        };
        if !is_valid {
            return false;
        }
    }
    !name.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o10_the_grammar_of_a_host() {
        for good in
            ["a", "auth.example", "auth.example:443", "127.0.0.1:4000", "[::1]", "[2001:db8::1]:80", "a%2Db", "x_y"]
        {
            assert!(is_host_and_port(good), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a:",
            "a:b",
            "a:80:80",
            "a:65536",
            "a:+80",
            "a@b",
            "user:pass@a",
            "a/b",
            "a b",
            "a,b c",
            "[::1",
            "::1",
            "[::1]80",
            "[x]",
            "[]",
            "a%2",
            "a%zz",
            "a\tb",
            "a?b",
            "a#b",
            "ä",
        ] {
            assert!(!is_host_and_port(bad), "{bad}");
        }
    }

    #[test]
    fn o10_one_host_wherever_it_stands() {
        let check = |version, target: &str, hosts: &[&str]| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(HOST, host.parse().unwrap());
            }
            check(version, &target.parse().unwrap(), &headers).is_ok()
        };
        let (http1, http2) = (Version::HTTP_11, Version::HTTP_2);
        assert!(check(http1, "/", &["a"]) && check(Version::HTTP_10, "/", &[]) && check(http2, "http://a/", &[]));
        assert!(
            check(http1, "http://a:80/", &["A:80"]) && check(http2, "http://a/", &["a"]) && check(http2, "/", &["a"])
        );
        assert!(!check(http1, "/", &[]) && !check(http2, "/", &[]) && !check(Version::HTTP_10, "/", &[""]));
        assert!(!check(http1, "/", &["a", "a"]) && !check(http2, "http://a/", &["a", "a"]));
        assert!(
            !check(http1, "http://a/", &["b"])
                && !check(http2, "http://a/", &["b"])
                && !check(http2, "http://a/", &["a:80"])
        );
    }
}
