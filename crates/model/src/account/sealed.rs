//! Rows that were not edited by hand. A link goes to the address that an account's row names, and sets the password of the user
//! that a link's row names; so both rows carry a seal under a key of the root secret, and one that does not open is refused (T13).

use super::email::EmailAddress;
use super::opaque::{Kind, OpaqueToken, TokenHash};
use super::password::StoredPassword;
use super::{Account, EmailChange, PasswordReset, Registration};
use crate::clock::UnixTime;
use crate::rng::{self, NoRandomness, Random};
use crate::roots::Roots;
use bmap_protocol::ids::UserId;
use bmap_protocol::keys::EpochKeys;
use bmap_protocol::seal::{self, SealError};

/// The row of an account or of one of its links can't be sealed, or is not as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealedRowError {
    /// The root secret of its epoch is not at hand.
    #[error("its password is of epoch {epoch}, whose root secret is not at hand")]
    Epoch {
        /// The epoch.
        epoch: u32,
    },
    /// It was edited: an alarm.
    #[error("the row of an account or of its link does not open: {0}")]
    Edited(SealError),
    /// The token of a link is not that of the row: an alarm.
    #[error("the row of {what} is not the one that its link was made for")]
    OtherLink {
        /// Whose row.
        what: &'static str,
    },
    /// No randomness.
    #[error("the operating system gave no randomness")]
    NoRandomness,
    /// It could not be sealed, to which nothing of this size comes.
    #[error("a row could not be sealed")]
    NotSealed,
}

impl From<NoRandomness> for SealedRowError {
    fn from(NoRandomness: NoRandomness) -> Self {
        SealedRowError::NoRandomness
    }
}

/// The purpose of the keys that are derived here.
const PURPOSE: &str = "account";

/// Binds user, address and password hash to each other, in the epoch of the hash's pepper: they end together.
///
/// # Errors
/// [`SealedRowError`] where that epoch's root is not at hand.
pub fn account(
    roots: &Roots,
    random: &dyn Random,
    user: &UserId,
    email: &EmailAddress,
    password: &StoredPassword,
) -> Result<String, SealedRowError> {
    let keys = epoch(roots, password.epoch)?;
    let bound = account_data(user, email, password);
    let sealed = seal::seal(&keys.storage_key(PURPOSE), keys.epoch(), rng::bytes(random)?, &bound, &[]);
    sealed.map_err(|_| SealedRowError::NotSealed)
}

/// Makes the row of a link that sets a new password.
///
/// # Errors
/// [`SealedRowError`] where there is no randomness.
pub fn reset(
    roots: &Roots,
    random: &dyn Random,
    token: &TokenHash,
    user: UserId,
    expires_at: UnixTime,
) -> Result<PasswordReset, SealedRowError> {
    let keys = roots.sealing();
    let bound = reset_data(token, &user, expires_at);
    let sealed = seal::seal(&keys.storage_key(PURPOSE), keys.epoch(), rng::bytes(random)?, &bound, &[]);
    Ok(PasswordReset { user, epoch: keys.epoch(), seal: sealed.map_err(|_| SealedRowError::NotSealed)?, expires_at })
}

impl Account {
    /// Whether the row is as it was written.
    ///
    /// # Errors
    /// [`SealedRowError::Edited`], an alarm.
    pub fn check_seal(&self, roots: &Roots) -> Result<(), SealedRowError> {
        open(roots, self.password.epoch, &account_data(&self.user, &self.email, &self.password), &self.seal)
    }
}

impl EmailChange {
    /// Whether the row is as it was written.
    ///
    /// # Errors
    /// [`SealedRowError::Edited`], an alarm.
    pub fn check_seal(&self, roots: &Roots) -> Result<(), SealedRowError> {
        open(roots, self.password.epoch, &account_data(&self.user, &self.email, &self.password), &self.seal)
    }
}

