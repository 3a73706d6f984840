//! The table of nonces: which were used, on one clock, within fixed memory.
//!
//! Records are spread over shards by their hash, keys by theirs. A call takes the lock of a record's shard and, within it, that of a key's shard;
//! never the other way round.

use super::hash::Seed;
use super::key_shards::KeyShards;
use super::nonce_shard::{NonceShard, SavedBucket};
use super::record::{Record, ReplayLimits};
use super::shards::{at_shard, lock};
use crate::sync::{AtomicI64, Mutex, Ordering};
use bmap_protocol::check::Window;
use bmap_protocol::refusal::Refusal;

/// Enough for many cores, few enough that records spread evenly.
pub(crate) const SHARDS: u32 = 16;

/// The table.
#[derive(Debug)]
pub(crate) struct Nonces {
    seed: Seed,
    clock: StoreClock,
    shards: Box<[Mutex<NonceShard>]>,
    keys: KeyShards,
    per_key: u32,
}

/// One clock for the whole store: the latest time that any call came with.
///
/// A call whose own time is behind is judged by this one, so a record that ended for one shard ended for all, and time that goes back brings
/// nothing back.
#[derive(Debug)]
struct StoreClock {
    /// The second that times in the table count from.
    base: i64,
    latest: AtomicI64,
}

impl Nonces {
    /// An empty table for requests within `window`, whose times count from `base`, seconds since 1970.
    pub(crate) fn new(limits: ReplayLimits, window: Window, base: i64, seed: Seed, shards: u32) -> Self {
        // A request may be `future` ahead, and its record lives until `past + future + 1` after it was signed.
        let longest = window.past.saturating_add(window.future.saturating_mul(2)).saturating_add(1);
        // Random records do not spread perfectly: a 32nd more is eight standard deviations at a million, 64 is as much for few.
        let share = limits.entries.div_ceil(shards.max(1));
        let capacity = share.saturating_add((share / 32).max(64).min(share.max(1)));
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        Self {
            seed,
            clock: StoreClock { base, latest: AtomicI64::new(base) },
            shards: (0..shards.max(1)).map(|_| Mutex::new(NonceShard::new(capacity, longest))).collect(),
            keys: KeyShards::new(shards, capacity, seed),
            per_key: limits.per_key.max(1),
        }
    }

    pub(crate) fn max_bytes(&self) -> usize {
        let nonces = self.shards.iter().map(|shard| lock(shard).max_bytes());
        let keys = self.keys.max_bytes();
        nonces.chain([keys]).fold(size_of::<Self>(), usize::saturating_add)
    }

    /// Live records, with some that ended a few seconds ago, or since their shard was last used.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().fold(0, |sum, shard| lock(shard).len().saturating_add(sum))
    }

    /// Records a first use; `now` in seconds since 1970.
    ///
    /// # Errors
    /// [`Refusal::Replayed`], [`Refusal::RateLimited`] for a key over its share, [`Refusal::ReplayStoreUnavailable`] where there is no room, and for a
    /// record that ended by the store's clock.
    pub(crate) fn record(&self, record: &Record, now: i64) -> Result<(), Refusal> {
        let hashed = self.seed.of_record(&record.key, &record.nonce);
        let until = self.clock.since_base(record.until);
        let (key, live) = match self.keys.enter(&record.key, self.seed) {
            Some(entered) => entered,
            None => {
                self.end(now);
                self.keys.enter(&record.key, self.seed).ok_or(Refusal::ReplayStoreUnavailable)?
            }
        };
        // A key is not refused for records that have ended and are only not given back yet.
        let over = live > self.per_key && {
            self.end(now);
            self.keys.live(key) > self.per_key
        };
        let recorded = match at_shard(&self.shards, hashed.shard) {
            Some(shard) => {
                let mut shard = lock(shard);
                // The clock is read under the shard's lock, or a thread that read it earlier would look for a record that another one has swept.
                let now = self.clock.advance(now);
                shard.record(hashed, until, now, key, over, &self.keys)
            }
            None => Err(Refusal::ReplayStoreUnavailable),
        };
        if recorded.is_err() {
            self.keys.leave(key);
        }
        recorded
    }

    /// Gives back all that has ended, at most once in a second.
    fn end(&self, now: i64) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            let now = self.clock.advance(now);
            shard.end(now, &self.keys);
        }
    }

    /// The latest time that the store was called with, seconds since 1970.
    pub(crate) fn latest(&self) -> i64 {
        self.clock.latest.load(Ordering::Relaxed)
    }

    /// Takes no record any more, and gives out the records that are live at the latest time, `now` included: each bucket with its shard and its
    /// index there.
    pub(crate) fn close(&self, now: i64, mut each: impl FnMut(usize, usize, SavedBucket)) {
        for (number, shard) in self.shards.iter().enumerate() {
            let mut shard = lock(shard);
            let now = self.clock.advance(now);
            shard.close(now).for_each(|(index, bucket)| each(number, index, bucket));
        }
    }

    /// Puts a saved bucket into a new table; whether there was a place for it.
    pub(crate) fn restore(&self, shard: usize, index: usize, bucket: &SavedBucket) -> bool {
        self.shards.get(shard).is_some_and(|shard| lock(shard).restore(index, bucket))
    }

    /// Sets a new table's clock to a time that an earlier process saw.
    pub(crate) fn set_latest(&self, latest: i64) {
        self.clock.advance(latest);
    }

    pub(crate) fn seed(&self) -> Seed {
        self.seed
    }

    /// The second that times in the table count from.
    pub(crate) fn base(&self) -> i64 {
        self.clock.base
    }

    /// How many shards there are, and how many buckets in each.
    pub(crate) fn shape(&self) -> (usize, usize) {
        (self.shards.len(), self.shards.first().map_or(0, |shard| lock(shard).buckets()))
    }
}

impl StoreClock {
    /// Moves the clock to `now` where that is later, and reads it: seconds since the base.
    ///
    /// Relaxed suffices: only calls for one shard need to agree, and its lock orders them.
    fn advance(&self, now: i64) -> u32 {
        // Written once in a second, and read by all: most calls take no cache line from another core.
        let mut latest = self.latest.load(Ordering::Relaxed);
        if now > latest {
            latest = self.latest.fetch_max(now, Ordering::Relaxed).max(now);
        }
        self.since_base(latest)
    }

    /// Seconds since the base, in what holds 136 years: later times are the last of them, in which no record is live.
    fn since_base(&self, time: i64) -> u32 {
        u32::try_from(time.saturating_sub(self.base).max(0)).unwrap_or(u32::MAX)
    }
}
