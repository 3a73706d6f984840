//! The chain's keys of older epochs, kept sealed in the newest: so that entries which were written under a root secret can
//! be checked when that root is gone (docs/root.md).

use super::chain::{ChainKeys, key_bytes};
use crate::domain::reseal::ResealError;
use crate::domain::roots::Roots;
use crate::rng::{self, Random};
use crate::store::{AuditLog, StoreError};
use bmap_protocol::keys::EpochKeys;
use bmap_protocol::seal;
use zeroize::Zeroizing;

/// The key of an older epoch, as it is stored.
#[derive(Clone, Debug)]
pub struct KeptKey {
    /// Its epoch.
    pub epoch: u32,
    /// The epoch that it is sealed in.
    pub sealed_epoch: u32,
    /// It, sealed.
    pub sealed: String,
}

/// Seals the key of every epoch before the newest in the newest, if its root is at hand or it was kept before.
///
/// # Errors
/// [`ResealError`].
pub async fn keep(store: &impl AuditLog, roots: &Roots, random: &dyn Random) -> Result<(), ResealError> {
    let newest = roots.sealing();
    let before = store.audit_keys().await?;
    let at_hand = roots.all().into_iter().map(|root| (root.epoch(), Zeroizing::new(key_bytes(&root))));
    let kept = before.iter().filter(|kept| roots.of(kept.epoch).is_none());
    let kept = kept.filter_map(|kept| Some((kept.epoch, kept.open(roots)?)));
    for (epoch, key) in at_hand.chain(kept).filter(|(epoch, _)| *epoch < newest.epoch()) {
        if before.iter().any(|kept| kept.epoch == epoch && kept.sealed_epoch == newest.epoch()) {
            continue;
        }
        let nonce = rng::bytes(random)?;
        let sealed = seal::seal(&sealing_key(&newest), newest.epoch(), nonce, &associated_data(epoch), &*key)?;
        store.keep_audit_key(&KeptKey { epoch, sealed_epoch: newest.epoch(), sealed }).await?;
    }
    Ok(())
}

/// The keys that follow from these roots, and those that were kept.
///
/// # Errors
/// [`StoreError`].
pub async fn keys(store: &impl AuditLog, roots: &Roots) -> Result<ChainKeys, StoreError> {
    let kept = store.audit_keys().await?;
    let opened = kept.iter().filter_map(|kept| Some((kept.epoch, kept.open(roots)?)));
    Ok(opened.fold(ChainKeys::new(roots.clone()), |keys, (epoch, key)| keys.and_kept(epoch, &key)))
}

impl KeptKey {
    /// The key; `None` where the root that it is sealed in is not at hand, or the row was edited.
    fn open(&self, roots: &Roots) -> Option<Zeroizing<[u8; 32]>> {
        let root = roots.of(self.sealed_epoch)?;
        let opened = seal::open(&sealing_key(&root), self.sealed_epoch, &associated_data(self.epoch), &self.sealed);
        let key: [u8; 32] = opened.ok()?.as_slice().try_into().ok()?;
        Some(Zeroizing::new(key))
    }
}

fn sealing_key(root: &EpochKeys) -> bmap_protocol::keys::KeyEncryptionKey {
    root.storage_key("audit keys of older epochs")
}

fn associated_data(epoch: u32) -> Vec<u8> {
    format!("bmap/1/audit-key\n{epoch}").into_bytes()
}
