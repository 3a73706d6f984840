//! What was seen: each (keyid, nonce) once (profile §5, step 11).
//!
//! The store in memory is for one process. It is sharded by key, and in each shard every structure has its full size
//! from the start, so it never grows: a shard that is full refuses (503), and one key can't take more than its share
//! (429), so that a heavy user is slowed before everybody is refused (T26). Records lie in lists by the second in which
//! they end; ending a second costs what was recorded in it.

use bmap_protocol::check::Window;
use bmap_protocol::refusal::Refusal;
use hashbrown::HashTable;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

/// One use of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The 16 bytes behind a token's `jti` or an API key's id.
    pub key: [u8; 16],
    /// The signature's `nonce`.
    pub nonce: [u8; 16],
    /// Until when the record must live, seconds since 1970; see [`Window::record_until`].
    pub until: i64,
}

/// Remembers what was seen. Full or out of reach is an error, never "allow".
pub trait ReplayStore: Send + Sync + 'static {
    /// Records a first use; `now` is in seconds since 1970.
    ///
    /// # Errors
    /// [`Refusal::Replayed`], [`Refusal::RateLimited`] for a key over its share, [`Refusal::ReplayStoreUnavailable`].
    fn record(&self, record: Record, now: i64) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// The second before and in which the store may have forgotten what was seen: a store in memory knows nothing of
    /// the time before its start. `None` for a store that outlives the process.
    fn forgot_until(&self) -> Option<i64>;
}

/// Bounds of [`MemoryReplayStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayLimits {
    /// Most live records. At most 64 bytes each, all of it reserved at the start and touched as it fills.
    pub entries: u32,
    /// Most live records of one key.
    pub per_key: u32,
}

impl Default for ReplayLimits {
    /// 262,144 records in at most 17 MiB, of which one key may have 16,384: about 4,000 requests/s over all, 250 for
    /// one token.
    fn default() -> Self {
        Self { entries: 1 << 18, per_key: 1 << 14 }
    }
}

/// The replay store of one process.
#[derive(Debug)]
pub struct MemoryReplayStore {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    started: i64,
    per_key: u32,
}

/// Enough for many cores, few enough that keys spread evenly over them.
const SHARDS: u32 = 16;
const NONE: u32 = u32::MAX;

/// Records and keys of one part of all keys. Indices are `u32`, to keep a record at 24 bytes.
#[derive(Debug)]
struct Shard {
    records: Vec<Slot>,
    free_record: u32,
    by_nonce: HashTable<u32>,
    keys: Vec<Key>,
    free_key: u32,
    by_key: HashTable<u32>,
    /// For each second modulo the ring's length, the first record that ends in it.
    ends: Box<[u32]>,
    /// All seconds until this one have been ended.
    ended: i64,
    capacity: u32,
}

#[derive(Debug)]
struct Slot {
    nonce: [u8; 16],
    key: u32,
    next: u32,
}

#[derive(Debug)]
struct Key {
    id: [u8; 16],
    /// Live records; in a free slot the next free one.
    live: u32,
}

impl MemoryReplayStore {
    /// A store that begins at `started`, seconds since 1970, for requests within `window`.
    pub fn new(limits: ReplayLimits, window: Window, started: i64) -> Self {
        // A request may be `future` ahead and `past` behind, and its record lives on for `past + future + 1`.
        let ring = window.past.saturating_add(window.future.saturating_mul(2)).saturating_add(2);
        // Keys do not spread perfectly: an eighth more for small stores, 2 % for large ones.
        let share = limits.entries.div_ceil(SHARDS);
        let slack = (share / 50).max(64).min(share.max(1));
        let capacity = share.saturating_add(slack);
        let shard = || Mutex::new(Shard::new(capacity, ring, started));
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher: RandomState::new(),
            started,
            per_key: limits.per_key.max(1),
        }
    }

    /// What the store can take up at the most, in bytes.
    pub fn max_bytes(&self) -> usize {
        self.shards.iter().fold(0_usize, |sum, shard| {
            sum.saturating_add(shard.lock().unwrap_or_else(PoisonError::into_inner).max_bytes())
        })
    }

    /// Live records.
    pub fn len(&self) -> usize {
        self.shards.iter().fold(0_usize, |sum, shard| {
            sum.saturating_add(shard.lock().unwrap_or_else(PoisonError::into_inner).by_nonce.len())
        })
    }

    /// Whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Records a first use, at once.
    ///
    /// # Errors
    /// As [`ReplayStore::record`].
    pub fn record_now(&self, record: &Record, now: i64) -> Result<(), Refusal> {
        let key_hash = self.hasher.hash_one(record.key);
        let index = usize::try_from(key_hash >> 32).unwrap_or(0).checked_rem(self.shards.len()).unwrap_or(0);
        let shard = self.shards.get(index).ok_or(Refusal::ReplayStoreUnavailable)?;
        shard.lock().unwrap_or_else(PoisonError::into_inner).record(record, now, key_hash, self.per_key, &self.hasher)
    }
}

