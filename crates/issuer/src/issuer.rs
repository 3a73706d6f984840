//! The issuer at work: the state that every decision is made with.

use super::audit::writer::AuditWriter;
use super::token_signer::TokenSigner;
use bmap_model::account::password::PasswordCost;
use bmap_model::api_key::{KeyScope, KeyState, SealedApiKey};
use bmap_model::audit::chain::ChainKeys;
use bmap_model::audit::{Action, Event, Source, Target};
use bmap_model::clock::{UnixTime, WallClock};
use bmap_model::issuer_key::{self, IssuerKeyError, SealedIssuerKey};
use bmap_model::page_origin::OriginRules;
use bmap_model::rng::{self, NoRandomness, Random};
use bmap_model::role::{Role, UnverifiedRole};
use bmap_model::roots::Roots;
use bmap_model::user::{User, UserName, UserState};
use bmap_protocol::api_key::ApiSecret;
use bmap_protocol::ids::{ApiKeyId, Issuer as IssuerUrl, UserId};
use bmap_protocol::seal::{ApiKeyRow, SealError, SigningKind};
use bmap_store::{Database, StoreError};
use std::sync::Arc;

/// How long things live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lives {
    /// A tool token, in seconds; at most 600.
    pub token_seconds: i64,
    /// A session, in seconds: the longest that a page's tokens are renewed.
    pub session_seconds: i64,
    /// How long a used refresh token still gives its successor, in seconds: two tabs, a lost answer. 0: not at all.
    pub refresh_grace_seconds: i64,
}

impl Default for Lives {
    fn default() -> Self {
        Self { token_seconds: 300, session_seconds: 12 * 3600, refresh_grace_seconds: 10 }
    }
}

/// The state that every decision is made with.
pub struct Issuer {
    /// Its exact public URL.
    pub url: IssuerUrl,
    /// Storage.
    pub store: Database,
    /// Records tokens and refusals. A change of the database records itself.
    pub audit: AuditWriter,
    /// The root secrets, for sealing, opening and minting.
    pub roots: Roots,
    /// Signs tokens.
    pub signer: TokenSigner,
    /// Public keys of every issuer key in use, newest first.
    pub public_keys: Vec<SealedIssuerKey>,
    /// The clock.
    pub clock: Arc<dyn WallClock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// How long things live.
    pub lives: Lives,
    /// The rules for origins of pages that may be registered.
    pub origin_rules: OriginRules,
    /// What new hashes of passwords cost.
    pub password_cost: PasswordCost,
    /// A key whose secret no caller has: an unknown key id is checked against it, so that it costs what a known one
    /// costs (T23).
    pub(super) decoy: SealedApiKey,
}

/// Something that can't be made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// No randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The scope is too large to be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The issuer's key can't be made or used.
    #[error(transparent)]
    IssuerKey(#[from] IssuerKeyError),
}

impl Issuer {
    /// Opens the issuer's key, and makes it where there is none.
    ///
    /// # Errors
    /// [`MakeError`], above all for a root secret that is not the one that sealed the key.
    pub async fn open(
        url: IssuerUrl,
        store: Database,
        roots: impl Into<Roots>,
        clock: Arc<dyn WallClock>,
        random: Arc<dyn Random>,
        lives: Lives,
    ) -> Result<Self, MakeError> {
        let roots = roots.into();
        let store = store.recording(ChainKeys::new(roots.clone()));
        let public_keys = issuer_keys(&store, &roots, clock.now(), &*random).await?;
        let newest = public_keys.first().ok_or(IssuerKeyError::OtherKey)?;
        let signer = TokenSigner::open(newest, &roots)?;
        let owner = UserId::from_uuid(rng::bytes(&*random)?);
        let (decoy, _) = new_api_key(
            &roots,
            clock.now(),
            &*random,
            NewApiKey {
                owner,
                name: UserName::parse("decoy").map_err(|_| IssuerKeyError::OtherKey)?,
                signing: SigningKind::HmacSha256,
                scope: &KeyScope::default(),
            },
        )?;
        let audit = AuditWriter::start(store.clone(), Arc::clone(&clock));
        Ok(Self {
            url,
            store,
            audit,
            roots,
            signer,
            public_keys,
            clock,
            random,
            lives,
            origin_rules: OriginRules::default(),
            password_cost: PasswordCost::default(),
            decoy,
        })
    }

    /// The same, where pages of other origins may be registered too.
    #[must_use]
    pub fn with_origin_rules(self, origin_rules: OriginRules) -> Self {
        Self { origin_rules, ..self }
    }

    /// The same, with another cost of new hashes of passwords: for tests of other things.
    #[must_use]
    pub fn with_password_cost(self, password_cost: PasswordCost) -> Self {
        Self { password_cost, ..self }
    }
}

/// The issuer keys in use, newest first; makes the first one. A row that does not open is not used: its key would be
/// published, and given to tools, for the attacker who wrote it (T13).
///
/// # Errors
/// [`MakeError`], above all for a root secret that opens none of them.
pub async fn issuer_keys(
    store: &Database,
    roots: &Roots,
    now: UnixTime,
    random: &dyn Random,
) -> Result<Vec<SealedIssuerKey>, MakeError> {
    let mut keys = store.issuer_keys().await?;
    if keys.is_empty() {
        store.add_issuer_key(&issuer_key::generate(&roots.sealing(), now, random)?).await?;
        // Read again: where two processes were first at once, both settle on the same order.
        keys = store.issuer_keys().await?;
    }
    let (mut opened, mut broken) = (Vec::new(), Vec::new());
    for key in keys {
        match key.open(roots) {
            Ok(_) => opened.push(key),
            Err(fault) => broken.push((key, fault)),
        }
    }
    if opened.is_empty() {
        return Err(broken.first().map_or(IssuerKeyError::OtherKey, |(_, fault)| *fault).into());
    }
    for (key, fault) in broken {
        tracing::error!(kid = key.kid, "ALARM: an issuer key is not as it was written, and is not used: {fault}");
    }
    Ok(opened)
}

