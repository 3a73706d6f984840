//! Networks of callers.

use std::net::IpAddr;

/// The network of one caller: an IPv4 address, or the /64 in which an IPv6 host can take any address it likes.
pub fn network(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().into_iter().take(8).collect(),
    }
}
