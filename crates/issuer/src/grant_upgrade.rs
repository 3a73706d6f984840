//! The upgrade of a database from before there were grants. The migration adds the columns; seals need the root secret, so the rest is
//! done here, at the first start after it: tools are sealed anew with their access and callers, the tools of keys become grants of the
//! keys' owners, and the key of the first start is given the capability `administer`.
//!
//! All of it is one transaction that begins by taking a mark in the database, so it is done once, also where a process is killed or
//! another starts beside it. A row that was edited is not sealed anew, and makes no grant (T13).

use crate::audit::kept;
use bmap_model::api_key::{KeyScope, KeyState, SealedApiKey, ToolSet};
use bmap_model::audit::chain::{ChainKeys, Head, Mac, Row};
use bmap_model::audit::{Action, Event, Source, Target};
use bmap_model::clock::UnixTime;
use bmap_model::grant_upgrade::{Former, Upgrade};
use bmap_model::rng::{self, NoRandomness, Random};
use bmap_model::role::Role;
use bmap_model::roots::Roots;
use bmap_model::scope::Scopes;
use bmap_model::tool::{Access, CallerKinds, InvalidCallers, Tool};
use bmap_model::tool_grant::{Giver, ToolGrant};
use bmap_model::user::User;
use bmap_protocol::ids::UserId;
use bmap_store::{Database, StoreError};
use std::collections::BTreeSet;

/// The kinds of callers that every tool took before a tool said which.
const FORMER_CALLERS: &str = "page direct user";

/// The upgrade was not done, and nothing of it is there.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// Nothing in the database opens.
    #[error(
        "the root secret is not the one of this database: nothing that is sealed in it opens, so it is not upgraded"
    )]
    OtherRoot,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// A constant of this program.
    #[error(transparent)]
    Callers(#[from] InvalidCallers),
}

/// Does the upgrade where it is still to be done, and returns notes for the operator.
///
/// # Errors
/// [`UpgradeError`].
pub async fn upgrade(
    store: &Database,
    roots: &Roots,
    now: UnixTime,
    random: &dyn Random,
) -> Result<Vec<String>, UpgradeError> {
    if !store.grants_upgrade_is_pending().await? {
        return Ok(Vec::new());
    }
    let chain = kept::keys(store, roots).await?;
    let issuer_keys = store.issuer_keys().await?;
    let plan = |former: &Former| {
        let opened = issuer_keys.iter().filter(|key| key.open(roots).is_ok()).count();
        Plan { former, roots, chain: &chain, now }.make(issuer_keys.len(), opened, random)
    };
    let done = store.upgrade_grants::<UpgradeError>(&plan).await?;
    Ok(done.map(|upgrade| upgrade.notes).unwrap_or_default())
}

struct Plan<'a> {
    former: &'a Former,
    roots: &'a Roots,
    chain: &'a ChainKeys,
    now: UnixTime,
}

