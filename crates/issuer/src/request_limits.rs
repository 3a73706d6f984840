//! How many requests one caller may make: an API key, a user, or an address for requests without a good credential.

use super::error::IssuerError;
use super::limits::{Allowance, Count, Table};
use bmap_model::clock::UnixTime;
use bmap_model::network::network;
use bmap_protocol::ids::{ApiKeyId, ToolId, UserId};
use bmap_protocol::origin::Origin;
use std::fmt;
use std::net::IpAddr;

/// Seconds that a credential which held, and a page that was registered, are remembered.
const LATELY: i64 = 600;

/// Requests a minute, and as many at once; 0 for as many as come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRates {
    /// From one address, or one IPv6 network of 64 bits, that no credential answers for.
    pub address: u32,
    /// Of one API key, wherever from.
    pub key: u32,
    /// Of one user who is signed in, in whatever session.
    pub user: u32,
}

impl Default for RequestRates {
    fn default() -> Self {
        Self { address: 1_200, key: 120_000, user: 1_200 }
    }
}

/// The caller that a request is counted to.
#[derive(Clone, Copy, Debug)]
pub enum RateKey<'a> {
    /// No credential held: the address that the request came from.
    Address(IpAddr),
    /// An API key that proved itself.
    Key(&'a ApiKeyId),
    /// A user who proved to be signed in.
    User(&'a UserId),
    /// The verifiers of a tool, together.
    Tool(&'a ToolId),
}

/// Requests a minute of all verifiers of one tool: some hundred of them, with each denial applied at once.
const TOOL_RATE: u32 = 12_000;

/// The name of a limit on the wire, and its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RatePolicy {
    /// `address`, `key`, `user` or `tool`.
    pub name: &'static str,
    /// Requests a minute.
    pub quota: u32,
}

/// The state of one rate key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateStatus {
    /// Under which limit.
    pub policy: RatePolicy,
    /// Its state.
    pub count: Count,
}

impl RateStatus {
    /// Whether it was one too many.
    ///
    /// # Errors
    /// [`IssuerError::RateLimited`].
    pub fn check(&self) -> Result<(), IssuerError> {
        self.count.retry_after.map_or(Ok(()), |retry_after| Err(IssuerError::RateLimited { retry_after }))
    }
}

/// The counters of one process.
pub struct RequestLimits {
    address: Limit,
    key: Limit,
    user: Limit,
    tool: Limit,
    /// Credentials that held lately, each with the network that it came from. Keyed hashes: none can be read out of it.
    held: Table,
    /// Pages that were found to be registered lately.
    pages: Table,
}

struct Limit {
    policy: RatePolicy,
    table: Option<Table>,
}

impl fmt::Debug for RequestLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestLimits(…)")
    }
}

impl RequestLimits {
    /// Counters of these rates.
    pub fn new(rates: RequestRates) -> Self {
        let limit = |name, quota| Limit {
            policy: RatePolicy { name, quota },
            table: (quota > 0).then(|| Table::per_minute(quota)),
        };
        let lately = || Table::new(Allowance { burst: 1, seconds: LATELY });
        Self {
            address: limit("address", rates.address),
            key: limit("key", rates.key),
            user: limit("user", rates.user),
            tool: limit("tool", TOOL_RATE),
            held: lately(),
            pages: lately(),
        }
    }

    /// Counts a request to its key; `None` where that is not limited.
    pub fn check(&self, rate_key: RateKey<'_>, now: UnixTime) -> Option<RateStatus> {
        let limit = self.of(rate_key);
        let count = limit.table.as_ref()?.count(&key(rate_key), now);
        Some(RateStatus { policy: limit.policy, count })
    }

    /// The result that [`check`](Self::check) would have; nothing is counted.
    pub fn look(&self, rate_key: RateKey<'_>, now: UnixTime) -> Option<RateStatus> {
        let limit = self.of(rate_key);
        let count = limit.table.as_ref()?.look(&key(rate_key), now);
        Some(RateStatus { policy: limit.policy, count })
    }