/// A new active user, who is no admin.
///
/// # Errors
/// [`NoRandomness`].
pub fn new_user(name: UserName, now: UnixTime, random: &dyn Random) -> Result<User, NoRandomness> {
    Ok(User {
        id: UserId::from_uuid(rng::uuid_v7(now, random)?),
        name,
        state: UserState::Active,
        unverified_role: UnverifiedRole::member(),
        created_at: now,
    })
}

/// A new API key, not made yet.
#[derive(Clone, Debug)]
pub struct NewApiKey<'a> {
    /// Its user.
    pub owner: UserId,
    /// Its name.
    pub name: UserName,
    /// How it signs.
    pub signing: SigningKind,
    /// Its rights.
    pub scope: &'a KeyScope,
}

/// Makes an API key: the row to store, and the secret to show once.
///
/// # Errors
/// [`MakeError`] without randomness, or for a scope that is too large.
pub fn new_api_key(
    roots: &Roots,
    now: UnixTime,
    random: &dyn Random,
    new: NewApiKey<'_>,
) -> Result<(SealedApiKey, ApiSecret), MakeError> {
    let id = ApiKeyId::from_uuid(rng::uuid_v7(now, random)?);
    seal_new_secret(roots, random, id, now, new)
}

/// Makes a secret for a key id, and the row that goes with it.
///
/// # Errors
/// [`MakeError`] without randomness, or for a scope that is too large.
pub fn seal_new_secret(
    roots: &Roots,
    random: &dyn Random,
    id: ApiKeyId,
    created_at: UnixTime,
    new: NewApiKey<'_>,
) -> Result<(SealedApiKey, ApiSecret), MakeError> {
    let epoch = roots.sealing();
    let secret = ApiSecret::from_bytes(rng::bytes(random)?);
    let scope = new.scope.to_canonical();
    let stored_hash = secret.stored_hash(&id);
    let row = ApiKeyRow {
        epoch: epoch.epoch(),
        key_id: &id,
        signing: new.signing,
        owner: &new.owner,
        scope: &scope,
        stored_hash: &stored_hash,
    };
    let nonce = rng::bytes(random)?;
    let sealed = match new.signing {
        SigningKind::HmacSha256 => row.seal(&epoch.kek(), nonce, secret.signing_key(&id).expose())?,
        SigningKind::Ed25519 => row.seal(&epoch.kek(), nonce, &secret.ed25519_seed(&id).public_key())?,
    };
    let key = SealedApiKey {
        id,
        owner: new.owner,
        name: new.name,
        signing: new.signing,
        epoch: epoch.epoch(),
        scope,
        stored_hash,
        sealed,
        created_at,
        state: KeyState::Active,
    };
    Ok((key, secret))
}

/// The audit log's event of a new user.
pub fn user_created(user: &User, source: &Source) -> Event {
    Event::done(Action::UserCreate, source, user.created_at).on(&user.id).with("name", &user.name)
}

/// The audit log's event of a new API key.
pub fn key_created(key: &SealedApiKey, scope: &KeyScope, source: &Source) -> Event {
    let target = Target::ApiKey { key: key.id.clone(), owner: key.owner.clone() };
    let event = Event::done(Action::ApiKeyCreate, source, key.created_at).on(target);
    scope.told(event.with("name", &key.name).with("signing", key.signing.as_str()))
}

/// Adds the first user, `admin`, who is one, with an API key for every tool; `None` if it was made before.
///
/// # Errors
/// [`MakeError`].
pub async fn first_credential(
    store: &Database,
    roots: &Roots,
    now: UnixTime,
    random: &dyn Random,
) -> Result<Option<(SealedApiKey, ApiSecret)>, MakeError> {
    use bmap_model::api_key::ToolSet;
    let name = UserName::parse("admin").map_err(|_| IssuerKeyError::OtherKey)?;
    if store.user_by_name(&name).await?.is_some() {
        return Ok(None);
    }
    let mut user = new_user(name, now, random)?;
    user.unverified_role = UnverifiedRole::seal(roots, &user.id, Role::Admin);
    let scope = KeyScope { tools: ToolSet::Any, administer: true, ..KeyScope::default() };
    let (owner, name) = (user.id.clone(), user.name.clone());
    let new = NewApiKey { owner, name, signing: SigningKind::HmacSha256, scope: &scope };
    let (key, secret) = new_api_key(roots, now, random, new)?;
    let source = Source::system();
    let user_event = user_created(&user, &source).with("role", &Role::Admin);
    // Together: a user without the key would be the end of first starts, and no person could sign in as that user.
    match store.add_user_with_key(&user, &key, &scope, [&user_event, &key_created(&key, &scope, &source)]).await {
        Ok(()) => Ok(Some((key, secret))),
        Err(StoreError::Taken { .. }) => Ok(None), // another process was first
        Err(error) => Err(error.into()),
    }
}
