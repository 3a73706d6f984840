//! Invitations as they are stored.

use crate::account::email::EmailAddress;
use crate::account::opaque::{Kind, OpaqueToken, TokenHash};
use crate::clock::UnixTime;
use crate::rng::{self, NoRandomness, Random};
use crate::roots::Roots;
use crate::row_seal::{RowFault, RowSeal};
use bmap_protocol::keys::EpochKeys;

/// Life of an invitation, in seconds: seven days.
pub const INVITATION_SECONDS: i64 = 7 * 86_400;

/// An invitation as it is stored.
#[derive(Clone, Debug)]
pub struct InvitationRow {
    /// SHA-256 of the link's token.
    pub hash: TokenHash,
    /// The address that the account will have.
    pub email: EmailAddress,
    /// Its end.
    pub expires_at: UnixTime,
    /// Binds all of these to the root secret.
    pub seal: Option<RowSeal>,
}

impl InvitationRow {
    /// An invitation of an address: the token of its link, and its row.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn new(
        roots: &Roots,
        random: &dyn Random,
        email: EmailAddress,
        now: UnixTime,
    ) -> Result<(OpaqueToken, Self), NoRandomness> {
        let token = OpaqueToken::from_bytes(Kind::Invitation, rng::bytes(random)?);
        let row = Self { hash: token.hash(), email, expires_at: now.plus_seconds(INVITATION_SECONDS), seal: None };
        Ok((token, row.sealed(&roots.sealing())))
    }

    fn sealed(self, keys: &EpochKeys) -> Self {
        Self { seal: self.with_fields(|fields| Some(RowSeal::make(keys, fields))), ..self }
    }

    /// Whether the row is as it was written.
    ///
    /// # Errors
    /// [`RowFault`], an alarm.
    pub fn check_seal(&self, roots: &Roots) -> Result<(), RowFault> {
        self.with_fields(|fields| RowSeal::check(self.seal.as_ref(), roots, fields))
    }

    fn with_fields<T>(&self, take: impl FnOnce(&[&str]) -> T) -> T {
        take(&["invitation", self.hash.as_str(), self.email.as_str(), &self.expires_at.0.to_string()])
    }
}
