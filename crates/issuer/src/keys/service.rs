//! Every change of a key, each in two steps: make the rows (and the answer for the caller), then write them. Between the two
//! nothing has happened yet, so the answer can be kept in the same transaction as the change.

use super::form::{KeyChange, KeyForm, invalid, stored};
use super::manager::Manager;
use crate::error::IssuerError;
use crate::issuer::{Issuer, MakeError, NewApiKey, key_created, new_api_key, seal_new_secret};
use bmap_model::account::step_up::SteppedUp;
use bmap_model::api_key::{BrokenRow, KeyScope, KeyState, SealedApiKey, ToolSet};
use bmap_model::audit::{Action, Event, Target};
use bmap_model::clock::{UnixTime, WallClock};
use bmap_model::idempotency::SealedAnswer;
use bmap_model::keys::new_key::{NewKey, NewSecret};
use bmap_model::keys::{KeyRows, ManagedKey};
use bmap_model::page_origin::OriginRules;
use bmap_model::rng::{self, Random};
use bmap_model::role::Role;
use bmap_model::roots::Roots;
use bmap_model::scope::Scopes;
use bmap_model::stored_origin::StoredOrigin;
use bmap_model::tool_grant::GrantError;
use bmap_protocol::ids::{ApiKeyId, UserId};
use bmap_store::{Created, Database};

/// Most keys of one user that are not revoked.
pub const MAX_KEYS: u16 = 100;
/// Most keys of one page of a list.
pub const MAX_PAGE: u16 = 100;
/// How often a change is tried again where another request changes the same key.
const ATTEMPTS: usize = 8;

/// Changes keys.
#[derive(Clone, Copy)]
pub struct KeyService<'a> {
    store: &'a Database,
    roots: &'a Roots,
    clock: &'a dyn WallClock,
    random: &'a dyn Random,
    origin_rules: OriginRules,
}

/// The fate of a former secret that still works when a new one is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfFormer {
    /// No new one is made.
    Refuse,
    /// It ends.
    End,
}

impl Issuer {
    /// Changes keys of this issuer.
    pub fn keys(&self) -> KeyService<'_> {
        KeyService {
            store: &self.store,
            roots: &self.roots,
            clock: &*self.clock,
            random: &*self.random,
            origin_rules: self.origin_rules,
        }
    }
}

impl<'a> KeyService<'a> {
    /// Changes keys of a store.
    pub const fn new(store: &'a Database, roots: &'a Roots, clock: &'a dyn WallClock, random: &'a dyn Random) -> Self {
        Self { store, roots, clock, random, origin_rules: OriginRules { http_on_lan: false, wildcards: false } }
    }

    /// The same, with the operator's rules for origins.
    #[must_use]
    pub const fn with_origin_rules(self, origin_rules: OriginRules) -> Self {
        Self { origin_rules, ..self }
    }

    fn check_origins(&self, origins: &[StoredOrigin]) -> Result<(), IssuerError> {
        for (number, origin) in (1..).zip(origins) {
            let checked = match origin.origin() {
                Some(origin) => self.origin_rules.check(origin),
                None => Err(origin.fault().unwrap_or_default()),
            };
            checked.map_err(|hint| invalid("origins", format!("entry {number}: {hint}")))?;
        }
        Ok(())
    }

    /// One key that `who` may manage.
    ///
    /// # Errors
    /// [`IssuerError::NotFound`], also for another user's key.
    pub async fn find(&self, who: &Manager, id: &ApiKeyId) -> Result<ManagedKey, IssuerError> {
        let found = self.store.managed_key(id).await?.ok_or(NOT_FOUND)?;
        who.source.is_about(target(&found.rows.current));
        if who.may_manage(&found.rows.current.owner) { Ok(found) } else { Err(NOT_FOUND) }
    }

    /// One key whose secret `who` may be given.
    ///
    /// # Errors
    /// As [`find`](Self::find), and [`IssuerError::NotOwner`] for an admin who asks for another user's.
    pub async fn find_own(&self, who: &Manager, id: &ApiKeyId) -> Result<ManagedKey, IssuerError> {
        let found = self.find(who, id).await?;
        if who.may_have_secret(&found.rows.current.owner) { Ok(found) } else { Err(IssuerError::NotOwner) }
    }