impl ReplayStore for MemoryReplayStore {
    async fn record(&self, record: Record, now: i64) -> Result<(), Refusal> {
        self.record_now(&record, now)
    }

    fn forgot_until(&self) -> Option<i64> {
        Some(self.started)
    }
}

impl Shard {
    fn new(capacity: u32, ring: u32, started: i64) -> Self {
        let size = usize::try_from(capacity).unwrap_or(usize::MAX);
        Self {
            records: Vec::with_capacity(size),
            free_record: NONE,
            by_nonce: HashTable::with_capacity(size),
            keys: Vec::with_capacity(size),
            free_key: NONE,
            by_key: HashTable::with_capacity(size),
            ends: vec![NONE; usize::try_from(ring).unwrap_or(1)].into_boxed_slice(),
            ended: started,
            capacity,
        }
    }

    fn max_bytes(&self) -> usize {
        let parts = [
            self.records.capacity().saturating_mul(size_of::<Slot>()),
            self.keys.capacity().saturating_mul(size_of::<Key>()),
            self.by_nonce.allocation_size(),
            self.by_key.allocation_size(),
            size_of_val(&*self.ends),
        ];
        parts.into_iter().fold(size_of::<Self>(), usize::saturating_add)
    }

    fn record(
        &mut self,
        record: &Record,
        now: i64,
        key_hash: u64,
        per_key: u32,
        hasher: &RandomState,
    ) -> Result<(), Refusal> {
        self.end_seconds(now, hasher);
        let end = self.end_slot(record.until)?;
        let keys = &self.keys;
        let known_key =
            self.by_key.find(key_hash, |index| key_at(keys, *index).is_some_and(|key| key.id == record.key));
        if let Some(&key) = known_key {
            let records = &self.records;
            let same = |index: &u32| {
                slot_at(records, *index).is_some_and(|slot| slot.key == key && slot.nonce == record.nonce)
            };
            if self.by_nonce.find(nonce_hash(hasher, key, &record.nonce), same).is_some() {
                return Err(Refusal::Replayed);
            }
            if key_at(&self.keys, key).is_some_and(|key| key.live >= per_key) {
                return Err(Refusal::RateLimited { retry_after: 5 });
            }
        }
        if self.by_nonce.len() >= usize::try_from(self.capacity).unwrap_or(usize::MAX) {
            return Err(Refusal::ReplayStoreUnavailable);
        }
        let key = match known_key {
            Some(&key) => key,
            None => self.add_key(record.key, key_hash, hasher)?,
        };
        self.add_record(key, record.nonce, end, hasher)
    }

