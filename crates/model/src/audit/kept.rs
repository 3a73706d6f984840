//! The chain's keys of older epochs, kept sealed in the newest: so that entries which were written under a root secret can
//! be checked when that root is gone (docs/root.md).

use crate::roots::Roots;
use bmap_protocol::keys::EpochKeys;
use bmap_protocol::seal::{self, SealError};
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

impl KeptKey {
    /// Seals the key of an older epoch in the newest.
    ///
    /// # Errors
    /// [`SealError`], to which nothing of this size comes.
    pub fn sealed(epoch: u32, key: &[u8; 32], newest: &EpochKeys, nonce: [u8; 12]) -> Result<Self, SealError> {
        let sealed = seal::seal(&sealing_key(newest), newest.epoch(), nonce, &associated_data(epoch), key)?;
        Ok(Self { epoch, sealed_epoch: newest.epoch(), sealed })
    }

    /// The key; `None` where the root that it is sealed in is not at hand, or the row was edited.
    pub fn open(&self, roots: &Roots) -> Option<Zeroizing<[u8; 32]>> {
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