    /// Notes that a credential held, from this address.
    pub fn note_held(&self, address: IpAddr, shown: &[u8], now: UnixTime) {
        note(&self.held, &held(address, shown), now);
    }

    /// Whether it held from this address in the last ten minutes, and did not fail since.
    pub fn held_lately(&self, address: IpAddr, shown: &[u8], now: UnixTime) -> bool {
        self.held.look(&held(address, shown), now).retry_after.is_some()
    }

    /// Notes that it did not hold.
    pub fn forget_held(&self, address: IpAddr, shown: &[u8]) {
        let key = held(address, shown);
        // One that was never noted takes no other's place.
        if self.held.is_there(&key) {
            self.held.forget(&key);
        }
    }

    /// Notes that a page is registered.
    pub fn note_page(&self, page: &Origin, now: UnixTime) {
        note(&self.pages, page.as_str().as_bytes(), now);
    }

    /// Whether it was in the last ten minutes. It only decides which page may read a refusal, and by which limit a
    /// request is counted (O19).
    pub fn was_registered_lately(&self, page: &[u8], now: UnixTime) -> bool {
        self.pages.look(page, now).retry_after.is_some()
    }

    /// Takes back a request that was counted, since another key answers for it.
    pub fn give_back(&self, rate_key: RateKey<'_>) {
        if let Some(table) = &self.of(rate_key).table {
            table.give_back(&key(rate_key));
        }
    }

    fn of(&self, rate_key: RateKey<'_>) -> &Limit {
        match rate_key {
            RateKey::Address(_) => &self.address,
            RateKey::Key(_) => &self.key,
            RateKey::User(_) => &self.user,
            RateKey::Tool(_) => &self.tool,
        }
    }
}

/// A counter of one that is full for so long.
fn note(table: &Table, key: &[u8], now: UnixTime) {
    table.forget(key);
    table.count(key, now);
}

fn held(address: IpAddr, shown: &[u8]) -> Vec<u8> {
    // A network's length says which family it is of, so no two pairs are one text.
    let network = network(address);
    [&[u8::try_from(network.len()).unwrap_or(0)], network.as_slice(), shown].concat()
}

fn key(rate_key: RateKey<'_>) -> Vec<u8> {
    match rate_key {
        RateKey::Address(address) => network(address),
        RateKey::Key(id) => id.as_str().as_bytes().to_vec(),
        RateKey::User(id) => id.as_str().as_bytes().to_vec(),
        RateKey::Tool(id) => id.as_str().as_bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_795_000_000_000);

    #[test]
    fn r32_each_payer_has_a_counter_of_its_own_and_networks_are_one() {
        let limits = RequestLimits::new(RequestRates { address: 2, key: 2, user: 0 });
        let left = |rate_key| {
            limits.check(rate_key, NOW).map(|paid| (paid.policy.name, paid.count.remaining, paid.check().is_ok()))
        };
        let address = |text: &str| RateKey::Address(text.parse().unwrap());
        let (one, other) = (ApiKeyId::from_uuid([1; 16]), ApiKeyId::from_uuid([2; 16]));
        assert_eq!(left(address("2001:db8:0:7::1")), Some(("address", 1, true)));
        assert_eq!(left(address("2001:db8:0:7:ffff::9")), Some(("address", 0, true)));
        assert_eq!(left(address("2001:db8:0:7::2")), Some(("address", 0, false)));
        assert_eq!(left(address("2001:db8:0:8::1")), Some(("address", 1, true)));
        assert_eq!(left(address("203.0.113.9")), Some(("address", 1, true)));
        assert_eq!(left(address("::ffff:203.0.113.9")), Some(("address", 0, true)));
        limits.give_back(address("203.0.113.9"));
        assert_eq!(left(address("203.0.113.9")), Some(("address", 0, true)));
        for key in [&one, &other] {
            assert_eq!(left(RateKey::Key(key)), Some(("key", 1, true)));
        }
        assert_eq!(left(RateKey::User(&UserId::from_uuid([1; 16]))), None);
    }
}