    /// Ends every second up to `now`. Time that goes back ends nothing.
    fn end_seconds(&mut self, now: i64, hasher: &RandomState) {
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
                index = self.remove_record(index, hasher);
            }
        }
    }

    /// The ring's place for a record that ends at `until`; one outside the ring would end at the wrong time.
    fn end_slot(&self, until: i64) -> Result<usize, Refusal> {
        let ring = i64::try_from(self.ends.len()).unwrap_or(1);
        if until <= self.ended || until > self.ended.saturating_add(ring) {
            return Err(Refusal::ReplayStoreUnavailable);
        }
        Ok(usize::try_from(until.rem_euclid(ring)).unwrap_or(0))
    }

    fn add_key(&mut self, id: [u8; 16], key_hash: u64, hasher: &RandomState) -> Result<u32, Refusal> {
        let index = match key_at(&self.keys, self.free_key) {
            Some(free) => std::mem::replace(&mut self.free_key, free.live),
            None if self.keys.len() < self.keys.capacity() => {
                self.keys.push(Key { id, live: 0 });
                u32::try_from(self.keys.len().saturating_sub(1)).unwrap_or(NONE)
            }
            None => return Err(Refusal::ReplayStoreUnavailable),
        };
        let key = key_at_mut(&mut self.keys, index).ok_or(Refusal::ReplayStoreUnavailable)?;
        *key = Key { id, live: 0 };
        let keys = &self.keys;
        insert_without_growth(&mut self.by_key, key_hash, index, |index| {
            hasher.hash_one(key_at(keys, *index).map_or([0; 16], |key| key.id))
        });
        Ok(index)
    }

    fn add_record(&mut self, key: u32, nonce: [u8; 16], end: usize, hasher: &RandomState) -> Result<(), Refusal> {
        let end = self.ends.get_mut(end).ok_or(Refusal::ReplayStoreUnavailable)?;
        let slot = Slot { nonce, key, next: *end };
        let index = match slot_at(&self.records, self.free_record) {
            Some(free) => {
                let index = std::mem::replace(&mut self.free_record, free.next);
                *slot_at_mut(&mut self.records, index).ok_or(Refusal::ReplayStoreUnavailable)? = slot;
                index
            }
            None if self.records.len() < self.records.capacity() => {
                self.records.push(slot);
                u32::try_from(self.records.len().saturating_sub(1)).unwrap_or(NONE)
            }
            None => return Err(Refusal::ReplayStoreUnavailable),
        };
        *end = index;
        if let Some(key) = key_at_mut(&mut self.keys, key) {
            key.live = key.live.saturating_add(1);
        }
        let records = &self.records;
        insert_without_growth(&mut self.by_nonce, nonce_hash(hasher, key, &nonce), index, |index| {
            slot_at(records, *index).map_or(0, |slot| nonce_hash(hasher, slot.key, &slot.nonce))
        });
        Ok(())
    }

    /// Frees a record, and its key with the key's last one; returns the next record that ends with it.
    fn remove_record(&mut self, index: u32, hasher: &RandomState) -> u32 {
        let Some(slot) = slot_at_mut(&mut self.records, index) else { return NONE };
        let (nonce, key, next) = (slot.nonce, slot.key, slot.next);
        slot.next = std::mem::replace(&mut self.free_record, index);
        if let Ok(entry) = self.by_nonce.find_entry(nonce_hash(hasher, key, &nonce), |other| *other == index) {
            entry.remove();
        }
        if let Some(entry) = key_at_mut(&mut self.keys, key) {
            entry.live = entry.live.saturating_sub(1);
            if entry.live == 0 {
                entry.live = std::mem::replace(&mut self.free_key, key);
                let hash = hasher.hash_one(entry.id);
                if let Ok(entry) = self.by_key.find_entry(hash, |other| *other == key) {
                    entry.remove();
                }
            }
        }
        next
    }
}

/// Inserts into a table that has its full size. What is removed can leave marks behind that use up room; a table that
/// grew then would break the bound on bytes, so it is laid anew instead.
fn insert_without_growth(table: &mut HashTable<u32>, hash: u64, index: u32, hash_of: impl Fn(&u32) -> u64) {
    if table.capacity() == table.len() {
        let live: Vec<u32> = table.iter().copied().collect();
        table.clear();
        for index in live {
            table.insert_unique(hash_of(&index), index, &hash_of);
        }
    }
    table.insert_unique(hash, index, hash_of);
}

/// Keyed, so that nobody can choose nonces that fall together (T25).
fn nonce_hash(hasher: &RandomState, key: u32, nonce: &[u8; 16]) -> u64 {
    hasher.hash_one((key, u128::from_le_bytes(*nonce)))
}

fn slot_at(records: &[Slot], index: u32) -> Option<&Slot> {
    records.get(usize::try_from(index).ok()?)
}

fn slot_at_mut(records: &mut [Slot], index: u32) -> Option<&mut Slot> {
    records.get_mut(usize::try_from(index).ok()?)
}

fn key_at(keys: &[Key], index: u32) -> Option<&Key> {
    keys.get(usize::try_from(index).ok()?)
}

fn key_at_mut(keys: &mut [Key], index: u32) -> Option<&mut Key> {
    keys.get_mut(usize::try_from(index).ok()?)
}