    /// The keys of a user behind one of them, oldest first, and whether there are more.
    ///
    /// # Errors
    /// [`IssuerError`] where the database does not answer.
    pub async fn list(
        &self,
        user: Option<&UserId>,
        after: Option<&ApiKeyId>,
        most: u16,
    ) -> Result<(Vec<ManagedKey>, bool), IssuerError> {
        let mut keys = self.store.managed_keys(user, after, most.saturating_add(1)).await?;
        let more = keys.len() > usize::from(most);
        keys.truncate(usize::from(most));
        Ok((keys, more))
    }

    /// Makes a key for a user.
    ///
    /// # Errors
    /// [`IssuerError::ToolsDenied`] for tools that are neither open nor granted to the owner, [`IssuerError::Invalid`] for tools that are not there.
    pub async fn make(&self, who: &Manager, owner: UserId, form: KeyForm) -> Result<NewKey, IssuerError> {
        self.check_tools(who, &owner, &form.scope.tools, form.scope.scopes.as_ref()).await?;
        self.check_origins(&form.scope.origins)?;
        let KeyForm { name, signing, scope } = form;
        let new = NewApiKey { owner, name, signing, scope: &scope };
        let (key, secret) = new_api_key(self.roots, self.clock.now(), self.random, new).map_err(refused)?;
        let event = key_created(&key, &scope, &who.source);
        Ok(NewKey { key, scope, secret, event })
    }

    /// Stores a key that was made.
    ///
    /// # Errors
    /// [`IssuerError::LimitReached`], [`IssuerError::UserInactive`], [`StoreError::StepUp`](bmap_store::StoreError::StepUp) for a step-up that was
    /// used meanwhile, or [`bmap_store::StoreError::Taken`] for an answer that is kept already.
    pub async fn store(
        &self,
        new: &NewKey,
        answer: Option<&SealedAnswer>,
        stepped_up: Option<&SteppedUp>,
    ) -> Result<(), IssuerError> {
        match self.store.create_api_key(new, MAX_KEYS, answer, stepped_up).await? {
            Created::Yes => Ok(()),
            Created::UserInactive => Err(IssuerError::UserInactive),
            Created::TooMany => {
                Err(IssuerError::LimitReached { hint: "a user has at most 100 keys that are not revoked: revoke one" })
            }
        }
    }

    /// Makes a new secret for a key, whose present one works on for `grace` seconds. At most two secrets of a key work, so while its
    /// former one does, this is refused unless the caller knows what ends: every secret that was answered works until the end that was
    /// announced with it (U04).
    ///
    /// # Errors
    /// [`IssuerError`] for a key that is not there, was revoked, has ended or does not open; [`IssuerError::InvalidState`] while a former secret
    /// works, and
    /// [`IssuerError::NotOwner`] for an admin who asks for another user's.
    pub async fn make_secret(
        &self,
        who: &Manager,
        id: &ApiKeyId,
        grace: i64,
        if_former: IfFormer,
    ) -> Result<NewSecret, IssuerError> {
        let ManagedKey { rows: KeyRows { current: before, former }, last_use } = self.find_own(who, id).await?;
        let at = self.clock.now();
        let scope = self.live_scope(&before)?;
        if scope.is_over(at) {
            return Err(IssuerError::InvalidState { hint: "the key has ended: change its expires_at first" });
        }
        let (owner, name, signing) = (before.owner.clone(), before.name.clone(), before.signing);
        let new = NewApiKey { owner, name, signing, scope: &scope };
        let (current, secret) =
            seal_new_secret(self.roots, self.random, id.clone(), before.created_at, new).map_err(refused)?;
        let rows = KeyRows { current: before, former };
        let ends_former = rows.former_end(self.roots, at).is_some();
        if ends_former && if_former == IfFormer::Refuse {
            return Err(IssuerError::InvalidState {
                hint: "the secret before this one still works, until former.expires_at: wait until then, or end it now with end_former",
            });
        }
        let former = match grace {
            0 => None,
            // A part of a second counts as one: the grace is never shorter than was asked for.
            _ => {
                let end = UnixTime(at.0.saturating_add(999)).plus_seconds(grace).seconds();
                Some(self.former(&rows.current, &scope, end)?)
            }
        };
        let event =
            Event::done(Action::ApiKeyRegenerate, &who.source, at).on(target(&current)).with("grace_seconds", grace);
        let (before, after) = (rows.current, KeyRows { current, former });
        Ok(NewSecret { before, after, secret, at, last_use, event, ends_former })
    }

