//! The demands of a tool beyond a good signature (profile §5: the addresses before step 1, and steps 1, 9, 10 and 12).

pub mod file;
pub(crate) mod rate_table;

use crate::allowed_ips::{NOWHERE, both, networks};
use crate::allowed_origins::AllowedOrigins;
use crate::credential::ToolCredential;
use bmap_protocol::check::Window;
use bmap_protocol::origin::Origin;
use bmap_protocol::token::Assurance;
use bmap_protocol::tool_policy::{CallerRate, CallerRates, Proof, Rule, ToolPolicy};
use http::HeaderName;
use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;

/// A tool's policy.
///
/// ```
/// # use bmap_verifier::protocol::{ids::{Issuer, ToolId}, keys::ToolKey, token::{Assurance, IssuerKey}};
/// # let issuer_key = ed25519_dalek::SigningKey::from_bytes(&[2; 32]).verifying_key().to_bytes();
/// # let credential = bmap_verifier::ToolCredential {
/// #     issuer: Issuer::parse("https://auth.example").unwrap(),
/// #     tool: ToolId::parse("geo").unwrap(),
/// #     own: vec!["https://geo.example".parse().unwrap()],
/// #     epochs: vec![(1, ToolKey::from_bytes([1; 32]))],
/// #     issuer_keys: vec![IssuerKey::new("bj1.a", &issuer_key).unwrap()],
/// #     origins: bmap_verifier::AllowedOrigins::NamedByToken,
/// #     min_assurance: Assurance::Origin,
/// #     scopes: Vec::new(),
/// #     policy: Default::default(),
/// # };
///
/// use bmap_verifier::{Policy, Rate, ReplayLimits, SystemClock, Verifier};
///
/// // What the operator set in the credential, narrowed: only for users who are signed in, bodies of at most 64 KiB.
/// let mut policy = Policy::of(&credential);
/// policy.min_assurance = Assurance::User;
/// policy.max_body = 64 << 10;
/// policy.rate = Some(Rate { per_second: 10, burst: 20 });
/// let verifier = Verifier::with_policy(credential, policy, ReplayLimits::default(), SystemClock.now());
/// assert_eq!(verifier.settings().policy.max_body, 65_536);
/// ```
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
    /// What a request may prove itself with beside a signature. Default: `None`, which leaves it to the operator; with no operator, nothing.
    pub proofs: Option<Vec<Proof>>,
    /// More demands on the requests below some paths; all that apply to a request count. Default: none.
    pub rules: Vec<Rule>,
    /// Headers that pages may send beyond [`crate::cors::ALLOW_HEADERS`]. Default: none.
    pub allow_headers: Vec<HeaderName>,
    /// Headers of the tool's answers that pages may read beyond [`crate::cors::EXPOSE_HEADERS`] and beyond those that an answer names
    /// itself in `Access-Control-Expose-Headers`. Default: none.
    pub expose_headers: Vec<HeaderName>,
    /// How often one token may be used. Default: not limited beyond its share of the replay store.
    pub rate: Option<Rate>,
    /// How often callers may ask. Default: not limited.
    pub rates: Rates,
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
            proofs: None,
            rules: Vec::new(),
            allow_headers: Vec::new(),
            expose_headers: Vec::new(),
            rate: None,
            rates: Rates::default(),
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
        .with_tool_policy(&credential.policy)
    }

    /// This policy, with what an operator wrote at the issuer.
    #[must_use]
    pub fn with_tool_policy(mut self, policy: &ToolPolicy) -> Self {
        // A policy whose networks are none is never taken; if it were, it would let nothing in.
        self.allowed_ips = networks(policy).unwrap_or_else(|| NOWHERE.to_vec());
        if let Some(max_body) = policy.max_body {
            self.max_body = self.max_body.min(usize::try_from(max_body).unwrap_or(usize::MAX));
        }
        let rate = |rate: Option<CallerRate>| rate.map(|CallerRate { per_second, burst }| Rate { per_second, burst });
        let CallerRates { token, user, key, origin, address } = policy.rates;
        self.rate = rate(token).or(self.rate);
        self.rates = Rates { user: rate(user), key: rate(key), origin: rate(origin), address: rate(address) };
        self.proofs = Some(policy.proofs.clone().unwrap_or_default());
        self.rules.clone_from(&policy.rules);
        self
    }

    /// This policy, and no wider than the operator's: pages and addresses that both allow, the higher assurance, scopes and rules of both, the smaller
    /// body, the lower rate. Everything else is the tool's own matter.
    #[must_use]
    pub fn within(self, operator: &Policy) -> Self {
        let origins = match (&operator.origins, self.origins) {
            (AllowedOrigins::NamedByToken, own) => own,
            (operator, AllowedOrigins::NamedByToken) => operator.clone(),
            (AllowedOrigins::These(operator), AllowedOrigins::These(own)) => {
                let allows = |origin: &&Origin| {
                    operator.contains(origin) || operator.iter().any(|its| its.covers(origin.as_str()))
                };
                AllowedOrigins::These(own.iter().filter(allows).cloned().collect())
            }
        };
        let mut scopes = operator.scopes.clone();
        scopes.extend(self.scopes.iter().filter(|scope| !scopes.contains(scope)).cloned().collect::<Vec<_>>());
        Self {
            origins,
            min_assurance: operator.min_assurance.max(self.min_assurance),
            scopes,
            allowed_ips: both(&operator.allowed_ips, &self.allowed_ips),
            max_body: operator.max_body.min(self.max_body),
            rate: lower(operator.rate, self.rate),
            rates: Rates {
                user: lower(operator.rates.user, self.rates.user),
                key: lower(operator.rates.key, self.rates.key),
                origin: lower(operator.rates.origin, self.rates.origin),
                address: lower(operator.rates.address, self.rates.address),
            },
            proofs: match (&operator.proofs, self.proofs) {
                (Some(operator), Some(own)) => {
                    Some(operator.iter().filter(|proof| own.contains(proof)).copied().collect())
                }
                (operator, _) => operator.clone(),
            },
            rules: operator.rules.iter().chain(&self.rules).cloned().collect(),
            ..self
        }
    }
}

