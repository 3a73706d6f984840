//! All keys that have live records, over their shards.

use super::hash::Seed;
use super::key_shard::{KeyShard, NONE};
use super::shards::{at_shard, lock};
use crate::sync::Mutex;

/// The keys that have live records.
#[derive(Debug)]
pub(super) struct KeyShards {
    shards: Box<[Mutex<KeyShard>]>,
}

impl KeyShards {
    /// No keys, with room for `capacity` in each shard.
    pub(super) fn new(shards: u32, capacity: usize, seed: Seed) -> Self {
        Self { shards: (0..shards.max(1)).map(|_| Mutex::new(KeyShard::new(capacity, seed))).collect() }
    }

    pub(super) fn max_bytes(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).max_bytes()).fold(0, usize::saturating_add)
    }

    /// Counts one more record for a key: the number that its records bear, and how many live with this one.
    /// `None` where there is no room for another key.
    pub(super) fn enter(&self, id: &[u8; 16], seed: Seed) -> Option<(u32, u32)> {
        let hashed = seed.of_key(id);
        let (slot, live) = lock(at_shard(&self.shards, hashed.shard)?).enter(id, hashed.place)?;
        // The shard stands in the low bits, so that a record finds its key again.
        let shards = u32::try_from(self.shards.len()).ok()?;
        Some((slot.checked_mul(shards)?.checked_add(hashed.shard.checked_rem(shards)?)?, live))
    }

    /// Records that a key has now.
    pub(super) fn live(&self, key: u32) -> u32 {
        self.slot(key).map_or(0, |(shard, slot)| lock(shard).live(slot))
    }

    /// Counts one record less; the last one frees the key.
    pub(super) fn leave(&self, key: u32) {
        if let Some((shard, slot)) = self.slot(key) {
            lock(shard).leave(slot);
        }
    }

    fn slot(&self, key: u32) -> Option<(&Mutex<KeyShard>, u32)> {
        if key == NONE {
            return None;
        }
        let shards = u32::try_from(self.shards.len()).ok()?;
        Some((at_shard(&self.shards, key)?, key.checked_div(shards)?))
    }
}
