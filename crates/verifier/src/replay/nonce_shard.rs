//! The records themselves, in buckets of one cache line each: looking a nonce up and recording it touches one line of a table of
//! megabytes, and most of a record's time is waiting for that line.
//!
//! A record is 48 bits of its keyed hash beside its place in the table, and not the nonce. Two that fall together refuse a first use and let
//! nothing in twice. A first use is compared with the three records that a bucket has on average when the store is full, so this happens once in
//! 2⁴⁸ / 3 ≈ 9 × 10¹³ requests, and an attacker can't bring it about without the hash's key.

use super::hash::{Hashed, Print, index_in};
use super::key_shard::NONE;
use super::key_shards::KeyShards;
use bmap_protocol::refusal::Refusal;

/// Seconds in which a shard that is used is gone through once, for records that have ended.
const SWEEP: usize = 4;

#[derive(Debug)]
pub(super) struct NonceShard {
    buckets: Box<[Bucket]>,
    /// Longest life of a record, seconds.
    longest: u32,
    /// The time up to which ended records were swept, a part of the buckets at least. Times here are seconds since the store's
    /// base.
    seen: u32,
    /// The second in which everything was swept last.
    swept: u32,
    /// The bucket that is swept next.
    cursor: usize,
    /// Records in the buckets, with those that ended and were not swept yet.
    taken: usize,
    capacity: usize,
    /// Whether the records were saved: a later record would be in no file.
    closed: bool,
}

pub(super) const WAYS: usize = 4;

/// Up to four records.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Bucket {
    low: [u32; WAYS],
    high: [u16; WAYS],
    key: [u32; WAYS],
    /// When each ends; 0 where there is none.
    until: [u32; WAYS],
    /// When the last of those ends that found this bucket full and went to a later one. Until then, looking for one goes on.
    passed: u32,
}

/// A bucket as a file holds it: without the keys' slots, which are another process's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SavedBucket {
    pub(super) passed: u32,
    /// Print and end of each record; an end of 0 where there is none.
    pub(super) records: [(Print, u32); WAYS],
}

impl NonceShard {
    /// `longest`: the seconds that a record may live at the most.
    pub(super) fn new(capacity: usize, longest: u32) -> Self {
        // Three of four places at the most are taken, so that few records are out of their bucket.
        let buckets = vec![Bucket::EMPTY; capacity.div_ceil(3).max(1)].into_boxed_slice();
        Self { buckets, longest, seen: 0, swept: 0, cursor: 0, taken: 0, capacity, closed: false }
    }

    pub(super) fn len(&self) -> usize {
        self.taken
    }

    pub(super) fn buckets(&self) -> usize {
        self.buckets.len()
    }

    pub(super) fn max_bytes(&self) -> usize {
        size_of::<Self>().saturating_add(size_of_val(&*self.buckets))
    }

    /// Records a first use. `now` is the store's clock, read under this shard's lock. A replay is told from a key over its share, and that from
    /// a store that is full.
    pub(super) fn record(
        &mut self,
        hashed: Hashed,
        until: u32,
        now: u32,
        key: u32,
        over: bool,
        keys: &KeyShards,
    ) -> Result<(), Refusal> {
        self.advance(now, keys);
        // One that ended may have been swept, so whether it was there is not known any more.
        let lives = (1..=self.longest).contains(&until.saturating_sub(now));
        if self.closed || !lives {
            return Err(Refusal::ReplayStoreUnavailable);
        }
        if self.is_known(hashed, now) {
            return Err(Refusal::Replayed);
        }
        if over {
            return Err(Refusal::RateLimited { retry_after: 5 });
        }
        if self.taken >= self.capacity {
            self.sweep_all(now, keys);
        }
        if self.taken < self.capacity && self.add(hashed, key, until, now, keys) {
            Ok(())
        } else {
            Err(Refusal::ReplayStoreUnavailable)
        }
    }

    /// Gives back all records that have ended by `now`.
    pub(super) fn end(&mut self, now: u32, keys: &KeyShards) {
        self.advance(now, keys);
        self.sweep_all(now, keys);
    }

    /// Takes no record any more, and returns the live ones, each bucket with its index.
    pub(super) fn close(&mut self, now: u32) -> impl Iterator<Item = (usize, SavedBucket)> {
        self.closed = true;
        self.buckets.iter().enumerate().filter_map(move |(index, bucket)| Some((index, bucket.saved(now)?)))
    }

    /// Puts a saved bucket into an empty shard of the same size; whether there was a place for it.
    pub(super) fn restore(&mut self, index: usize, saved: &SavedBucket) -> bool {
        let Some(bucket) = self.buckets.get_mut(index) else { return false };
        *bucket = Bucket::restored(saved);
        self.taken = self.taken.saturating_add(bucket.until.iter().filter(|until| **until != 0).count());
        self.taken <= self.capacity
    }

