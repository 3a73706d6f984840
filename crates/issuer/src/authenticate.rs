//! The caller behind an API key, proved by the key's secret or by a signature.

use super::error::IssuerError;
use super::issuer::Issuer;
use bmap_model::api_key::ApiKey;
use bmap_model::audit::{Actor, Source, Target};
use bmap_model::keys::{KeyRows, OwnedKey};
use bmap_model::user::{User, UserState};
use bmap_protocol::api_key::ApiSecret;
use bmap_protocol::ids::{ApiKeyId, UserId};

/// A secret that a caller presented with a key id.
#[derive(Debug)]
pub struct PresentedSecret {
    /// The key id; `None` where it is malformed, which is answered like an unknown one.
    pub id: Option<ApiKeyId>,
    /// The secret.
    pub secret: ApiSecret,
}

/// An API key whose row has opened, and its user as of the same moment.
#[derive(Debug)]
pub struct OpenedKey {
    /// The key.
    pub key: ApiKey,
    /// Its user.
    pub owner: Option<User>,
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
    /// [`IssuerError::UnknownKey`], or [`IssuerError::BrokenRow`] for a row that was edited.
    pub async fn open_key(&self, id: &ApiKeyId) -> Result<OpenedKey, IssuerError> {
        let (OwnedKey { rows, owner }, known) = self.key_or_decoy(id).await?;
        let opened = rows.current.open(&self.roots);
        if known { Ok(OpenedKey { key: opened?, owner }) } else { Err(IssuerError::UnknownKey) }
    }

    /// Decides on a presented secret.
    ///
    /// A key whose secret was changed has two for a while; the former one's row ends with its grace. Both are always compared,
    /// and an unknown id costs the same work as a known one and is answered alike, so that ids can't be found out (R31).
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn caller_by_secret(&self, presented: &PresentedSecret, source: &Source) -> Result<Caller, IssuerError> {
        let id = presented.id.as_ref().unwrap_or(&self.decoy.id);
        let (OwnedKey { rows, owner }, known) = self.key_or_decoy(id).await?;
        let former = rows.former.as_ref().unwrap_or(&rows.current);
        let (opened, opened_former) = (rows.current.open(&self.roots), former.open(&self.roots));
        let matches = rows.current.stored_hash.matches(&rows.current.id, &presented.secret);
        let matches_former = former.stored_hash.matches(&former.id, &presented.secret);
        if !known {
            return Err(IssuerError::UnknownKey);
        }
        source.is_about(Target::ApiKey { key: rows.current.id.clone(), owner: rows.current.owner.clone() });
        let current = opened?;
        match (matches, matches_former) {
            (true, _) => self.caller(OpenedKey { key: current, owner }, source),
            (false, true) => {
                let former = opened_former?;
                if !former.scope.is_within_grace(self.clock.now()) {
                    return Err(IssuerError::WrongSecret);
                }
                self.caller(OpenedKey { key: former, owner }, source)
            }
            (false, false) => Err(IssuerError::WrongSecret),
        }
    }

    /// A key, and whether it is that one: for an unknown id it is some other key, to do the same work on.
    pub(super) async fn key_or_decoy(&self, id: &ApiKeyId) -> Result<(OwnedKey, bool), IssuerError> {
        let decoy = || OwnedKey { rows: KeyRows { current: self.decoy.clone(), former: None }, owner: None };
        let found = self.store.api_key_or_another(id).await?.unwrap_or_else(decoy);
        let known = found.rows.current.id == *id && found.rows.current.id != self.decoy.id;
        Ok((found, known))
    }

    /// Notes the key that a signature named which did not hold, for its owner to see: as the target of the request, as for a
    /// wrong secret, and never as its actor. An unknown id costs the same look-up (R31).
    ///
    /// # Errors
    /// [`IssuerError`] where the database does not answer.
    pub async fn note_attempt(&self, id: &ApiKeyId, source: &Source) -> Result<(), IssuerError> {
        let (found, known) = self.key_or_decoy(id).await?;
        if known {
            let KeyRows { current, .. } = found.rows;
            source.is_about(Target::ApiKey { key: current.id, owner: current.owner });
        }
        Ok(())
    }

    /// Decides on a key that has proved itself, by secret or by signature: revoked, over, user, address.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub fn caller(&self, opened: OpenedKey, source: &Source) -> Result<Caller, IssuerError> {
        let key = &opened.key;
        source.acts_as(Actor::ApiKey { key: key.id.clone(), owner: key.owner.clone() });
        if !key.scope.allows_address(source.ip()) {
            return Err(IssuerError::AddressDenied);
        }
        let user = self.usable(&opened)?.clone();
        Ok(Caller { key: opened.key, user, source: source.clone() })
    }

    /// Whether a key works at all, wherever it is used from: not revoked, not over, its user active.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub fn usable<'k>(&self, OpenedKey { key, owner }: &'k OpenedKey) -> Result<&'k User, IssuerError> {
        if key.state != bmap_model::api_key::KeyState::Active {
            return Err(IssuerError::KeyRevoked);
        }
        if key.scope.is_over(self.clock.now()) {
            return Err(IssuerError::KeyOver);
        }
        // The row of the owner whom the key's seal names, and of no other user.
        let owner = owner.as_ref().filter(|owner| owner.id == key.owner && owner.state == UserState::Active);
        owner.ok_or(IssuerError::UserInactive)
    }

    pub(super) async fn active_user(&self, id: &UserId) -> Result<User, IssuerError> {
        match self.store.user(id).await? {
            Some(user) if user.state == UserState::Active => Ok(user),
            _ => Err(IssuerError::UserInactive),
        }
    }
}