    /// Stores a new secret.
    ///
    /// # Errors
    /// [`IssuerError::Conflict`] where the key was changed meanwhile, so that of many at once one succeeds and no caller gets
    /// a secret that is replaced already.
    pub async fn store_secret(
        &self,
        new: &NewSecret,
        answer: Option<&SealedAnswer>,
        stepped_up: Option<&SteppedUp>,
    ) -> Result<(), IssuerError> {
        match self.store.replace_secret(new, answer, stepped_up).await? {
            true => Ok(()),
            false => Err(IssuerError::Conflict),
        }
    }

    /// Changes the name and the rights of a key, for both of its secrets at once.
    ///
    /// # Errors
    /// [`IssuerError`]; [`IssuerError::Conflict`] where others keep changing the same key. Two changes at once are both made.
    pub async fn change(
        &self,
        who: &Manager,
        id: &ApiKeyId,
        change: &KeyChange,
        stepped_up: Option<&SteppedUp>,
    ) -> Result<ManagedKey, IssuerError> {
        let mut is_checked = false;
        self.check_origins(&change.origins.clone().map(stored).unwrap_or_default())?;
        for _ in 0..ATTEMPTS {
            let found = self.find(who, id).await?;
            let before = found.rows;
            let scope = change.apply(self.live_scope(&before.current)?);
            if change.administer == Some(true) {
                self.check_admin(&before.current.owner).await?;
            }
            if (change.tools.is_some() || matches!(change.scopes, Some(Some(_)))) && !is_checked {
                self.check_tools(who, &before.current.owner, &scope.tools, scope.scopes.as_ref()).await?;
                is_checked = true;
            }
            let mut current = self.sealed_again(&before.current, &scope)?;
            current.name = change.name.clone().unwrap_or(current.name);
            // The grace ends when it was to end: a later end of the key does not lengthen it. A former row that has ended, or
            // does not open, is not carried on.
            let former = match (&before.former, before.former_end(self.roots, self.clock.now())) {
                (Some(former), Some(end)) => Some(self.former(former, &scope, end)?),
                _ => None,
            };
            let after = KeyRows { current, former };
            let event = Event::done(Action::ApiKeyUpdate, &who.source, self.clock.now()).on(target(&after.current));
            let event = scope.told(event.with("name", &after.current.name));
            if self.store.change_api_key(&before, &after, &scope, stepped_up, &event).await? {
                return Ok(ManagedKey { rows: after, last_use: found.last_use });
            }
        }
        Err(IssuerError::Conflict)
    }

    /// Revokes a key, both of its secrets, for good. A second time changes nothing.
    ///
    /// # Errors
    /// [`IssuerError::NotFound`].
    pub async fn revoke(&self, who: &Manager, id: &ApiKeyId) -> Result<(), IssuerError> {
        self.find(who, id).await?;
        let now = self.clock.now();
        self.store.revoke_api_key(id, now, &Event::done(Action::ApiKeyRevoke, &who.source, now)).await?;
        Ok(())
    }

    /// The rights of a key that was not revoked.
    fn live_scope(&self, key: &SealedApiKey) -> Result<KeyScope, IssuerError> {
        match (key.state, key.open(self.roots)) {
            (KeyState::Revoked { .. }, _) => Err(IssuerError::KeyRevoked),
            (KeyState::Active, Ok(opened)) => Ok(opened.scope),
            (KeyState::Active, Err(broken)) => Err(unusable(&key.id, broken)),
        }
    }

