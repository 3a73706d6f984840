//! The records themselves, in buckets of one cache line each: looking a nonce up and recording it touches one line of a table of
//! megabytes, and most of a record's time is waiting for that line.
//!
//! A record is 48 bits of its keyed hash beside its place in the table, and not the nonce. Two that fall together refuse a first use,
//! which happens once in some 10¹³ requests and which nobody can bring about without the hash's key; none is let in twice.

use super::Keys;
use bmap_protocol::refusal::Refusal;

/// Seconds in which a shard that is used is gone through once, for what has ended.
const SWEEP: usize = 4;

#[derive(Debug)]
pub(super) struct NonceShard {
    buckets: Box<[Bucket]>,
    /// The second that times in the buckets count from.
    started: i64,
    /// Longest life of a record, seconds.
    longest: i64,
    /// Seconds since `started`, as far as this shard has seen.
    now: u32,
    /// The second in which everything was swept last.
    swept: u32,
    /// The bucket that is swept next.
    cursor: usize,
    /// Records in the buckets, with those that ended and were not swept yet.
    taken: usize,
    capacity: usize,
}

const WAYS: usize = 4;

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

/// What is compared of a hash; the rest of it says where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Print {
    low: u32,
    high: u16,
}

impl NonceShard {
    /// `longest`: the seconds that a record may live at the most.
    pub(super) fn new(capacity: u32, longest: u32, started: i64) -> Self {
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        // Three of four places at the most are taken, so that few records are out of their bucket.
        let buckets = vec![Bucket::EMPTY; capacity.div_ceil(3).max(1)].into_boxed_slice();
        Self { buckets, started, longest: longest.into(), now: 0, swept: 0, cursor: 0, taken: 0, capacity }
    }

    pub(super) fn len(&self) -> usize {
        self.taken
    }

    pub(super) fn max_bytes(&self) -> usize {
        size_of::<Self>().saturating_add(size_of_val(&*self.buckets))
    }

    /// Records a first use. A replay is told from a key over its share, and that from a store that is full.
    pub(super) fn record(
        &mut self,
        until: i64,
        now: i64,
        key: u32,
        hash: u64,
        over: bool,
        keys: &Keys,
    ) -> Result<(), Refusal> {
        self.advance(now, keys);
        let until = self.until(until).ok_or(Refusal::ReplayStoreUnavailable)?;
        let print = Print::of(hash);
        if self.is_known(print, hash) {
            return Err(Refusal::Replayed);
        }
        if over {
            return Err(Refusal::RateLimited { retry_after: 5 });
        }
        if self.taken >= self.capacity {
            self.sweep_all(keys);
        }
        if self.taken < self.capacity && self.add(print, hash, key, until, keys) {
            Ok(())
        } else {
            Err(Refusal::ReplayStoreUnavailable)
        }
    }

    /// Gives back what has ended by `now`, all of it.
    pub(super) fn end(&mut self, now: i64, keys: &Keys) {
        self.advance(now, keys);
        self.sweep_all(keys);
    }

    /// Time goes on. Time that goes back ends nothing.
    fn advance(&mut self, now: i64, keys: &Keys) {
        let now = u32::try_from(now.saturating_sub(self.started)).unwrap_or(self.now);
        let passed = usize::try_from(now.saturating_sub(self.now)).unwrap_or(usize::MAX);
        if passed == 0 {
            return;
        }
        self.now = now;
        self.sweep(self.buckets.len().div_ceil(SWEEP).saturating_mul(passed), keys);
    }

    fn sweep_all(&mut self, keys: &Keys) {
        if self.swept < self.now {
            self.swept = self.now;
            self.sweep(usize::MAX, keys);
        }
    }

    /// Goes through the next buckets, and gives back what has ended in them.
    fn sweep(&mut self, buckets: usize, keys: &Keys) {
        for _ in 0..buckets.min(self.buckets.len()) {
            let Some(bucket) = self.buckets.get_mut(self.cursor) else { return };
            for (key, until) in bucket.key.iter().zip(&mut bucket.until) {
                if *until != 0 && *until <= self.now {
                    *until = 0;
                    self.taken = self.taken.saturating_sub(1);
                    keys.leave(*key);
                }
            }
            self.cursor = self.after(self.cursor);
        }
    }

    /// The end of a record in this shard's time; one that ended already, or lives for too long, has no place.
    fn until(&self, until: i64) -> Option<u32> {
        let until = until.saturating_sub(self.started);
        let left = until.saturating_sub(self.now.into());
        if (1..=self.longest).contains(&left) { u32::try_from(until).ok() } else { None }
    }

    fn is_known(&self, print: Print, hash: u64) -> bool {
        let mut at = self.home(hash);
        for _ in 0..self.buckets.len() {
            let Some(bucket) = self.buckets.get(at) else { return false };
            if bucket.has(print, self.now) {
                return true;
            }
            if bucket.passed <= self.now {
                return false;
            }
            at = self.after(at);
        }
        false
    }

    /// Puts a record into the first bucket with room; whether there was one.
    fn add(&mut self, print: Print, hash: u64, key: u32, until: u32, keys: &Keys) -> bool {
        let mut at = self.home(hash);
        for _ in 0..self.buckets.len() {
            let Some(bucket) = self.buckets.get_mut(at) else { return false };
            match bucket.put(print, key, until, self.now) {
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

    /// The bucket in which a hash is looked for first. Its lowest 16 bits say which, because they are not compared; those above them
    /// only where there are more buckets than that tells apart.
    fn home(&self, hash: u64) -> usize {
        let buckets = u64::try_from(self.buckets.len()).unwrap_or(1);
        let place = (hash & 0xffff) << 16 | (hash >> 16 & 0xffff);
        usize::try_from(place.saturating_mul(buckets) >> 32).unwrap_or(0)
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
}

impl Print {
    /// The upper 48 bits. The shard is in them too, the bucket is not.
    fn of(hash: u64) -> Self {
        let upper = hash >> 16;
        Self { low: u32::try_from(upper & 0xffff_ffff).unwrap_or(0), high: u16::try_from(upper >> 32).unwrap_or(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t7_what_is_compared_of_a_hash_is_not_what_says_where() {
        let shard = NonceShard::new(16_384, 67, 0);
        let homes = |bit: u32| {
            let changes = |hash: &u64| shard.home(*hash) != shard.home(*hash ^ 1 << bit);
            (0..1000_u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).filter(changes).count()
        };
        // Records fall together where both are the same: a bit that is in both tells nothing apart twice.
        for bit in 0..64 {
            let is_compared = Print::of(1 << bit) != Print::of(0);
            assert!(!is_compared || homes(bit) < 100, "bit {bit}: {}", homes(bit));
        }
        assert!(homes(15) > 990, "{}", homes(15));
    }

    #[test]
    fn a_bucket_is_one_cache_line() {
        assert_eq!((size_of::<Bucket>(), align_of::<Bucket>()), (64, 64));
    }
}
