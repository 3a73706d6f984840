//! Whose address a request comes from: the socket's, unless a trusted proxy says otherwise.

use http::HeaderMap;
use ipnet::IpNet;
use std::net::IpAddr;

/// The caller's address.
///
/// `X-Forwarded-For` counts only where the peer is a trusted proxy. Then it is read from the right: the first address
/// that is not itself a trusted proxy. The addresses further left were written by that caller (R52).
///
/// ```
/// use bmap_listener::client_address;
///
/// let mut headers = http::HeaderMap::new();
/// headers.insert("x-forwarded-for", "192.0.2.1, 203.0.113.9".parse().unwrap());
/// let (peer, proxies) = ("10.0.0.1".parse().ok(), ["10.0.0.0/8".parse().unwrap()]);
/// assert_eq!(client_address::of(peer, &headers, &proxies), "203.0.113.9".parse().ok());
/// // Without proxies that are trusted, nothing that a caller writes is believed.
/// assert_eq!(client_address::of(peer, &headers, &[]), peer);
/// ```
pub fn of(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let peer = peer?.to_canonical();
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(&peer) {
        return Some(peer);
    }
    let mut nearest = peer;
    for line in headers.get_all("x-forwarded-for").iter().rev() {
        // A line that is not text, or an entry that is no address, ends what can be believed.
        let Ok(line) = line.to_str() else { return Some(nearest) };
        for entry in line.rsplit(',') {
            let Ok(address) = entry.trim().parse::<IpAddr>() else { return Some(nearest) };
            nearest = address.to_canonical();
            if !is_trusted(&nearest) {
                return Some(nearest);
            }
        }
    }
    Some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of_lines(peer: &str, lines: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", HeaderValue::from_str(line).unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        of(peer.parse().ok(), &headers, &trusted).unwrap().to_string()
    }

    #[test]
    fn r08_nobody_is_believed_by_default() {
        assert_eq!(of_lines("203.0.113.9", &["10.0.0.1"], &[]), "203.0.113.9");
        assert_eq!(of_lines("203.0.113.9", &["10.0.0.1"], &["10.0.0.0/8"]), "203.0.113.9");
    }

    #[test]
    fn r52_the_right_most_untrusted_hop_counts() {
        let trusted = &["10.0.0.0/8"];
        assert_eq!(of_lines("10.0.0.1", &["192.0.2.1, 203.0.113.9"], trusted), "203.0.113.9");
        assert_eq!(of_lines("10.0.0.1", &["192.0.2.1", "203.0.113.9, 10.0.0.2"], trusted), "203.0.113.9");
        assert_eq!(of_lines("10.0.0.1", &["203.0.113.9, nonsense, 10.0.0.2"], trusted), "10.0.0.2");
        assert_eq!(of_lines("::ffff:10.0.0.1", &["203.0.113.9"], trusted), "203.0.113.9");
        assert_eq!(of_lines("10.0.0.1", &[], trusted), "10.0.0.1");
    }
}