impl PasswordReset {
    /// Whether the row is as it was written, for this token.
    ///
    /// # Errors
    /// [`SealedRowError::Edited`], an alarm.
    pub fn check_seal(&self, roots: &Roots, token: &TokenHash) -> Result<(), SealedRowError> {
        open(roots, self.epoch, &reset_data(token, &self.user, self.expires_at), &self.seal)
    }
}

impl Registration {
    /// The token of its link, which is good for this registration alone.
    ///
    /// # Errors
    /// [`SealedRowError`] without randomness, or where the root of its password's epoch is not at hand.
    pub fn link(&self, roots: &Roots, random: &dyn Random) -> Result<OpaqueToken, SealedRowError> {
        let (keys, random) = (epoch(roots, self.password.epoch)?, rng::bytes(random)?);
        Ok(self.with_fields(|row| OpaqueToken::bound_to(Kind::Confirmation, &keys, &random, row)))
    }

    /// Whether this token was made for the row.
    ///
    /// # Errors
    /// [`SealedRowError::OtherLink`], an alarm.
    pub fn check_link(&self, roots: &Roots, token: &OpaqueToken) -> Result<(), SealedRowError> {
        let keys = epoch(roots, self.password.epoch)?;
        made_for(self.with_fields(|row| token.is_bound_to(&keys, row)), "a registration")
    }

    fn with_fields<T>(&self, take: impl FnOnce(&[&str]) -> T) -> T {
        take(&[self.email.as_str(), &self.password.phc, &self.expires_at.0.to_string()])
    }
}

impl EmailChange {
    /// The token of its link, which is good for this change alone.
    ///
    /// # Errors
    /// [`SealedRowError`] without randomness, or where the root of its password's epoch is not at hand.
    pub fn link(&self, roots: &Roots, random: &dyn Random) -> Result<OpaqueToken, SealedRowError> {
        let (keys, random) = (epoch(roots, self.password.epoch)?, rng::bytes(random)?);
        Ok(self.with_fields(|row| OpaqueToken::bound_to(Kind::EmailChange, &keys, &random, row)))
    }

    /// Whether this token was made for the row.
    ///
    /// # Errors
    /// [`SealedRowError::OtherLink`], an alarm.
    pub fn check_link(&self, roots: &Roots, token: &OpaqueToken) -> Result<(), SealedRowError> {
        let keys = epoch(roots, self.password.epoch)?;
        made_for(self.with_fields(|row| token.is_bound_to(&keys, row)), "a change of address")
    }

    fn with_fields<T>(&self, take: impl FnOnce(&[&str]) -> T) -> T {
        take(&[self.user.as_str(), self.email.as_str(), &self.password.phc, &self.expires_at.0.to_string()])
    }
}

fn made_for(it_is: bool, what: &'static str) -> Result<(), SealedRowError> {
    if it_is { Ok(()) } else { Err(SealedRowError::OtherLink { what }) }
}

fn open(roots: &Roots, epoch_of_row: u32, bound: &[u8], sealed: &str) -> Result<(), SealedRowError> {
    let keys = epoch(roots, epoch_of_row)?;
    let opened = seal::open(&keys.storage_key(PURPOSE), epoch_of_row, bound, sealed);
    opened.map(|_| ()).map_err(SealedRowError::Edited)
}

fn epoch(roots: &Roots, epoch: u32) -> Result<EpochKeys, SealedRowError> {
    roots.of(epoch).ok_or(SealedRowError::Epoch { epoch })
}

// No part of these has a line end in it, so nothing can be shifted from one to the next (R21).
fn account_data(user: &UserId, email: &EmailAddress, password: &StoredPassword) -> Vec<u8> {
    format!("bmap/1/account\n{}\n{email}\n{}", user.as_str(), password.phc).into_bytes()
}

fn reset_data(token: &TokenHash, user: &UserId, expires_at: UnixTime) -> Vec<u8> {
    format!("bmap/1/password-reset\n{}\n{}\n{}", token.as_str(), user.as_str(), expires_at.0).into_bytes()
}
