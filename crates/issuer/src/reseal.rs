//! The change of sealed rows from one root to the next. Rows are read a portion at a time, and each is compared and set, all of a
//! portion in one transaction: two processes that do it at once, or one that is killed, leave each row whole in one epoch or the other.

use crate::audit::kept::{self, KeepError};
use bmap_model::account::password::StoredPassword;
use bmap_model::account::sealed;
use bmap_model::api_key::SealedApiKey;
use bmap_model::rng::{self, NoRandomness, Random};
use bmap_model::role::UnverifiedRole;
use bmap_model::roots::Roots;
use bmap_model::row_seal::RowSeal;
use bmap_protocol::ids::{ToolId, UserId};
use bmap_protocol::keys::EpochKeys;
use bmap_protocol::seal::SealError;
use bmap_store::{Database, Reseal, SealedRow, StoreError};

/// Rows of a portion: enough that waiting for the disk is a small part of it, and few enough that a request which writes one of them
/// meanwhile waits for a fraction of a second.
const BATCH: u16 = 500;

/// The result of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Rows that are sealed in the newest epoch now.
    pub done: u64,
    /// Rows that do not open, so that nothing is lost by leaving them: edited by hand, or of a root that is not at hand.
    pub broken: Vec<String>,
}

/// It could not go on; rows that are sealed anew stay so, and another run goes on there.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// The keys of the audit log could not be kept.
    #[error(transparent)]
    Kept(#[from] KeepError),
    /// It could not be sealed again.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Seals in the newest epoch whatever is sealed in an earlier one and stays: API keys with their former secrets, the issuer's keys,
/// the roles of admins, tools and grants of them, the audit log's keys, sessions of people with the refresh tokens that were not used, identities at OpenID
/// providers, accounts without a password, answers that are kept for requests that are sent again. `progress` hears the number of rows after each batch.
///
/// # Errors
/// [`ResealError`].
pub async fn reseal(
    store: &Database,
    roots: &Roots,
    random: &dyn Random,
    progress: impl FnMut(&Resealed) + Send,
) -> Result<Resealed, ResealError> {
    kept::keep(store, roots, random).await?;
    let mut run = Run { store, roots, newest: roots.sealing(), random, progress, resealed: Resealed::default() };
    run.issuer_keys().await?;
    run.roles().await?;
    run.tools().await?;
    run.tool_grants().await?;
    run.sessions().await?;
    run.refresh_tokens().await?;
    run.identities().await?;
    run.accounts().await?;
    run.answers().await?;
    run.former_secrets().await?;
    run.api_keys().await?;
    Ok(run.resealed)
}

struct Run<'a, P> {
    store: &'a Database,
    roots: &'a Roots,
    newest: EpochKeys,
    random: &'a dyn Random,
    progress: P,
    resealed: Resealed,
}

