//! Keeping the chain's keys of older epochs (docs/root.md).

use bmap_model::audit::chain::{ChainKeys, key_bytes};
use bmap_model::audit::kept::KeptKey;
use bmap_model::rng::{self, NoRandomness, Random};
use bmap_model::roots::Roots;
use bmap_protocol::seal::SealError;
use bmap_store::{Database, StoreError};
use zeroize::Zeroizing;

/// A key was not kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// It could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Seals the key of every epoch before the newest in the newest, if its root is at hand or it was kept before.
///
/// # Errors
/// [`KeepError`].
pub async fn keep(store: &Database, roots: &Roots, random: &dyn Random) -> Result<(), KeepError> {
    let newest = roots.sealing();
    let before = store.audit_keys().await?;
    let at_hand = roots.all().into_iter().map(|root| (root.epoch(), Zeroizing::new(key_bytes(&root))));
    let kept = before.iter().filter(|kept| roots.of(kept.epoch).is_none());
    let kept = kept.filter_map(|kept| Some((kept.epoch, kept.open(roots)?)));
    for (epoch, key) in at_hand.chain(kept).filter(|(epoch, _)| *epoch < newest.epoch()) {
        if before.iter().any(|kept| kept.epoch == epoch && kept.sealed_epoch == newest.epoch()) {
            continue;
        }
        store.keep_audit_key(&KeptKey::sealed(epoch, &key, &newest, rng::bytes(random)?)?).await?;
    }
    Ok(())
}

/// The keys that follow from these roots, and those that were kept.
///
/// # Errors
/// [`StoreError`].
pub async fn keys(store: &Database, roots: &Roots) -> Result<ChainKeys, StoreError> {
    let kept = store.audit_keys().await?;
    let opened = kept.iter().filter_map(|kept| Some((kept.epoch, kept.open(roots)?)));
    Ok(opened.fold(ChainKeys::new(roots.clone()), |keys, (epoch, key)| keys.and_kept(epoch, &key)))
}
