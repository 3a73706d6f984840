//! Roles: whether a user administers this installation.
//!
//! An [`UnverifiedRole`] is the database's column. It makes no admin before its MAC held, whose key follows from the root
//! secret of its epoch: an attacker who can write the database, but has no root secret, makes no admin (T13).

use super::roots::Roots;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::ids::UserId;
use bmap_protocol::keys::{EpochKeys, MacKey, MacStream};
use serde::Deserialize;
use utoipa::ToSchema;

/// The rights of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Use its own account and its own keys.
    Member,
    /// Also administer users.
    Admin,
}

impl Role {
    /// Its word, as stored and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Member => "member",
            Role::Admin => "admin",
        }
    }
}

/// A word that is no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is `member` or `admin`")]
pub struct UnknownRole;

impl std::str::FromStr for Role {
    type Err = UnknownRole;
    fn from_str(word: &str) -> Result<Self, UnknownRole> {
        [Role::Member, Role::Admin].into_iter().find(|role| role.as_str() == word).ok_or(UnknownRole)
    }
}

/// A user's role as its row has it: not to be believed before [`open`](Self::open).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnverifiedRole {
    /// The word.
    pub role: String,
    /// Epoch of the root whose key made the MAC.
    pub epoch: Option<i64>,
    /// The MAC, base64url.
    pub mac: Option<String>,
}

/// A role that is not as it was written: the row was edited, or the root secret of its epoch is not at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the role's MAC does not hold")]
pub struct BrokenRole;

impl UnverifiedRole {
    /// The row of no admin. It allows nothing, so it needs no proof.
    pub fn member() -> Self {
        Self { role: Role::Member.as_str().to_owned(), epoch: None, mac: None }
    }

    /// The row of a role.
    pub fn seal(roots: &Roots, user: &UserId, role: Role) -> Self {
        let keys = roots.sealing();
        match role {
            Role::Member => Self::member(),
            Role::Admin => Self {
                role: role.as_str().to_owned(),
                epoch: Some(i64::from(keys.epoch())),
                mac: Some(Base64UrlUnpadded::encode_string(&mac_of(&keys, user, role).finish())),
            },
        }
    }

    /// The role that the row proves.
    ///
    /// # Errors
    /// [`BrokenRole`] for a word that is no role, and for an admin without a good MAC.
    pub fn open(&self, roots: &Roots, user: &UserId) -> Result<Role, BrokenRole> {
        let role = self.role.parse().map_err(|_| BrokenRole)?;
        if role == Role::Member {
            return Ok(role);
        }
        let epoch = self.epoch.and_then(|epoch| u32::try_from(epoch).ok()).ok_or(BrokenRole)?;
        let keys = roots.of(epoch).ok_or(BrokenRole)?;
        let mut received = [0; 32];
        let received = Base64UrlUnpadded::decode(self.mac.as_deref().unwrap_or_default(), &mut received);
        let holds = received.is_ok_and(|received| mac_of(&keys, user, role).verify(received));
        if holds { Ok(role) } else { Err(BrokenRole) }
    }
}

/// The MAC over `u32(epoch) ‖ user id ‖ role`: the id has a fixed length, so nothing shifts.
fn mac_of(keys: &EpochKeys, user: &UserId, role: Role) -> MacStream {
    let mut mac = MacKey::from_key_bytes(keys.storage_key("user-role").expose()).begin();
    mac.update(&keys.epoch().to_be_bytes());
    mac.update(user.as_str().as_bytes());
    mac.update(role.as_str().as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use bmap_protocol::keys::RootSecret;

    #[test]
    fn t13_an_admin_is_one_by_user_epoch_and_root_and_by_nothing_less() {
        let roots = |root, epoch| Roots::from(RootSecret::from_bytes([root; 32]).epoch(epoch));
        let (ana, ben) = (UserId::from_uuid([1; 16]), UserId::from_uuid([2; 16]));
        let row = UnverifiedRole::seal(&roots(7, 1), &ana, Role::Admin);
        assert_eq!(row.open(&roots(7, 1), &ana), Ok(Role::Admin));
        for (roots, user, row) in [
            (roots(7, 1), &ben, row.clone()),
            (roots(8, 1), &ana, row.clone()),
            (roots(7, 2), &ana, row.clone()),
            (roots(7, 2), &ana, UnverifiedRole { epoch: Some(2), ..row.clone() }),
            (roots(7, 1), &ana, UnverifiedRole { mac: None, ..row.clone() }),
            (roots(7, 1), &ana, UnverifiedRole { mac: Some(String::new()), ..row.clone() }),
            (roots(7, 1), &ana, UnverifiedRole { mac: Some("A".repeat(43)), ..row.clone() }),
            (roots(7, 1), &ana, UnverifiedRole { epoch: None, ..row.clone() }),
            (roots(7, 1), &ana, UnverifiedRole { role: "root".to_owned(), ..row.clone() }),
        ] {
            assert_eq!(row.open(&roots, user), Err(BrokenRole), "{row:?}");
        }
        assert_eq!(UnverifiedRole::member().open(&roots(7, 1), &ana), Ok(Role::Member));
    }
}
