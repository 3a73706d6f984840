//! Who is calling with an API key: by its secret, or by a signature.

use super::api_key::ApiKey;
use super::audit::{Actor, Source, Target};
use super::issuer::Issuer;
use super::keys::KeyRows;
use super::refusal::Refusal;
use super::user::{User, UserState};
use crate::store::{ApiKeys, Users};
use bmap_protocol::api_key::ApiSecret;
use bmap_protocol::ids::{ApiKeyId, UserId};

/// A secret that a caller presented with a key id.
#[derive(Debug)]
pub struct PresentedSecret {
    /// The key id; `None` where the text is none, which is answered like an unknown one.
    pub id: Option<ApiKeyId>,
    /// The secret.
    pub secret: ApiSecret,
}

/// An API key in use, with its active user.
#[derive(Debug)]
pub struct Caller {
    /// The key.
    pub key: ApiKey,
    /// Its user.
    pub user: User,
    /// Where it calls from.
    pub source: Source,
}

impl Issuer {
    /// Opens the row of a key: the one way to a key, whatever it is used for.
    ///
    /// # Errors
    /// [`Refusal::UnknownKey`], or [`Refusal::BrokenRow`] for a row that somebody edited.
    pub async fn open_key(&self, id: &ApiKeyId) -> Result<ApiKey, Refusal> {
        let row = self.store.api_key(id).await?.ok_or(Refusal::UnknownKey)?;
        Ok(row.open(&self.roots)?)
    }

    /// Decides on a presented secret.
    ///
    /// A key whose secret was changed has two for a while; the former one's row ends with its grace. Both are always compared,
    /// and an unknown id costs the same work as a known one and is answered alike, so that ids can't be found out (R31).
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn caller_by_secret(&self, presented: &PresentedSecret, source: &Source) -> Result<Caller, Refusal> {
        let id = presented.id.as_ref().unwrap_or(&self.decoy.id);
        let (rows, known) = self.rows_or_decoy(id).await?;
        let former = rows.former.as_ref().unwrap_or(&rows.current);
        let (opened, opened_former) = (rows.current.open(&self.roots), former.open(&self.roots));
        let matches = rows.current.stored_hash.matches(&rows.current.id, &presented.secret);
        let matches_former = former.stored_hash.matches(&former.id, &presented.secret);
        if !known {
            return Err(Refusal::UnknownKey);
        }
        source.is_about(Target::ApiKey { key: rows.current.id.clone(), owner: rows.current.owner.clone() });
        let current = opened?;
        match (matches, matches_former) {
            (true, _) => self.caller(current, source).await,
            (false, true) => {
                let former = opened_former?;
                if !former.scope.is_within_grace(self.clock.now()) {
                    return Err(Refusal::WrongSecret);
                }
                self.caller(former, source).await
            }
            (false, false) => Err(Refusal::WrongSecret),
        }
    }

    /// The rows of a key, and whether they are that key's: for an unknown id they are some other key's, to do the same work on.
    pub(super) async fn rows_or_decoy(&self, id: &ApiKeyId) -> Result<(KeyRows, bool), Refusal> {
        let decoy = || KeyRows { current: self.decoy.clone(), former: None };
        let rows = self.store.api_key_or_another(id).await?.unwrap_or_else(decoy);
        let known = rows.current.id == *id && rows.current.id != self.decoy.id;
        Ok((rows, known))
    }

    /// Notes whose key a signature named that did not hold, for its owner to see: as what the request is about, as for a wrong
    /// secret, and never as who made it. An unknown id costs the same look-up (R31).
    ///
    /// # Errors
    /// [`Refusal`] where the database does not answer.
    pub async fn note_attempt(&self, id: &ApiKeyId, source: &Source) -> Result<(), Refusal> {
        let (rows, known) = self.rows_or_decoy(id).await?;
        if known {
            source.is_about(Target::ApiKey { key: rows.current.id, owner: rows.current.owner });
        }
        Ok(())
    }

    /// Decides on a key that has proved itself, by secret or by signature: revoked, over, user, address.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn caller(&self, key: ApiKey, source: &Source) -> Result<Caller, Refusal> {
        source.acts_as(Actor::ApiKey { key: key.id.clone(), owner: key.owner.clone() });
        if !key.scope.allows_address(source.ip()) {
            return Err(Refusal::AddressDenied);
        }
        let user = self.usable(&key).await?;
        Ok(Caller { key, user, source: source.clone() })
    }

    /// Whether a key works at all, wherever it is used from: not revoked, not over, its user active.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn usable(&self, key: &ApiKey) -> Result<User, Refusal> {
        if key.state != super::api_key::KeyState::Active {
            return Err(Refusal::KeyRevoked);
        }
        if key.scope.is_over(self.clock.now()) {
            return Err(Refusal::KeyOver);
        }
        self.active_user(&key.owner).await
    }

    pub(super) async fn active_user(&self, id: &UserId) -> Result<User, Refusal> {
        match self.store.user(id).await? {
            Some(user) if user.state == UserState::Active => Ok(user),
            _ => Err(Refusal::UserInactive),
        }
    }
}
