//! Lists of addresses that may call a tool.

use bmap_protocol::tool_policy::ToolPolicy;
use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv4Addr};

/// The networks of an operator's policy; `None` where one of them is none.
pub fn networks(policy: &ToolPolicy) -> Option<Vec<IpNet>> {
    policy.allowed_ips.iter().map(|network| network.parse().ok()).collect()
}

/// A list that no address is in: the one in it is never at the other end of a connection (RFC 1122 §3.2.1.3).
pub(crate) const NOWHERE: [IpNet; 1] = [IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 32))];

/// The addresses that are in both lists, of which an empty one has all.
pub(crate) fn both(operator: &[IpNet], own: &[IpNet]) -> Vec<IpNet> {
    if operator.is_empty() || own.is_empty() {
        return [operator, own].concat();
    }
    let narrower = |a: &IpNet, b: &IpNet| match (a.contains(b), b.contains(a)) {
        (true, _) => Some(*b),
        (_, true) => Some(*a),
        _ => None,
    };
    let shared: Vec<IpNet> = operator.iter().flat_map(|a| own.iter().filter_map(move |b| narrower(a, b))).collect();
    if shared.is_empty() { NOWHERE.to_vec() } else { shared }
}

/// Whether `peer` is in the list; an empty list allows all, an unknown peer is in no list.
pub(crate) fn ip_allowed(list: &[IpNet], peer: Option<IpAddr>) -> bool {
    // A v4 peer on a dual-stack socket is the same peer.
    list.is_empty() || peer.is_some_and(|peer| list.iter().any(|net| net.contains(&peer.to_canonical())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let list = ["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        let allowed = |peer: &str| ip_allowed(&list, Some(peer.parse().unwrap()));
        assert!(allowed("10.1.2.3") && allowed("::ffff:10.1.2.3") && allowed("2001:db8::1"));
        assert!(!allowed("11.1.2.3") && !allowed("2001:db9::1") && !ip_allowed(&list, None));
        assert!(ip_allowed(&[], None));
    }

    #[test]
    fn addresses_that_two_lists_share() {
        let list = |nets: &[&str]| nets.iter().map(|net| net.parse().unwrap()).collect::<Vec<IpNet>>();
        let shared = |operator: &[&str], own: &[&str]| both(&list(operator), &list(own));
        assert_eq!(shared(&[], &[]), list(&[]));
        assert_eq!(shared(&["10.0.0.0/8"], &[]), list(&["10.0.0.0/8"]));
        assert_eq!(shared(&[], &["10.0.0.0/8"]), list(&["10.0.0.0/8"]));
        assert_eq!(shared(&["10.0.0.0/8"], &["10.1.0.0/16", "192.0.2.0/24"]), list(&["10.1.0.0/16"]));
        assert_eq!(shared(&["10.1.0.0/16", "10.2.0.0/16"], &["10.0.0.0/8"]), list(&["10.1.0.0/16", "10.2.0.0/16"]));
        // Nothing in common is nothing, and not everything.
        let none = shared(&["10.0.0.0/8"], &["192.0.2.0/24", "2001:db8::/32"]);
        for peer in ["10.0.0.1", "192.0.2.1", "2001:db8::1", "127.0.0.1", "::1", "::ffff:10.0.0.1"] {
            assert!(!ip_allowed(&none, Some(peer.parse().unwrap())), "{peer}");
        }
        assert!(!ip_allowed(&none, None));
    }
}
