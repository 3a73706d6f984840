//! The records themselves, in lists by the second in which they end: ending a second costs what was recorded in it.

use super::slots::{NONE, at, at_mut, insert_without_growth, push, remove};
use super::{Keys, Record};
use bmap_protocol::refusal::Refusal;
use hashbrown::HashTable;

#[derive(Debug)]
pub(super) struct NonceShard {
    slots: Vec<Slot>,
    free: u32,
    by_nonce: HashTable<u32>,
    /// For each second modulo the ring's length, the first record that ends in it.
    ends: Box<[u32]>,
    /// All seconds until this one have been ended.
    ended: i64,
    capacity: usize,
}

/// 24 bytes.
#[derive(Debug)]
struct Slot {
    nonce: [u8; 16],
    key: u32,
    /// The next record that ends in the same second; in a free slot the next free one.
    next: u32,
}

impl NonceShard {
    pub(super) fn new(capacity: u32, ring: u32, started: i64) -> Self {
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        Self {
            slots: Vec::with_capacity(capacity),
            free: NONE,
            by_nonce: HashTable::with_capacity(capacity),
            ends: vec![NONE; usize::try_from(ring).unwrap_or(1)].into_boxed_slice(),
            ended: started,
            capacity,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_nonce.len()
    }

    pub(super) fn max_bytes(&self) -> usize {
        let slots = self.slots.capacity().saturating_mul(size_of::<Slot>());
        let tables = self.by_nonce.allocation_size().saturating_add(size_of_val(&*self.ends));
        size_of::<Self>().saturating_add(slots).saturating_add(tables)
    }

    /// Records a first use. A replay is told from a key over its share, and that from a store that is full.
    pub(super) fn record(
        &mut self,
        record: &Record,
        now: i64,
        key: u32,
        hash: u64,
        over: bool,
        keys: &Keys,
    ) -> Result<(), Refusal> {
        self.end_seconds(now, keys);
        let end = self.end_slot(record.until)?;
        let slots = &self.slots;
        let same = |index: &u32| at(slots, *index).is_some_and(|slot| slot.key == key && slot.nonce == record.nonce);
        if self.by_nonce.find(hash, same).is_some() {
            return Err(Refusal::Replayed);
        }
        if over {
            return Err(Refusal::RateLimited { retry_after: 5 });
        }
        if self.by_nonce.len() >= self.capacity {
            return Err(Refusal::ReplayStoreUnavailable);
        }
        self.add(key, record.nonce, end, hash, keys).ok_or(Refusal::ReplayStoreUnavailable)
    }

    /// Ends every second up to `now`. Time that goes back ends nothing.
    fn end_seconds(&mut self, now: i64, keys: &Keys) {
        if now <= self.ended {
            return;
        }
        let ring = i64::try_from(self.ends.len()).unwrap_or(1);
        let first = self.ended.saturating_add(1).max(now.saturating_sub(ring).saturating_add(1));
        self.ended = now;
        for second in first..=now {
            let slot = usize::try_from(second.rem_euclid(ring)).unwrap_or(0);
            let mut index = self.ends.get_mut(slot).map_or(NONE, |end| std::mem::replace(end, NONE));
            while index != NONE {
                index = self.end_record(index, keys);
            }
        }
    }

    /// Frees a record; the next one that ends with it.
    fn end_record(&mut self, index: u32, keys: &Keys) -> u32 {
        let Some(slot) = at_mut(&mut self.slots, index) else { return NONE };
        let (nonce, key, next) = (slot.nonce, slot.key, slot.next);
        slot.next = std::mem::replace(&mut self.free, index);
        remove(&mut self.by_nonce, keys.nonce_hash(key, &nonce), index);
        keys.leave(key);
        next
    }

    /// The ring's place for a record that ends at `until`; one outside the ring would end at the wrong time.
    fn end_slot(&self, until: i64) -> Result<usize, Refusal> {
        let ring = i64::try_from(self.ends.len()).unwrap_or(1);
        if until <= self.ended || until > self.ended.saturating_add(ring) {
            return Err(Refusal::ReplayStoreUnavailable);
        }
        Ok(usize::try_from(until.rem_euclid(ring)).unwrap_or(0))
    }

    fn add(&mut self, key: u32, nonce: [u8; 16], end: usize, hash: u64, keys: &Keys) -> Option<()> {
        let end = self.ends.get_mut(end)?;
        let slot = Slot { nonce, key, next: *end };
        let index = match at_mut(&mut self.slots, self.free) {
            Some(free) => {
                let index = self.free;
                self.free = std::mem::replace(free, slot).next;
                index
            }
            None => push(&mut self.slots, slot)?,
        };
        *end = index;
        let slots = &self.slots;
        insert_without_growth(&mut self.by_nonce, hash, index, |index| {
            at(slots, *index).map_or(0, |slot| keys.nonce_hash(slot.key, &slot.nonce))
        });
        Some(())
    }
}
