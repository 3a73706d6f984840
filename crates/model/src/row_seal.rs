//! Seals of rows that hold no secret and still decide something: a MAC over the deciding columns, under a key from the root
//! secret.
//!
//! An attacker who can write the database, but has no root secret, can put such a row in, give it to another user or turn it back
//! to an earlier state; its seal does not hold then, and it is refused before it decides anything (T13).

use super::roots::Roots;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::keys::{EpochKeys, MacKey, MacStream};

/// A row's seal, as it is stored: columns `epoch` and `seal`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowSeal {
    /// Epoch of the root whose key made it.
    pub epoch: u32,
    /// The MAC, base64url.
    pub mac: String,
}

/// A row that is not as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowFault {
    /// It was put in by hand.
    #[error("it has no seal")]
    NoSeal,
    /// Its root secret was retired.
    #[error("its seal is of epoch {epoch}, which was retired")]
    Retired {
        /// The epoch that it names.
        epoch: u32,
    },
    /// Its root secret is not at hand.
    #[error("its seal is of epoch {epoch}, whose root secret is not at hand")]
    Epoch {
        /// The epoch that it names.
        epoch: u32,
    },
    /// It was edited.
    #[error("its seal does not hold")]
    Edited,
}

impl RowSeal {
    /// Seals a row. The first field names the kind of row, and each kind has a fixed number of fields.
    pub fn make(keys: &EpochKeys, fields: &[&str]) -> Self {
        Self { epoch: keys.epoch(), mac: Base64UrlUnpadded::encode_string(&Self::bytes(keys, fields)) }
    }

    /// The same MAC, for what carries it in another way than in a row.
    pub fn bytes(keys: &EpochKeys, fields: &[&str]) -> [u8; 32] {
        mac_of(keys, fields).finish()
    }

    /// Whether the row is as it was sealed.
    ///
    /// # Errors
    /// [`RowFault`].
    pub fn check(seal: Option<&Self>, roots: &Roots, fields: &[&str]) -> Result<(), RowFault> {
        let seal = seal.ok_or(RowFault::NoSeal)?;
        let epoch = seal.epoch;
        let Some(keys) = roots.of(epoch) else {
            let is_older = roots.all().iter().all(|known| known.epoch() > epoch);
            return Err(if is_older { RowFault::Retired { epoch } } else { RowFault::Epoch { epoch } });
        };
        let mut received = [0; 32];
        let received = Base64UrlUnpadded::decode(&seal.mac, &mut received).map_err(|_| RowFault::Edited)?;
        // Compared in constant time.
        if mac_of(&keys, fields).verify(received) { Ok(()) } else { Err(RowFault::Edited) }
    }
}

/// Each field behind its length, so that nothing shifts from one to the next (R21).
fn mac_of(keys: &EpochKeys, fields: &[&str]) -> MacStream {
    let mut mac = MacKey::from_key_bytes(keys.storage_key("row").expose()).begin();
    mac.update(&keys.epoch().to_be_bytes());
    for field in fields {
        mac.update(&u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(field.as_bytes());
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use bmap_protocol::keys::RootSecret;

    #[test]
    fn t13_a_seal_is_of_its_fields_its_epoch_and_its_root() {
        let epoch = |root, epoch| RootSecret::from_bytes([root; 32]).epoch(epoch);
        let roots = |root, number| Roots::from(epoch(root, number));
        let fields = ["session", "ana", "7"];
        let seal = RowSeal::make(&epoch(7, 2), &fields);
        let check = |roots: Roots, seal: &RowSeal, fields: &[&str]| RowSeal::check(Some(seal), &roots, fields);
        assert_eq!(check(roots(7, 2), &seal, &fields), Ok(()));
        for other in
            [["session", "ben", "7"], ["session", "ana7", ""], ["sessiona", "na", "7"], ["identity", "ana", "7"]]
        {
            assert_eq!(check(roots(7, 2), &seal, &other), Err(RowFault::Edited), "{other:?}");
        }
        assert_eq!(check(roots(8, 2), &seal, &fields), Err(RowFault::Edited));
        assert_eq!(check(roots(7, 3), &seal, &fields), Err(RowFault::Retired { epoch: 2 }));
        assert_eq!(check(roots(7, 1), &seal, &fields), Err(RowFault::Epoch { epoch: 2 }));
        let of_epoch = |epoch| RowSeal { epoch, ..seal.clone() };
        assert_eq!(check(roots(7, 3), &of_epoch(3), &fields), Err(RowFault::Edited));
        for mac in ["", "A", &"A".repeat(43), &"A".repeat(86), "ä"] {
            let forged = RowSeal { epoch: 2, mac: mac.to_owned() };
            assert_eq!(check(roots(7, 2), &forged, &fields), Err(RowFault::Edited), "{mac}");
        }
        assert_eq!(RowSeal::check(None, &roots(7, 2), &fields), Err(RowFault::NoSeal));
    }
}