    /// A row of a secret that goes on only until `end`, or the key's own end where that is earlier.
    fn former(&self, key: &SealedApiKey, scope: &KeyScope, end: i64) -> Result<SealedApiKey, IssuerError> {
        let end = scope.expires_at.map_or(end, |own| own.min(end));
        self.sealed_again(key, &KeyScope { expires_at: Some(end), ..scope.clone() })
    }

    fn sealed_again(&self, key: &SealedApiKey, scope: &KeyScope) -> Result<SealedApiKey, IssuerError> {
        let nonce = rng::bytes(self.random)?;
        key.with_scope(scope, self.roots, nonce).map_err(|broken| unusable(&key.id, broken))
    }

    /// Whether a key of that owner may administer: another one would be refused at each use.
    async fn check_admin(&self, owner: &UserId) -> Result<(), IssuerError> {
        let owner = self.store.user(owner).await?;
        match owner.map(|owner| owner.role(self.roots)) {
            Some(Role::Admin) => Ok(()),
            _ => Err(invalid(
                "administer",
                "the key's user is no admin: bmap user role USER admin, on the issuer's machine",
            )),
        }
    }

    /// Whether a key of that owner may be for these tools: each is open, or granted to the owner. And whether each scope of the key is one
    /// that its owner may have of any of them: another one would be refused at each use.
    async fn check_tools(
        &self,
        who: &Manager,
        owner: &UserId,
        tools: &ToolSet,
        scopes: Option<&Scopes>,
    ) -> Result<(), IssuerError> {
        let tools = match tools {
            ToolSet::Any if who.may_allow_every_tool() => return Ok(()),
            ToolSet::Any => return Err(invalid("tools", "a key for every tool is an administrator's: name the tools")),
            ToolSet::Only(tools) => tools,
        };
        let found = tools.iter().map(|tool| self.store.tool_of_user(tool, owner));
        let found = futures_util::future::try_join_all(found).await?;
        let mut may = Scopes::default();
        for (tool, found) in tools.iter().zip(found) {
            let denied = || IssuerError::ToolsDenied {
                hint: format!("there is no tool {tool} that is open or granted to the key's user: an admin grants it"),
            };
            match found {
                // Only a manager who sees every tool may learn that this one does not exist.
                None if who.sees_every_tool() => return Err(invalid("tools", format!("there is no tool {tool}"))),
                None => return Err(denied()),
                Some(found) => match found.scopes(self.roots, self.clock.now()) {
                    Ok(scopes) => may = may.union(&scopes.intersection(&found.tool.all_scopes())),
                    Err(GrantError::Denied) => return Err(denied()),
                    Err(error) => return Err(error.into()),
                },
            }
        }
        match scopes.map(|scopes| scopes.beyond(&may)) {
            Some(beyond) if !beyond.is_empty() && !tools.is_empty() => {
                let may = if may.is_empty() { "none".to_owned() } else { may.to_string() };
                Err(invalid("scopes", format!("{beyond}: the key's user may have these scopes of its tools: {may}")))
            }
            _ => Ok(()),
        }
    }
}

const NOT_FOUND: IssuerError = IssuerError::NotFound { what: "API key" };

fn target(key: &SealedApiKey) -> Target {
    Target::ApiKey { key: key.id.clone(), owner: key.owner.clone() }
}

fn unusable(id: &ApiKeyId, broken: BrokenRow) -> IssuerError {
    tracing::error!(key = id.as_str(), "{}", IssuerError::BrokenRow(broken));
    IssuerError::InvalidState { hint: "the key's row is not as it was written, so the key does not work: revoke it" }
}

fn refused(error: MakeError) -> IssuerError {
    match error {
        MakeError::Random(error) => error.into(),
        MakeError::Store(error) => error.into(),
        MakeError::Seal(error) => IssuerError::BrokenRow(error.into()),
        MakeError::IssuerKey(_) => IssuerError::Signing,
    }
}
