//! Step-ups as they are stored, and as they are used up.

use crate::account::email::EmailAddress;
use crate::account::opaque::{OpaqueToken, TokenHash};
use crate::clock::UnixTime;
use crate::mail::job::SealedMailJob;
use crate::roots::Roots;
use crate::row_seal::{RowFault, RowSeal};
use crate::session::SessionId;
use bmap_protocol::ids::UserId;
use bmap_protocol::keys::EpochKeys;
use std::net::IpAddr;

/// A step-up as it is answered: a one-use token, good for a few minutes.
#[derive(Debug)]
pub struct StepUp(pub OpaqueToken);

/// A step-up as it is stored.
#[derive(Clone, Debug)]
pub struct StepUpRow {
    /// SHA-256 of the token.
    pub hash: TokenHash,
    /// Whose it is.
    pub user: UserId,
    /// The session that it is good in.
    pub session: SessionId,
    /// Its end, by the issuer's clock.
    pub expires_at: UnixTime,
    /// Binds all of these to the root secret.
    pub seal: Option<RowSeal>,
}

impl StepUpRow {
    /// The row, sealed.
    #[must_use]
    pub fn sealed(self, keys: &EpochKeys) -> Self {
        Self { seal: self.with_fields(|fields| Some(RowSeal::make(keys, fields))), ..self }
    }

    /// Whether the row is as it was written.
    ///
    /// # Errors
    /// [`RowFault`], an alarm.
    pub fn check_seal(&self, roots: &Roots) -> Result<(), RowFault> {
        self.with_fields(|fields| RowSeal::check(self.seal.as_ref(), roots, fields))
    }

    /// The step-up, used for an act of that user in that session; `None` where it is another's, or has ended.
    pub fn used_for(self, act_of: (&UserId, &SessionId), at: UnixTime, address: Option<IpAddr>) -> Option<SteppedUp> {
        let Self { hash, user, session, expires_at, seal: _ } = self;
        let is_good = (&user, &session) == act_of && at < expires_at;
        is_good.then(|| SteppedUp { hash, user, session, at, address, notices: Vec::new() })
    }

    fn with_fields<T>(&self, take: impl FnOnce(&[&str]) -> T) -> T {
        let ends = self.expires_at.0.to_string();
        take(&["step-up", self.hash.as_str(), self.user.as_str(), self.session.as_str(), &ends])
    }
}

/// The side effects of an act of a signed-in user, in its own transaction: the step-up that is used up for it, and the mails that tell of
/// it. [`StepUpRow::used_for`] makes one, so an act that takes one has been asked for with a step-up.
#[derive(Clone, Debug)]
pub struct SteppedUp {
    /// SHA-256 of the step-up's token.
    pub hash: TokenHash,
    /// The user who acts.
    pub user: UserId,
    /// The user's session.
    pub session: SessionId,
    /// When.
    pub at: UnixTime,
    /// From which address, where that is known.
    pub address: Option<IpAddr>,
    /// The mails that tell of the act, each with its address.
    pub notices: Vec<(EmailAddress, SealedMailJob)>,
}

impl SteppedUp {
    /// The same with these mails.
    #[must_use]
    pub fn with_notices(self, notices: Vec<(EmailAddress, SealedMailJob)>) -> Self {
        Self { notices, ..self }
    }
}
