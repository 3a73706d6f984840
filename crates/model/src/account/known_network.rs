//! Networks that a user signed in from, as they are stored (O13).

use crate::clock::UnixTime;
use crate::network::network;
use crate::roots::Roots;
use crate::row_seal::RowSeal;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::ids::UserId;
use bmap_protocol::keys::EpochKeys;
use std::net::IpAddr;

/// A network of a user, as its row holds it: the network itself is in the seal alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownNetwork {
    /// The user.
    pub user: UserId,
    /// Until when it is known.
    pub expires_at: UnixTime,
    /// Binds user, network and end to the root secret.
    pub seal: RowSeal,
}

impl KnownNetwork {
    /// The network of an address, sealed.
    pub fn new(keys: &EpochKeys, user: UserId, address: IpAddr, expires_at: UnixTime) -> Self {
        let seal = with_fields(&user, address, expires_at, |fields| RowSeal::make(keys, fields));
        Self { user, expires_at, seal }
    }

    /// Whether it is the network of that address and not over. A row that was edited, or whose root was retired, is no network's.
    pub fn is_of(&self, roots: &Roots, address: IpAddr, now: UnixTime) -> bool {
        let is_sealed =
            with_fields(&self.user, address, self.expires_at, |fields| RowSeal::check(Some(&self.seal), roots, fields));
        now < self.expires_at && is_sealed.is_ok()
    }
}

fn with_fields<T>(user: &UserId, address: IpAddr, expires_at: UnixTime, take: impl FnOnce(&[&str]) -> T) -> T {
    let (network, end) = (Base64UrlUnpadded::encode_string(&network(address)), expires_at.0.to_string());
    take(&["known network", user.as_str(), &network, &end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use bmap_protocol::keys::RootSecret;

    const NOW: UnixTime = UnixTime(1_795_000_000_000);

    #[test]
    fn o13_a_known_network_is_of_one_user_one_network_and_has_an_end() {
        let keys = RootSecret::from_bytes([7; 32]).epoch(1);
        let roots = Roots::from(&keys);
        let user = |digit: u8| UserId::from_uuid([digit; 16]);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let end = NOW.plus_seconds(60);
        let known = KnownNetwork::new(&keys, user(1), address("2001:db8:0:7::1"), end);
        assert!(known.is_of(&roots, address("2001:db8:0:7::2"), NOW), "one network of 64 bits is one caller");
        assert!(!known.is_of(&roots, address("2001:db8:0:8::1"), NOW));
        assert!(!known.is_of(&roots, address("2001:db8:0:7::1"), end));
        let edited = [
            KnownNetwork { user: user(2), ..known.clone() },
            KnownNetwork { expires_at: end.plus_seconds(1), ..known.clone() },
            KnownNetwork { seal: RowSeal { epoch: 2, ..known.seal.clone() }, ..known.clone() },
        ];
        for edited in edited {
            assert!(!edited.is_of(&roots, address("2001:db8:0:7::1"), NOW), "{edited:?}");
        }
        assert!(!known.is_of(&Roots::from(RootSecret::from_bytes([8; 32]).epoch(1)), address("2001:db8:0:7::1"), NOW));
    }
}