impl Plan<'_> {
    fn make(&self, issuer_keys: usize, opened: usize, random: &dyn Random) -> Result<Upgrade, UpgradeError> {
        let Former { tools, keys, .. } = self.former;
        let mut upgrade = Upgrade::default();
        if tools.is_empty() && keys.is_empty() {
            return Ok(upgrade);
        }
        let is_sealed = |tool: &Tool| tool.seal.is_some();
        let holds = |tool: &Tool| tool.check_former_seal(self.roots).is_ok() || tool.check_seal(self.roots).is_ok();
        let any_sealed = issuer_keys > 0 || !keys.is_empty() || tools.iter().any(is_sealed);
        let any_opens = opened > 0 || keys.iter().any(|key| key.open(self.roots).is_ok()) || tools.iter().any(holds);
        if any_sealed && !any_opens {
            return Err(UpgradeError::OtherRoot);
        }
        if self.entries_of(Action::GrantsUpgrade).next().is_some() {
            tracing::error!(
                "ALARM: the upgrade to grants was done before, and the database says that it was not: it is not done again"
            );
            return Ok(upgrade);
        }
        self.tools(&mut upgrade)?;
        self.grants(&mut upgrade);
        self.first_key(&mut upgrade, random)?;
        let done = Event::done(Action::GrantsUpgrade, &Source::system(), self.now);
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let done = done.with("tools", count(upgrade.tools.len())).with("grants", count(upgrade.grants.len()));
        upgrade.events.push(done);
        Ok(upgrade)
    }

    fn tools(&self, upgrade: &mut Upgrade) -> Result<(), UpgradeError> {
        let keys = self.roots.sealing();
        let callers = CallerKinds::parse(FORMER_CALLERS)?;
        for tool in &self.former.tools {
            if tool.check_seal(self.roots).is_ok() {
                continue;
            }
            let former = tool.seal.as_ref().filter(|_| tool.check_former_seal(self.roots).is_ok());
            let Some(former) = former else {
                upgrade.notes.push(format!(
                    "the row of tool {0} is not as it was written, so the keys for it make no grants: look at it (bmap tool list), then \
                     bmap tool confirm {0} and bmap tool grant USER {0}",
                    tool.id
                ));
                continue;
            };
            // No seal covered these fields until now, so the row's own values are not used.
            let (access, callers, open_scopes) = (Access::Granted, callers.clone(), Scopes::default());
            let sealed = Tool { access, callers, open_scopes, ..tool.clone() }.sealed(&keys);
            upgrade.tools.push((sealed, former.mac.clone()));
        }
        Ok(())
    }

    /// A grant for each user and tool that a key which works today has together.
    fn grants(&self, upgrade: &mut Upgrade) {
        let mut made = BTreeSet::new();
        for row in self.former.keys.iter().filter(|row| row.state == KeyState::Active) {
            let Ok(key) = row.open(self.roots) else {
                upgrade.notes.push(format!("the row of API key {} does not open, so it makes no grants", row.id));
                continue;
            };
            if key.scope.is_over(self.now) {
                continue;
            }
            let mut of_key = Vec::new();
            for (tool, _) in upgrade.tools.iter().filter(|(tool, _)| key.scope.tools.contains(&tool.id)) {
                of_key.push(tool.id.as_str().to_owned());
                if made.insert((tool.id.as_str().to_owned(), key.owner.as_str().to_owned())) {
                    let grant = self.grant(tool, &key.owner);
                    upgrade.events.push(grant.given(&Source::system()).with("key", &key.id));
                    upgrade.grants.push(grant.sealed(&self.roots.sealing()));
                }
            }
            if key.scope.tools == ToolSet::Any {
                let tools = if of_key.is_empty() { "no tool".to_owned() } else { of_key.join(", ") };
                upgrade.notes.push(format!(
                    "API key {} is for every tool: its user {} has a grant of those that there are ({tools}), and needs one of each tool \
                     to come",
                    key.id, key.owner
                ));
            }
        }
    }

    fn grant(&self, tool: &Tool, owner: &UserId) -> ToolGrant {
        ToolGrant {
            tool: tool.id.clone(),
            user: owner.clone(),
            scopes: tool.all_scopes(),
            ends_at: None,
            given_by: Giver::Upgrade,
            given_at: self.now,
            seal: None,
        }
    }

    /// The key of the first start is told by its entry in the audit log, whose MAC can't be made without the root secret: the issuer
    /// itself made no other key. Its user must be an admin still.
    fn first_key(&self, upgrade: &mut Upgrade, random: &dyn Random) -> Result<(), NoRandomness> {
        let Some((before, mut scope)) = self.told_first_key() else {
            upgrade.notes.push(
                "no API key administers: the log does not say which key is that of the first start, or its user is no admin any more; \
                 bmap key edit ID --administer gives a key that capability"
                    .to_owned(),
            );
            return Ok(());
        };
        scope.administer = true;
        let Ok(after) = before.with_scope(&scope, self.roots, rng::bytes(random)?) else { return Ok(()) };
        let target = Target::ApiKey { key: after.id.clone(), owner: after.owner.clone() };
        let event = Event::done(Action::ApiKeyUpdate, &Source::system(), self.now).on(target).with("name", &after.name);
        upgrade.events.push(scope.told(event));
        upgrade
            .notes
            .push(format!("API key {} is that of the first start: it administers, and no other key does", after.id));
        upgrade.first_key = Some((before.clone(), after));
        Ok(())
    }

    fn told_first_key(&self) -> Option<(&SealedApiKey, KeyScope)> {
        let entry = self.entries_of(Action::ApiKeyCreate).next()?;
        let id = entry.content.target_id.as_deref()?;
        let row = self.former.keys.iter().find(|row| row.id.as_str() == id && row.state == KeyState::Active)?;
        let scope = row.open(self.roots).ok()?.scope;
        let is_admin =
            |user: &User| user.id == row.owner && user.unverified_role.open(self.roots, &user.id) == Ok(Role::Admin);
        self.former.admins.iter().any(is_admin).then_some((row, scope))
    }

    /// Entries of the issuer itself, as they were written.
    fn entries_of(&self, action: Action) -> impl Iterator<Item = &Row> {
        let written = move |(row, previous): &&(Row, Option<String>)| {
            let sequence = row.sequence.checked_sub(1)?;
            let mac = if sequence == 0 { Mac::NONE } else { Mac::parse(previous.as_deref()?)? };
            self.chain.of(row.epoch)?.follow(&Head { sequence, mac }, row)
        };
        let by_itself = move |row: &&Row| {
            row.content.action == action.as_str() && row.content.outcome == "done" && row.content.actor == "system"
        };
        let entries = self.former.entries.iter().filter(move |entry| written(entry).is_some());
        entries.map(|(row, _)| row).filter(by_itself)
    }
}
