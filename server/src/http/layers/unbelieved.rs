//! Peers that send an `X-Forwarded-For` which is not believed: a proxy that `trusted_proxies` does not name, or a caller who writes the
//! header. All who come through such a proxy are one caller to every limit, so it is named in the log, in the numbers and by
//! `bmap doctor` (O15).

use crate::metrics;
use bmap_model::clock::UnixTime;
use http::HeaderMap;
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// How long a peer that was named is not named again in the log, in milliseconds.
const SILENCE_MILLIS: i64 = 3_600_000;
/// Most peers that are named, of private addresses and of public ones each: every caller can send the header, and proxies mostly have
/// private addresses, so strangers do not take their places.
const MOST_OF_A_KIND: usize = 16;

/// Whether headers say that the caller is another one, and the peer is not believed.
pub fn is_ignored(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> bool {
    let peer = peer.to_canonical();
    (headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded"))
        && !trusted.iter().any(|network| network.contains(&peer))
}

/// The peers that were named, in a table that does not grow.
#[derive(Debug, Default)]
pub struct Unbelieved(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    named: Vec<(IpAddr, UnixTime)>,
    /// When one for which there was no place was last named.
    others_at: Option<UnixTime>,
}

impl Unbelieved {
    /// Counts a request of such a peer. The peer, where it is to be noted for the doctor: once an hour.
    pub fn note(&self, peer: IpAddr, now: UnixTime) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        let (label, is_due) = self.with(|state| state.note(peer, now));
        metrics::forwarding_ignored(label);
        if !is_due {
            return None;
        }
        tracing::warn!(
            %peer,
            "requests come from a proxy that is not in trusted_proxies: its X-Forwarded-For is not believed, so all who come through \
             it are one caller to every limit, wrong passwords too. If the proxy is yours, name it there"
        );
        Some(peer)
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    /// The peer's label, or `None` where there is no place for it; and whether it is to be named now.
    fn note(&mut self, peer: IpAddr, now: UnixTime) -> (Option<IpAddr>, bool) {
        let is_over = |at: UnixTime| now.0.abs_diff(at.0) >= SILENCE_MILLIS.unsigned_abs();
        if let Some((_, at)) = self.named.iter_mut().find(|(known, _)| *known == peer) {
            let is_due = is_over(*at);
            if is_due {
                *at = now;
            }
            return (Some(peer), is_due);
        }
        let of_its_kind = self.named.iter().filter(|(known, _)| is_private(*known) == is_private(peer)).count();
        if of_its_kind < MOST_OF_A_KIND {
            self.named.push((peer, now));
            return (Some(peer), true);
        }
        let is_due = self.others_at.is_none_or(is_over);
        if is_due {
            self.others_at = Some(now);
        }
        (None, is_due)
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private() || address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const NOW: UnixTime = UnixTime(1_795_000_000_000);

    #[test]
    fn o15_a_peer_is_named_once_an_hour_and_strangers_take_no_proxys_place() {
        let unbelieved = Unbelieved::default();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for number in 0..100 {
            unbelieved.note(address(&format!("203.0.113.{number}")), NOW);
        }
        let proxy = address("10.0.0.1");
        assert_eq!(unbelieved.note(proxy, NOW), Some(proxy));
        assert_eq!(unbelieved.note(address("::ffff:10.0.0.1"), NOW.plus_seconds(3599)), None);
        assert_eq!(unbelieved.note(proxy, NOW.plus_seconds(3600)), Some(proxy));
        let state = unbelieved.0.lock().unwrap();
        assert_eq!(state.named.len(), MOST_OF_A_KIND + 1);
        drop(state);
        // One that has no place is named once an hour too, whichever it is then.
        assert_eq!(unbelieved.note(address("203.0.113.99"), NOW), None);
        let later = NOW.plus_seconds(3600);
        assert_eq!(unbelieved.note(address("203.0.113.98"), later), Some(address("203.0.113.98")));
        assert_eq!(unbelieved.note(address("203.0.113.97"), later), None);
    }

    #[test]
    fn o15_what_a_trusted_proxy_sends_is_not_ignored() {
        let mut headers = HeaderMap::new();
        let (proxy, trusted) = ("10.0.0.1".parse().unwrap(), ["10.0.0.0/8".parse().unwrap()]);
        assert!(!is_ignored(proxy, &headers, &[]));
        headers.insert("x-forwarded-for", HeaderValue::from_static("203.0.113.9"));
        assert!(is_ignored(proxy, &headers, &[]));
        assert!(!is_ignored(proxy, &headers, &trusted));
        assert!(is_ignored("203.0.113.9".parse().unwrap(), &headers, &trusted));
    }
}
