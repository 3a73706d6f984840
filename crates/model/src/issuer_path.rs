//! The path of an issuer whose URL has one (U09).

use bmap_protocol::ids::Issuer as IssuerUrl;

/// The path of an issuer's URL: empty, or `/` and what follows, without a slash at its end.
pub fn path_of(issuer: &IssuerUrl) -> &str {
    let rest = issuer.as_str().split_once("://").map_or("", |(_, rest)| rest);
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("")
}

/// Whether an issuer's path is one that every party between client and issuer reads in the same way.
pub fn is_plain(path: &str) -> bool {
    let is_segment = |segment: &str| {
        let is_name = segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
        !segment.is_empty() && segment != "." && segment != ".." && is_name
    };
    path.is_empty() || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u09_paths_that_are_read_in_two_ways_are_none() {
        let of = |text: &str| path_of(&IssuerUrl::parse(text).unwrap()).to_owned();
        assert_eq!(of("https://a.example"), "");
        assert_eq!(of("https://a.example:8443/auth/eu"), "/auth/eu");
        for good in ["", "/auth", "/auth/eu-1", "/~x/v1.0"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in ["/", "/a//b", "/a/../b", "/./a", "/%61", "/a;b", "/a b"] {
            assert!(!is_plain(bad), "{bad}");
        }
    }
}
