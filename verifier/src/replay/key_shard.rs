//! The keys that have live records, each with their number.

use super::hash_of_key;
use super::slots::{NONE, at, at_mut, insert_without_growth, push, remove};
use hashbrown::HashTable;

#[derive(Debug)]
pub(super) struct KeyShard {
    keys: Vec<Key>,
    free: u32,
    by_id: HashTable<u32>,
}

#[derive(Debug)]
struct Key {
    id: [u8; 16],
    /// Live records; in a free slot the next free one.
    live: u32,
}

impl KeyShard {
    pub(super) fn new(capacity: u32) -> Self {
        let size = usize::try_from(capacity).unwrap_or(usize::MAX);
        Self { keys: Vec::with_capacity(size), free: NONE, by_id: HashTable::with_capacity(size) }
    }

    pub(super) fn max_bytes(&self) -> usize {
        let keys = self.keys.capacity().saturating_mul(size_of::<Key>());
        size_of::<Self>().saturating_add(keys).saturating_add(self.by_id.allocation_size())
    }

    /// Counts one more record; `None` where there is no room for another key.
    pub(super) fn enter(&mut self, id: &[u8; 16], hash: u64) -> Option<(u32, u32)> {
        let keys = &self.keys;
        let known = self.by_id.find(hash, |index| at(keys, *index).is_some_and(|key| key.id == *id)).copied();
        let index = match known {
            Some(index) => index,
            None => self.add(id, hash)?,
        };
        let key = at_mut(&mut self.keys, index)?;
        key.live = key.live.saturating_add(1);
        Some((index, key.live))
    }

    fn add(&mut self, id: &[u8; 16], hash: u64) -> Option<u32> {
        let key = Key { id: *id, live: 0 };
        let index = match at_mut(&mut self.keys, self.free) {
            Some(slot) => {
                let index = self.free;
                self.free = std::mem::replace(slot, key).live;
                index
            }
            None => push(&mut self.keys, key)?,
        };
        let keys = &self.keys;
        insert_without_growth(&mut self.by_id, hash, index, |index| {
            at(keys, *index).map_or(0, |key| hash_of_key(&key.id))
        });
        Some(index)
    }

    /// Records that a key has.
    pub(super) fn live(&self, index: u32) -> u32 {
        at(&self.keys, index).map_or(0, |key| key.live)
    }

    /// Counts one record less; the last one frees the key.
    pub(super) fn leave(&mut self, index: u32) {
        let Some(key) = at_mut(&mut self.keys, index) else { return };
        key.live = key.live.saturating_sub(1);
        if key.live == 0 {
            remove(&mut self.by_id, hash_of_key(&key.id), index);
            key.live = std::mem::replace(&mut self.free, index);
        }
    }
}