    /// Time goes on, and a part of the ended records is swept for each second.
    fn advance(&mut self, now: u32, keys: &KeyShards) {
        let passed = usize::try_from(now.saturating_sub(self.seen)).unwrap_or(usize::MAX);
        if passed > 0 {
            self.seen = now;
            self.sweep(self.buckets.len().div_ceil(SWEEP).saturating_mul(passed), now, keys);
        }
    }

    fn sweep_all(&mut self, now: u32, keys: &KeyShards) {
        if self.swept < now {
            self.swept = now;
            self.sweep(usize::MAX, now, keys);
        }
    }

    /// Goes through the next buckets, and gives back the records that have ended in them.
    fn sweep(&mut self, buckets: usize, now: u32, keys: &KeyShards) {
        for _ in 0..buckets.min(self.buckets.len()) {
            let Some(bucket) = self.buckets.get_mut(self.cursor) else { return };
            for (key, until) in bucket.key.iter().zip(&mut bucket.until) {
                if *until != 0 && *until <= now {
                    *until = 0;
                    self.taken = self.taken.saturating_sub(1);
                    keys.leave(*key);
                }
            }
            self.cursor = self.after(self.cursor);
        }
    }

    fn is_known(&self, hashed: Hashed, now: u32) -> bool {
        let mut at = index_in(hashed.place, self.buckets.len());
        for _ in 0..self.buckets.len() {
            let Some(bucket) = self.buckets.get(at) else { return false };
            if bucket.has(hashed.print, now) {
                return true;
            }
            if bucket.passed <= now {
                return false;
            }
            at = self.after(at);
        }
        false
    }

    /// Puts a record into the first bucket with room; whether there was one.
    fn add(&mut self, hashed: Hashed, key: u32, until: u32, now: u32, keys: &KeyShards) -> bool {
        let mut at = index_in(hashed.place, self.buckets.len());
        for _ in 0..self.buckets.len() {
            let Some(bucket) = self.buckets.get_mut(at) else { return false };
            match bucket.put(hashed.print, key, until, now) {
                Put::New => self.taken = self.taken.saturating_add(1),
                Put::InsteadOf { key } => keys.leave(key),
                Put::Full => {
                    bucket.passed = bucket.passed.max(until);
                    at = self.after(at);
                    continue;
                }
            }
            return true;
        }
        false
    }

    fn after(&self, bucket: usize) -> usize {
        let next = bucket.saturating_add(1);
        if next < self.buckets.len() { next } else { 0 }
    }
}

/// Where a record went.
enum Put {
    New,
    /// In the place of one that had ended, of this key.
    InsteadOf {
        key: u32,
    },
    Full,
}

impl Bucket {
    const EMPTY: Self = Self { low: [0; WAYS], high: [0; WAYS], key: [0; WAYS], until: [0; WAYS], passed: 0 };

    fn has(&self, print: Print, now: u32) -> bool {
        let records = self.low.iter().zip(&self.high).zip(&self.until);
        records.fold(false, |found, ((low, high), until)| {
            found | ((*low == print.low) & (*high == print.high) & (*until > now))
        })
    }

    fn put(&mut self, print: Print, key: u32, until: u32, now: u32) -> Put {
        let records = self.low.iter_mut().zip(&mut self.high).zip(self.key.iter_mut().zip(&mut self.until));
        for ((low, high), (its_key, its_until)) in records {
            if *its_until <= now {
                (*low, *high) = (print.low, print.high);
                let (key, until) = (std::mem::replace(its_key, key), std::mem::replace(its_until, until));
                return if until == 0 { Put::New } else { Put::InsteadOf { key } };
            }
        }
        Put::Full
    }

    /// The bucket as a file holds it; `None` where nothing is live and nothing went past.
    fn saved(&self, now: u32) -> Option<SavedBucket> {
        let live = |until: u32| if until > now { until } else { 0 };
        let mut saved = SavedBucket { passed: live(self.passed), records: [(Print { low: 0, high: 0 }, 0); WAYS] };
        let records = self.low.iter().zip(&self.high).zip(&self.until);
        for (record, ((low, high), until)) in saved.records.iter_mut().zip(records) {
            if live(*until) != 0 {
                *record = (Print { low: *low, high: *high }, *until);
            }
        }
        (saved.passed != 0 || saved.records.iter().any(|(_, until)| *until != 0)).then_some(saved)
    }

    /// A bucket from a file. Its records count for no key.
    fn restored(saved: &SavedBucket) -> Self {
        let mut bucket = Self { passed: saved.passed, key: [NONE; WAYS], ..Self::EMPTY };
        let places = bucket.low.iter_mut().zip(&mut bucket.high).zip(&mut bucket.until);
        for ((print, until), ((low, high), place)) in saved.records.iter().zip(places) {
            (*low, *high, *place) = (print.low, print.high, *until);
        }
        bucket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_one_cache_line() {
        assert_eq!((size_of::<Bucket>(), align_of::<Bucket>()), (64, 64));
    }
}
