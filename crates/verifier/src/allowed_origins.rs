//! Which pages may call a tool (profile §5, step 9).

use bmap_protocol::origin::Origin;
use std::sync::Arc;

/// Pages that may call a tool.
///
/// ```
/// use bmap_verifier::AllowedOrigins;
///
/// let listed = AllowedOrigins::These(["https://shop.example".parse()?, "https://maps.example".parse()?].into());
/// assert!(listed.allow("https://shop.example"));
/// assert!(!listed.allow("https://shop.example:443"), "one spelling for each origin, the one that browsers send");
/// assert!(!listed.allow("null"));
/// # Ok::<(), bmap_verifier::protocol::origin::InvalidOrigin>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Whichever a token names: the issuer grants tokens only for origins that their API key registered.
    NamedByToken,
    /// Only these, whatever a token names. One may be a pattern (`https://*.pages.example`).
    These(Arc<[Origin]>),
}

impl AllowedOrigins {
    /// Whether a page of this origin may call. Exact: one spelling for each origin, no suffixes, no `null` (R50).
    pub fn allow(&self, origin: &str) -> bool {
        match self {
            AllowedOrigins::NamedByToken => Origin::parse(origin).is_ok(),
            AllowedOrigins::These(list) => list.iter().any(|allowed| allowed.covers(origin)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r50_no_suffix_case_port_or_null() {
        let list = AllowedOrigins::These(
            [Origin::parse("https://foo.com").unwrap(), Origin::parse("https://bar.com").unwrap()].into(),
        );
        assert!(list.allow("https://foo.com") && list.allow("https://bar.com"));
        for origin in [
            "https://barfoo.com",
            "https://foo.com.evil",
            "null",
            "HTTPS://foo.com",
            "https://foo.com:443",
            "https://foo.com.",
            "http://foo.com",
            "",
        ] {
            assert!(!list.allow(origin), "{origin}");
        }
        for origin in ["null", "HTTPS://foo.com", "https://foo.com:443", "https://foo.com.", "*", ""] {
            assert!(!AllowedOrigins::NamedByToken.allow(origin), "{origin}");
        }
    }
}
