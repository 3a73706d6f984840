//! Step 12: how often a caller may ask, and before step 1 how often an address may.

use crate::policy::rate_table::{Of, RateTable};
use crate::policy::{Policy, Rates};
use crate::token_cache::KnownToken;
use bmap_protocol::refusal::Refusal;
use bmap_protocol::token::Subject;
use std::net::IpAddr;

/// An address: an IPv4 address, or the /64 in which an IPv6 host takes any address it likes. Refused requests count too.
pub(super) fn of_address(
    table: &RateTable,
    rates: &Rates,
    peer: Option<IpAddr>,
    now_millis: u64,
) -> Result<(), Refusal> {
    let (Some(rate), Some(peer)) = (rates.address, peer) else { return Ok(()) };
    let taken = match peer.to_canonical() {
        IpAddr::V4(address) => table.take(Of::Address, &address.octets(), rate, now_millis),
        IpAddr::V6(address) => {
            let [network @ .., _, _, _, _, _, _, _, _] = address.octets();
            table.take(Of::Address, &network, rate, now_millis)
        }
    };
    taken.map_err(|retry_after| Refusal::RateLimited { retry_after })
}

/// A proven token: itself, its user, its API key and its page.
pub(super) fn of_token(table: &RateTable, policy: &Policy, known: &KnownToken, now_millis: u64) -> Result<(), Refusal> {
    let limited = |retry_after| Refusal::RateLimited { retry_after };
    if let Some(rate) = policy.rate {
        known.take(rate, now_millis).map_err(limited)?;
    }
    let (rates, claims) = (&policy.rates, &known.claims);
    let user = match &claims.subject {
        Subject::User(user) => Some(user.as_str()),
        // All that have no account are not one caller.
        Subject::Anonymous => None,
    };
    for (rate, of, id) in [
        (rates.user, Of::User, user),
        (rates.key, Of::Key, Some(claims.client_id.as_str())),
        (rates.origin, Of::Origin, claims.origin.as_ref().map(|origin| origin.as_str())),
    ] {
        if let (Some(rate), Some(id)) = (rate, id) {
            table.take(of, id.as_bytes(), rate, now_millis).map_err(limited)?;
        }
    }
    Ok(())
}
