//! The demands of a tool beyond a good signature (profile §5: the addresses before step 1, and steps 1, 9, 10 and 12).

use crate::credential::ToolCredential;
use bmap_protocol::check::Window;
use bmap_protocol::origin::Origin;
use bmap_protocol::token::Assurance;
use http::HeaderName;
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

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
    /// How long a body may take, and how much of bodies is held at once.
    pub bodies: BodyLimits,
    /// Most bytes of all header names and values. Default: 16 KiB.
    pub max_head: usize,
    /// Most header lines. Default: 64.
    pub max_headers: usize,
    /// Addresses that may call; empty: all. Decided before anything else is looked at. Needs [`PeerAddress`] in the request's
    /// extensions. Default: empty.
    pub allowed_ips: Vec<IpNet>,
    /// Headers that pages may send beyond [`crate::cors::ALLOW_HEADERS`]. Default: none.
    pub allow_headers: Vec<HeaderName>,
    /// Headers of the tool's answers that pages may read beyond [`crate::cors::EXPOSE_HEADERS`] and beyond those that an answer names
    /// itself in `Access-Control-Expose-Headers`. Default: none.
    pub expose_headers: Vec<HeaderName>,
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
            bodies: BodyLimits::default(),
            max_head: 16 << 10,
            max_headers: 64,
            allowed_ips: Vec::new(),
            allow_headers: Vec::new(),
            expose_headers: Vec::new(),
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

    /// This policy, and no wider than the operator's: pages that both allow, the higher assurance, the scopes of both.
    #[must_use]
    pub(crate) fn within(self, credential: &ToolCredential) -> Self {
        let operator = Self::of(credential);
        let origins = match (operator.origins, self.origins) {
            (AllowedOrigins::NamedByToken, own) => own,
            (operator, AllowedOrigins::NamedByToken) => operator,
            (AllowedOrigins::These(operator), AllowedOrigins::These(own)) => {
                let allows = |origin: &&Origin| {
                    operator.contains(origin) || operator.iter().any(|its| its.covers(origin.as_str()))
                };
                AllowedOrigins::These(own.iter().filter(allows).cloned().collect())
            }
        };
        let mut scopes = operator.scopes;
        scopes.extend(self.scopes.iter().filter(|scope| !scopes.contains(scope)).cloned().collect::<Vec<_>>());
        Self { origins, min_assurance: operator.min_assurance.max(self.min_assurance), scopes, ..self }
    }
}

/// Limits on bodies that are on their way (profile §5, T24).
///
/// Bytes count while their request waits: for more of its body, or for a store. Once the request is decided, its body belongs to the
/// tool and counts no more. No budget is smaller than [`Policy::max_body`], so that one body alone is never refused by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BodyLimits {
    /// Longest that a body may take, counted from its head. Default: 30 s.
    pub deadline: Duration,
    /// Time before the minimum rate counts. Default: 5 s.
    pub grace: Duration,
    /// Fewest bytes for each second after [`BodyLimits::grace`]; 0: no minimum. Default: 1 KiB.
    pub min_rate: u32,
    /// Most bytes at once of one token's requests. Default: 2 MiB.
    pub per_token: usize,
    /// Most bytes at once of requests that one API key signed by itself. Tokens granted to it do not count. Default: 8 MiB.
    pub per_api_key: usize,
    /// Most bytes at once from one address prefix (IPv4 /24, IPv6 /48), where the address is known. Default: 8 MiB, an eighth of
    /// [`BodyLimits::total`].
    pub per_prefix: usize,
    /// Most bytes at once. When they are taken, the slowest body is ended. Default: 64 MiB.
    pub total: usize,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(30),
            grace: Duration::from_secs(5),
            min_rate: 1 << 10,
            per_token: 2 << 20,
            per_api_key: 8 << 20,
            per_prefix: 8 << 20,
            total: 64 << 20,
        }
    }
}

/// Pages that may call a tool.
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

/// How often one token may be used: a bucket that holds `burst` and refills by `per_second`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests for each second.
    pub per_second: u32,
    /// Requests at once.
    pub burst: u32,
}

/// The address at the other end of the connection, put into a request's extensions by the listener that accepted it.
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