// Page by page, by key and not by the rows that are left: a row that does not open stays where it is.
impl<P: FnMut(&Resealed) + Send> Run<'_, P> {
    async fn issuer_keys(&mut self) -> Result<(), ResealError> {
        let newest = self.newest.epoch();
        let keys = self.store.issuer_keys().await?;
        let mut seals = Vec::new();
        for key in keys.iter().filter(|key| key.epoch < newest) {
            let opened = self.roots.of(key.epoch).and_then(|epoch| key.unseal(&epoch).ok());
            let seal = match opened {
                Some(seed) => Some(key.seal(&self.newest, rng::bytes(self.random)?, &seed)?),
                None => None,
            };
            seals.extend(self.change(SealedRow::IssuerKey(&key.kid), &key.sealed, seal, || key.kid.clone()));
        }
        self.put(seals).await
    }

    async fn roles(&mut self) -> Result<(), ResealError> {
        let users = self.store.users().await?;
        let mut seals = Vec::new();
        for user in &users {
            let before = &user.unverified_role;
            if before.epoch.is_none_or(|epoch| epoch >= i64::from(self.newest.epoch())) {
                continue;
            }
            let role = before.open(self.roots, &user.id).ok();
            let mac = role.and_then(|role| UnverifiedRole::seal(self.roots, &user.id, role).mac);
            let mac_before = before.mac.as_deref().unwrap_or_default();
            let name = || format!("{} (its role)", user.id);
            seals.extend(self.change(SealedRow::Role(&user.id), mac_before, mac, name));
        }
        self.put(seals).await
    }

    async fn tools(&mut self) -> Result<(), ResealError> {
        let tools = self.store.tools().await?;
        let mut seals = Vec::new();
        for tool in &tools {
            if tool.seal.as_ref().is_none_or(|seal| seal.epoch >= self.newest.epoch()) {
                continue;
            }
            let sealed = tool.check_seal(self.roots).ok().map(|()| tool.clone().sealed(&self.newest));
            let (row, name) = (SealedRow::Tool(&tool.id), || format!("{} (a tool)", tool.id));
            seals.extend(self.change_mac(row, &tool.seal, sealed.and_then(|tool| tool.seal), name));
        }
        self.put(seals).await
    }

    async fn tool_grants(&mut self) -> Result<(), ResealError> {
        let mut after: Option<(ToolId, UserId)> = None;
        loop {
            let behind = after.as_ref().map(|(tool, user)| (tool, user));
            let page = self.store.tool_grants_before(self.newest.epoch(), behind, BATCH).await?;
            let mut seals = Vec::new();
            for grant in &page {
                let sealed = grant.check_seal(self.roots).ok().map(|()| grant.clone().sealed(&self.newest));
                let name = || format!("{} (its grant of {})", grant.user, grant.tool);
                let row = SealedRow::ToolGrant(&grant.tool, &grant.user);
                seals.extend(self.change_mac(row, &grant.seal, sealed.and_then(|grant| grant.seal), name));
            }
            self.put(seals).await?;
            match self.next(page, |last| (last.tool, last.user)) {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    async fn sessions(&mut self) -> Result<(), ResealError> {
        let mut after = None;
        loop {
            let page = self.store.user_sessions_before(self.newest.epoch(), after.as_ref(), BATCH).await?;
            let mut seals = Vec::new();
            for session in &page {
                let sealed = session.check_seal(self.roots).ok().map(|()| session.clone().sealed(&self.newest));
                let (row, name) = (SealedRow::UserSession(&session.id), || session.id.as_str().to_owned());
                seals.extend(self.change_mac(row, &session.seal, sealed.and_then(|session| session.seal), name));
            }
            self.put(seals).await?;
            match self.next(page, |last| last.id) {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    async fn refresh_tokens(&mut self) -> Result<(), ResealError> {
        let mut after = None;
        loop {
            let page = self.store.refresh_tokens_before(self.newest.epoch(), after.as_ref(), BATCH).await?;
            let mut seals = Vec::new();
            for token in &page {
                let sealed = token.check_seal(self.roots).ok().map(|()| token.clone().sealed(&self.newest));
                let name = || format!("{} (its refresh token)", token.session.as_str());
                let row = SealedRow::RefreshToken(&token.hash);
                seals.extend(self.change_mac(row, &token.seal, sealed.and_then(|token| token.seal), name));
            }
            self.put(seals).await?;
            match self.next(page, |last| last.hash) {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    async fn identities(&mut self) -> Result<(), ResealError> {
        let mut after = None;
        loop {
            let page = self.store.identities_before(self.newest.epoch(), after.as_ref(), BATCH).await?;
            let mut seals = Vec::new();
            for identity in &page {
                let sealed = identity.check_seal(self.roots).ok().map(|()| identity.clone().sealed(&self.newest));
                let name = || format!("{} (its identity at {})", identity.user, identity.key.issuer);
                let row = SealedRow::Identity(&identity.key);
                seals.extend(self.change_mac(row, &identity.seal, sealed.and_then(|identity| identity.seal), name));
            }
            self.put(seals).await?;
            match self.next(page, |last| last.key) {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    /// A password can't be hashed anew without it; an account that has none is only sealed.
    async fn accounts(&mut self) -> Result<(), ResealError> {
        let mut after = None;
        loop {
            let page = self.store.accounts_before(self.newest.epoch(), after.as_ref(), BATCH).await?;
            let mut seals = Vec::new();
            for account in page.iter().filter(|account| account.password.is_forgotten()) {
                let none = StoredPassword::forgotten(self.newest.epoch());
                let holds = account.check_seal(self.roots).is_ok();
                let seal = || sealed::account(self.roots, self.random, &account.user, &account.email, &none).ok();
                let (row, name) = (SealedRow::Account(&account.user), || format!("{} (its account)", account.user));
                seals.extend(self.change(row, &account.seal, holds.then(seal).flatten(), name));
            }
            self.put(seals).await?;
            match self.next(page, |last| last.user) {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    async fn answers(&mut self) -> Result<(), ResealError> {
        let mut after = None;
        loop {
            let page = self.store.answers_before(self.newest.epoch(), after.as_ref(), BATCH).await?;
            let mut seals = Vec::new();
            for answer in &page {
                let sealed = answer.sealed_anew(self.roots, &self.newest, rng::bytes(self.random)?);
                let (row, name) =
                    (SealedRow::Answer(&answer.attempt), || format!("{} (a kept answer)", answer.attempt.caller));
                seals.extend(self.change(row, &answer.sealed, sealed, name));
            }
            self.put(seals).await?;
            match self.next(page, |last| last.attempt) {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    async fn former_secrets(&mut self) -> Result<(), ResealError> {
        let mut after = None;
        loop {
            let page = self.store.former_before(self.newest.epoch(), after.as_ref(), BATCH).await?;
            let mut seals = Vec::new();
            for key in &page {
                let (row, name) = (SealedRow::Former(&key.id), || format!("{} (its former secret)", key.id));
                seals.extend(self.change(row, &key.sealed, self.api_key(key)?, name));
            }
            self.put(seals).await?;
            match self.next(page, |last| last.id) {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    async fn api_keys(&mut self) -> Result<(), ResealError> {
        let mut after = None;
        loop {
            let page = self.store.api_keys_before(self.newest.epoch(), after.as_ref(), BATCH).await?;
            let mut seals = Vec::new();
            for key in &page {
                let row = SealedRow::ApiKey(&key.id);
                seals.extend(self.change(row, &key.sealed, self.api_key(key)?, || key.id.to_string()));
            }
            self.put(seals).await?;
            match self.next(page, |last| last.id) {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    /// The key's material in the newest epoch; `None` if it does not open.
    fn api_key(&self, key: &SealedApiKey) -> Result<Option<String>, ResealError> {
        let Some(epoch) = self.roots.of(key.epoch) else { return Ok(None) };
        let Ok(material) = key.row().open(&epoch.kek(), &key.sealed) else { return Ok(None) };
        let mut row = key.row();
        row.epoch = self.newest.epoch();
        Ok(Some(row.seal(&self.newest.kek(), rng::bytes(self.random)?, &material)?))
    }

    /// Where the next page begins, if there is one.
    fn next<T, K>(&mut self, page: Vec<T>, key: impl Fn(T) -> K) -> Option<K> {
        let last = page.into_iter().last()?;
        (self.progress)(&self.resealed);
        Some(key(last))
    }

    /// The change of a row; `None`, and it is noted, where the row does not open.
    fn change<'r>(
        &mut self,
        row: SealedRow<'r>,
        before: &'r str,
        seal: Option<String>,
        name: impl Fn() -> String,
    ) -> Option<Reseal<'r>> {
        if seal.is_none() {
            self.resealed.broken.push(name());
        }
        seal.map(|seal| Reseal { row, before, seal })
    }

    fn change_mac<'r>(
        &mut self,
        row: SealedRow<'r>,
        before: &'r Option<RowSeal>,
        seal: Option<RowSeal>,
        name: impl Fn() -> String,
    ) -> Option<Reseal<'r>> {
        let before = before.as_ref().map_or("", |seal| seal.mac.as_str());
        self.change(row, before, seal.map(|seal| seal.mac), name)
    }

    /// Puts new seals into their rows, a portion at a time. A row that another process wrote meanwhile stays as it was written.
    async fn put(&mut self, seals: Vec<Reseal<'_>>) -> Result<(), ResealError> {
        for portion in seals.chunks(usize::from(BATCH)) {
            let done = self.store.reseal(self.newest.epoch(), portion).await?;
            self.resealed.done = self.resealed.done.saturating_add(done);
        }
        Ok(())
    }
}