/// The lower of two rates, of which none is higher than any.
fn lower(operator: Option<Rate>, own: Option<Rate>) -> Option<Rate> {
    match (operator, own) {
        (Some(operator), Some(own)) => {
            Some(Rate { per_second: operator.per_second.min(own.per_second), burst: operator.burst.min(own.burst) })
        }
        (operator, own) => operator.or(own),
    }
}

impl Policy {
    /// Whether a request may prove itself so.
    pub fn takes(&self, proof: Proof) -> bool {
        self.proofs.as_ref().is_some_and(|proofs| proofs.contains(&proof))
    }
}

/// Limits on bodies that are on their way (profile §5, T24).
///
/// Bytes count while their request waits: for more of its body, or for a store. Once the request is decided, its body belongs to the
/// tool and counts no more. No budget is smaller than [`Policy::max_body`], so that one body alone is never refused by them.
///
/// ```
/// use bmap_verifier::{BodyLimits, Policy};
/// use std::time::Duration;
///
/// // A tool behind slow links: more time, and a smaller rate.
/// let mut policy = Policy::default();
/// policy.bodies.deadline = Duration::from_secs(60);
/// policy.bodies.min_rate = 256;
/// assert_eq!(policy.bodies.total, BodyLimits::default().total);
/// ```
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

/// How often callers may ask, each counted in fixed memory. Decided when the request is proven; of an address before anything else is looked at.
///
/// ```
/// use bmap_verifier::{Policy, Rate};
///
/// let mut policy = Policy::default();
/// policy.rates.user = Some(Rate { per_second: 50, burst: 100 });
/// policy.rates.address = Some(Rate { per_second: 200, burst: 400 });
/// assert!(policy.rates.key.is_none(), "not limited");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// One user, with all tokens.
    pub user: Option<Rate>,
    /// With the tokens of one API key.
    pub key: Option<Rate>,
    /// From pages of one origin.
    pub origin: Option<Rate>,
    /// From one IPv4 address, or the /64 of an IPv6 address. Needs [`PeerAddress`].
    pub address: Option<Rate>,
}

impl Rate {
    /// When a bucket will be full again out of which one more request is taken (GCRA), and whether it holds one: otherwise the seconds to wait, at least 1.
    /// Times in milliseconds.
    pub(crate) fn next(self, busy_until: u64, now_millis: u64) -> (u64, Result<(), u32>) {
        let interval = 1000_u64.div_ceil(u64::from(self.per_second.max(1)));
        let empty = now_millis.saturating_add(interval.saturating_mul(u64::from(self.burst.max(1))));
        // No bucket is emptier than empty: else a rate that was wider, or a clock that went back, would lock its callers out for long (T22).
        let before = busy_until.clamp(now_millis, empty);
        let next = before.saturating_add(interval);
        match next.saturating_sub(empty) {
            0 => (next, Ok(())),
            wait => (before, Err(u32::try_from(wait.div_ceil(1000)).unwrap_or(u32::MAX))),
        }
    }
}

/// How often one token may be used: a bucket that holds `burst` and refills by `per_second`.
///
/// ```
/// use bmap_verifier::{Policy, Rate};
///
/// let mut policy = Policy::default();
/// policy.rate = Some(Rate { per_second: 5, burst: 10 });
/// ```
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
///
/// ```
/// use bmap_verifier::PeerAddress;
/// use http::Request;
///
/// // A listener does this for each request, with the address that it accepted the connection from.
/// let mut request = Request::new(());
/// request.extensions_mut().insert(PeerAddress("192.0.2.7".parse()?));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub IpAddr);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_policies_the_narrower_counts() {
        let of = |text: &str| Policy::default().with_tool_policy(&serde_json::from_str(text).unwrap());
        let operator = of(
            r#"{"max_body":1000,"rates":{"token":{"per_second":10,"burst":5}},"rules":[{"path":"/a","scopes":["x"]}]}"#,
        );
        let own = of(
            r#"{"max_body":2000,"rates":{"token":{"per_second":5,"burst":50}},"rules":[{"path":"/b","scopes":["y"]}]}"#,
        );
        let narrowed = own.clone().within(&operator);
        assert_eq!((narrowed.max_body, narrowed.rate), (1000, Some(Rate { per_second: 5, burst: 5 })));
        assert_eq!(narrowed.rules.iter().map(|rule| rule.path.as_str()).collect::<Vec<_>>(), ["/a", "/b"]);
        let proofs = |own: Option<Vec<Proof>>, operator: Option<Vec<Proof>>| {
            let operator = Policy { proofs: operator, ..Policy::default() };
            Policy { proofs: own, ..Policy::default() }.within(&operator).takes(Proof::Capability)
        };
        let listed = || Some(vec![Proof::Capability, Proof::Dpop]);
        assert!(proofs(None, listed()) && proofs(listed(), listed()));
        assert!(
            !proofs(listed(), None)
                && !proofs(listed(), Some(vec![]))
                && !proofs(Some(vec![]), listed())
                && !proofs(None, None)
        );
        let alone = Policy::default().within(&operator);
        assert_eq!((alone.max_body, alone.rate, alone.rules.len()), (1000, operator.rate, 1));
        assert_eq!(own.clone().within(&Policy::default()).rate, own.rate);
    }
}
