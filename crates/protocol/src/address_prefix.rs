//! The part of a caller's address that a token may be bound to (profile §11): the /24 of an IPv4 address, the /48 of an IPv6 address.
//!
//! ```
//! use bmap_protocol::address_prefix::AddressPrefix;
//!
//! assert!(AddressPrefix::parse("2001:db8:1::/48").is_some());
//! assert!(AddressPrefix::parse("2001:db8:1::7/48").is_none(), "one network has one text");
//! ```

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network, as `adr` names it: in the text of RFC 5952 §4 with its length behind a slash.
///
/// ```
/// use bmap_protocol::address_prefix::AddressPrefix;
///
/// let prefix = AddressPrefix::of("192.0.2.7".parse()?);
/// assert_eq!(prefix.to_string(), "192.0.2.0/24");
/// assert!(prefix.admits("::ffff:192.0.2.200".parse()?) && !prefix.admits("192.0.3.7".parse()?));
/// assert!(prefix.admits("2001:db8::1".parse()?), "another family says nothing");
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressPrefix {
    /// Of IPv4, 24 bits.
    V4([u8; 3]),
    /// Of IPv6, 48 bits.
    V6([u8; 6]),
}

impl AddressPrefix {
    /// The network of an address. One of IPv4 that is mapped into IPv6 counts as IPv4.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, ..] = address.octets();
                Self::V6([a, b, c, d, e, f])
            }
        }
    }

    /// Reads a text; `None` for another one than [`Display`](fmt::Display) writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, _) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let prefix = Self::of(address);
        (prefix.to_string() == text).then_some(prefix)
    }

    /// Whether a caller at that address may be the one: it is in the network, or of another family, since one caller has addresses of both.
    pub fn admits(self, address: IpAddr) -> bool {
        match (self, Self::of(address)) {
            (Self::V4(own), Self::V4(other)) => own == other,
            (Self::V6(own), Self::V6(other)) => own == other,
            _ => true,
        }
    }
}

impl fmt::Display for AddressPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4([a, b, c]) => write!(f, "{}/24", Ipv4Addr::new(a, b, c, 0)),
            Self::V6([a, b, c, d, e, g]) => {
                write!(f, "{}/48", Ipv6Addr::from([a, b, c, d, e, g, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_one_text() {
        for (address, text) in [
            ("192.0.2.255", "192.0.2.0/24"),
            ("::ffff:192.0.2.1", "192.0.2.0/24"),
            ("2001:db8:1:2::3", "2001:db8:1::/48"),
            ("2001:db8::1", "2001:db8::/48"),
            ("2001:0:1::9", "2001:0:1::/48"),
            ("::1", "::/48"),
        ] {
            let prefix = AddressPrefix::of(address.parse().unwrap());
            assert_eq!(prefix.to_string(), text);
            assert_eq!(AddressPrefix::parse(text), Some(prefix));
        }
        for other in [
            "",
            "192.0.2.0",
            "192.0.2.1/24",
            "192.0.2.0/23",
            "192.0.2.0/24 ",
            "2001:db8::/32",
            "2001:DB8::/48",
            "2001:db8:0::/48",
            "2001:db8::1/48",
            "::ffff:192.0.2.0/48",
        ] {
            assert_eq!(AddressPrefix::parse(other), None, "{other}");
        }
    }

    #[test]
    fn families_are_not_compared_with_each_other() {
        let of = |text: &str| AddressPrefix::of(text.parse().unwrap());
        let admits = |prefix: &str, address: &str| of(prefix).admits(address.parse().unwrap());
        assert!(admits("192.0.2.1", "192.0.2.2") && !admits("192.0.2.1", "192.0.1.1"));
        assert!(admits("2001:db8::1", "2001:db8::9:1") && !admits("2001:db8::1", "2001:db8:1::1"));
        assert!(admits("192.0.2.1", "2001:db8::1") && admits("2001:db8::1", "192.0.2.1"));
        assert!(!admits("192.0.2.1", "::ffff:198.51.100.1"));
    }
}
