//! The change of what is sealed from one root to the next. Every step is one row, compared and set: two processes that do it
//! at once, or one that is killed, leave each row whole in one epoch or the other.

use super::api_key::SealedApiKey;
use super::audit;
use super::issuer_key::SealedIssuerKey;
use super::role::UnverifiedRole;
use super::roots::Roots;
use crate::rng::{self, NoRandomness, Random};
use crate::store::{Database, Epochs, IssuerKeys, StoreError, Users};
use bmap_protocol::keys::EpochKeys;
use bmap_protocol::seal::SealError;

/// Rows that are read at once.
const BATCH: u16 = 100;

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Rows that are sealed in the newest epoch now.
    pub done: u64,
    /// Rows that do not open, so that nothing is lost by leaving them: edited by hand, or of a root that is not at hand.
    pub broken: Vec<String>,
}

/// It could not go on; what is done is done, and another run goes on there.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// It could not be sealed again.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Seals in the newest epoch whatever is sealed in an earlier one and stays: API keys with their former secrets, the issuer's keys,
/// the roles of admins, the audit log's keys. `progress` hears the number of rows after each batch.
///
/// # Errors
/// [`ResealError`].
pub async fn reseal(
    store: &Database,
    roots: &Roots,
    random: &dyn Random,
    mut progress: impl FnMut(&Resealed),
) -> Result<Resealed, ResealError> {
    let newest = roots.sealing();
    let mut resealed = Resealed::default();
    audit::kept::keep(store, roots, random).await?;
    for key in store.issuer_keys().await?.iter().filter(|key| key.epoch < newest.epoch()) {
        match issuer_key(key, roots, &newest, random)? {
            Some(sealed) => {
                let was_there = store.reseal_issuer_key(key, newest.epoch(), &sealed).await?;
                resealed.done = resealed.done.saturating_add(was_there.into());
            }
            None => resealed.broken.push(key.kid.clone()),
        }
    }
    for user in store.users().await? {
        let before = &user.unverified_role;
        if before.epoch.is_none_or(|epoch| epoch >= i64::from(newest.epoch())) {
            continue;
        }
        match before.open(roots, &user.id) {
            Ok(role) => {
                let was_there = store.reseal_role(&user, &UnverifiedRole::seal(roots, &user.id, role)).await?;
                resealed.done = resealed.done.saturating_add(was_there.into());
            }
            Err(_) => resealed.broken.push(format!("{} (its role)", user.id)),
        }
    }
    let mut after = None;
    loop {
        let keys = store.former_before(newest.epoch(), after.as_ref(), BATCH).await?;
        for key in &keys {
            match api_key(key, roots, &newest, random)? {
                Some(sealed) => {
                    let was_there = store.reseal_former(key, newest.epoch(), &sealed).await?;
                    resealed.done = resealed.done.saturating_add(was_there.into());
                }
                None => resealed.broken.push(format!("{} (its former secret)", key.id)),
            }
        }
        match keys.into_iter().last() {
            Some(last) => after = Some(last.id),
            None => break,
        }
    }
    let mut after = None;
    loop {
        let keys = store.api_keys_before(newest.epoch(), after.as_ref(), BATCH).await?;
        for key in &keys {
            match api_key(key, roots, &newest, random)? {
                Some(sealed) => {
                    let was_there = store.reseal_api_key(key, newest.epoch(), &sealed).await?;
                    resealed.done = resealed.done.saturating_add(was_there.into());
                }
                None => resealed.broken.push(key.id.to_string()),
            }
        }
        progress(&resealed);
        // By id and not by what is left: a row that does not open stays where it is.
        match keys.into_iter().last() {
            Some(last) => after = Some(last.id),
            None => return Ok(resealed),
        }
    }
}

/// The key's material in the newest epoch; `None` if it does not open.
fn api_key(
    key: &SealedApiKey,
    roots: &Roots,
    newest: &EpochKeys,
    random: &dyn Random,
) -> Result<Option<String>, ResealError> {
    let Some(epoch) = roots.of(key.epoch) else { return Ok(None) };
    let Ok(material) = key.row().open(&epoch.kek(), &key.sealed) else { return Ok(None) };
    let mut row = key.row();
    row.epoch = newest.epoch();
    Ok(Some(row.seal(&newest.kek(), rng::bytes(random)?, &material)?))
}

fn issuer_key(
    key: &SealedIssuerKey,
    roots: &Roots,
    newest: &EpochKeys,
    random: &dyn Random,
) -> Result<Option<String>, ResealError> {
    let Some(epoch) = roots.of(key.epoch) else { return Ok(None) };
    let Ok(seed) = key.unseal(&epoch) else { return Ok(None) };
    Ok(Some(key.seal(newest, rng::bytes(random)?, &seed)?))
}
