//! What a tool asks for beyond a good signature (profile §5, steps 1, 9 and 12).

use crate::credential::ToolCredential;
use bmap_protocol::check::Window;
use bmap_protocol::origin::Origin;
use bmap_protocol::token::Assurance;
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;

/// A tool's policy.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Policy {
    /// Pages that may call. Default: those that a token names.
    pub origins: AllowedOrigins,
    /// The lowest assurance that is accepted. Default: [`Assurance::Origin`].
    pub min_assurance: Assurance,
    /// Scopes that a token must all have. Default: none.
    pub scopes: Vec<Box<str>>,
    /// The window for `created`. Default: [`Window::DEFAULT`].
    pub window: Window,
    /// Most bytes of a body, which is held in memory until its digest is known. Default: 1 MiB.
    pub max_body: usize,
    /// Most bytes of all header names and values. Default: 16 KiB.
    pub max_head: usize,
    /// Most header lines. Default: 64.
    pub max_headers: usize,
    /// Addresses that may call; empty: all. Needs [`PeerAddress`] in the request's extensions. Default: empty.
    pub allowed_ips: Vec<IpNet>,
    /// How often one token may be used. Default: not limited beyond its share of the replay store.
    pub rate: Option<Rate>,
    /// Tokens to remember, so that their issuer's signature is checked once: about 2 KiB each. Default: 16,384.
    pub known_tokens: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            origins: AllowedOrigins::NamedByToken,
            min_assurance: Assurance::Origin,
            scopes: Vec::new(),
            window: Window::DEFAULT,
            max_body: 1 << 20,
            max_head: 16 << 10,
            max_headers: 64,
            allowed_ips: Vec::new(),
            rate: None,
            known_tokens: 16_384,
        }
    }
}

impl Policy {
    /// The policy that the operator set, as a tool's credential says it.
    pub fn of(credential: &ToolCredential) -> Self {
        Self {
            origins: credential.origins.clone(),
            min_assurance: credential.min_assurance,
            scopes: credential.scopes.iter().map(|scope| scope.as_str().into()).collect(),
            ..Self::default()
        }
    }
}

/// Pages that may call a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Whichever a token names: the issuer grants tokens only for origins that their API key registered.
    NamedByToken,
    /// Only these, whatever a token names.
    These(Arc<[Origin]>),
}

impl AllowedOrigins {
    /// Whether a page of this origin may call. Exact: one spelling for each origin, no suffixes, no `null` (R50).
    pub fn allow(&self, origin: &str) -> bool {
        match self {
            AllowedOrigins::NamedByToken => Origin::parse(origin).is_ok(),
            AllowedOrigins::These(list) => list.iter().any(|allowed| allowed.as_str() == origin),
        }
    }
}

/// How often one token may be used: a bucket that holds `burst` and refills by `per_second`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests for each second.
    pub per_second: u32,
    /// Requests at once.
    pub burst: u32,
}

/// The address at the other end of the connection, put into a request's extensions by whoever accepted it.
///
/// Never taken from a header: a forwarded address counts only from a configured proxy, and that is the listener's matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub IpAddr);

/// Whether `peer` is in the list; an empty list allows all, an unknown peer is in no list.
pub(crate) fn ip_allowed(list: &[IpNet], peer: Option<IpAddr>) -> bool {
    // A v4 peer on a dual-stack socket is the same peer.
    list.is_empty() || peer.is_some_and(|peer| list.iter().any(|net| net.contains(&peer.to_canonical())))
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

    #[test]
    fn addresses() {
        let list = ["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        let allowed = |peer: &str| ip_allowed(&list, Some(peer.parse().unwrap()));
        assert!(allowed("10.1.2.3") && allowed("::ffff:10.1.2.3") && allowed("2001:db8::1"));
        assert!(!allowed("11.1.2.3") && !allowed("2001:db9::1") && !ip_allowed(&list, None));
        assert!(ip_allowed(&[], None));
    }
}
