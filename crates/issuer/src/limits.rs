//! Counts how often a caller does something, in tables that never grow (R32).

use super::error::IssuerError;
use bmap_model::clock::UnixTime;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

/// Slots of a bucket, and buckets of a table, a power of two: 65,536 counters of 16 bytes.
const SLOTS: usize = 8;
const BUCKETS: usize = 8192;

/// So many at once, and then one every so many seconds.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// At once.
    pub burst: u32,
    /// Seconds until the next one.
    pub seconds: i64,
}

/// Counters by key: the generic cell rate algorithm (as of ATM), which needs one time per key.
///
/// A full bucket loses the counter that ends first. The hash is keyed with a secret of this process, so an attacker can't
/// aim at the bucket of another caller's counter.
pub struct Table {
    burst: u32,
    /// Microseconds until the next one.
    step: i64,
    hash: RandomState,
    buckets: Mutex<Box<[[Slot; SLOTS]]>>,
}

/// A key's hash, and when its counter is empty again, in microseconds.
#[derive(Clone, Copy)]
struct Slot {
    key: u64,
    empty_at: i64,
}

const EMPTY: Slot = Slot { key: 0, empty_at: i64::MIN };

/// The state of a counter after a caller was counted, or was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// How many more would be taken now.
    pub remaining: u32,
    /// Seconds until all of them are there again.
    pub reset: u32,
    /// Seconds until the next one, where this one was too many.
    pub retry_after: Option<u32>,
}

impl Table {
    /// Counters of a rate.
    pub fn new(rate: Allowance) -> Self {
        Self::with_step(rate.burst, rate.seconds.saturating_mul(1_000_000))
    }

    /// Counters of so many requests a minute, all of them at once if need be.
    pub fn per_minute(requests: u32) -> Self {
        Self::with_step(requests, 60_000_000_i64.checked_div(i64::from(requests)).unwrap_or(i64::MAX).max(1))
    }

    fn with_step(burst: u32, step: i64) -> Self {
        let buckets = vec![[EMPTY; SLOTS]; BUCKETS].into_boxed_slice();
        Self { burst, step, hash: RandomState::new(), buckets: Mutex::new(buckets) }
    }

    /// Counts one; refused ones are not counted.
    ///
    /// # Errors
    /// [`IssuerError::RateLimited`].
    pub fn take(&self, key: &[u8], now: UnixTime) -> Result<(), IssuerError> {
        match self.count(key, now).retry_after {
            Some(retry_after) => Err(IssuerError::RateLimited { retry_after }),
            None => Ok(()),
        }
    }

    /// The same, with all that the counter says.
    pub fn count(&self, key: &[u8], now: UnixTime) -> Count {
        self.with(key, |slot| self.count_in(slot, now))
    }

    /// The result that [`count`](Self::count) would have; nothing is counted, and no other key's counter makes room.
    pub fn look(&self, key: &[u8], now: UnixTime) -> Count {
        let key = self.hash.hash_one(key);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let found = buckets.get_mut(bucket_of(key)).and_then(|bucket| bucket.iter().find(|slot| slot.key == key));
        let mut slot = found.copied().unwrap_or(EMPTY);
        drop(buckets);
        self.count_in(&mut slot, now)
    }

    fn count_in(&self, slot: &mut Slot, now: UnixTime) -> Count {
        let now = now.0.saturating_mul(1000);
        let tolerance = self.step.saturating_mul(i64::from(self.burst).saturating_sub(1));
        // A counter never says more than that it is full: else a clock that went back would lock its caller out until it is where
        // it was (T22).
        let full = now.saturating_add(tolerance).saturating_add(self.step);
        let empty_at = slot.empty_at.max(now).min(full);
        slot.empty_at = empty_at;
        let ahead = empty_at.saturating_sub(now);
        if ahead > tolerance {
            let retry_after = Some(seconds(ahead.saturating_sub(tolerance)));
            return Count { remaining: 0, reset: seconds(ahead), retry_after };
        }
        slot.empty_at = empty_at.saturating_add(self.step);
        let free = tolerance.saturating_sub(ahead).checked_div(self.step).unwrap_or(0);
        let remaining = u32::try_from(free).unwrap_or(u32::MAX);
        Count { remaining, reset: seconds(ahead.saturating_add(self.step)), retry_after: None }
    }

    /// Takes back one that was counted.
    pub fn give_back(&self, key: &[u8]) {
        self.with(key, |slot| slot.empty_at = slot.empty_at.saturating_sub(self.step));
    }

    /// Whether the key has a counter.
    pub fn is_there(&self, key: &[u8]) -> bool {
        let key = self.hash.hash_one(key);
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.get(bucket_of(key)).is_some_and(|bucket| bucket.iter().any(|slot| slot.key == key))
    }

    /// Takes back all.
    pub fn forget(&self, key: &[u8]) {
        self.with(key, |slot| *slot = EMPTY);
    }

    /// The key's slot; a new one takes the place of the one that is empty first.
    fn with<T>(&self, key: &[u8], work: impl FnOnce(&mut Slot) -> T) -> T {
        let key = self.hash.hash_one(key);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut nowhere = [EMPTY; SLOTS];
        let bucket = buckets.get_mut(bucket_of(key)).unwrap_or(&mut nowhere);
        let found = bucket.iter().position(|slot| slot.key == key);
        let place = found.or_else(|| (0..SLOTS).min_by_key(|at| bucket.get(*at).map(|slot| slot.empty_at)));
        let mut none = EMPTY;
        let slot = place.and_then(|place| bucket.get_mut(place)).unwrap_or(&mut none);
        if found.is_none() {
            *slot = Slot { key, ..EMPTY };
        }
        work(slot)
    }
}

fn bucket_of(key: u64) -> usize {
    usize::try_from(key & (BUCKETS as u64).saturating_sub(1)).unwrap_or(0)
}

/// Rounded up: a caller that waits so long has waited long enough.
fn seconds(micros: i64) -> u32 {
    u32::try_from(micros.saturating_add(999_999).div_euclid(1_000_000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_795_000_000_000);

    fn limited(result: Result<(), IssuerError>) -> Option<u32> {
        match result {
            Ok(()) => None,
            Err(IssuerError::RateLimited { retry_after }) => Some(retry_after),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_burst_then_one_at_a_time() {
        let table = Table::new(Allowance { burst: 3, seconds: 10 });
        let take = |seconds| limited(table.take(b"a", NOW.plus_seconds(seconds)));
        assert_eq!([take(0), take(0), take(0), take(0)], [None, None, None, Some(10)]);
        assert_eq!([take(4), take(10), take(10)], [Some(6), None, Some(10)]);
        assert_eq!([take(1000), take(1000), take(1000), take(1000)], [None, None, None, Some(10)]);
        assert_eq!(limited(table.take(b"b", NOW)), None);
        table.forget(b"a");
        assert_eq!(take(1000), None);
    }

    #[test]
    fn t22_a_clock_that_goes_back_locks_nobody_out_for_longer_than_a_full_counter() {
        let table = Table::new(Allowance { burst: 3, seconds: 10 });
        table.take(b"a", NOW.plus_seconds(86_400)).unwrap();
        assert_eq!(limited(table.take(b"a", NOW)), Some(10));
        assert_eq!(limited(table.take(b"a", NOW.plus_seconds(10))), None);
        assert_eq!(limited(table.take(b"a", NOW.plus_seconds(10))), Some(10), "and it is a full one");
    }

    #[test]
    fn r32_a_flood_of_keys_takes_no_more_room_and_forgets_the_weakest_first() {
        let table = Table::new(Allowance { burst: 10, seconds: 30 });
        for _ in 0..10 {
            table.take(b"victim", NOW).unwrap();
        }
        for number in 0..200_000_u32 {
            table.take(&number.to_be_bytes(), NOW).unwrap();
        }
        assert_eq!(table.buckets.lock().unwrap().len() * SLOTS * size_of::<Slot>(), 1 << 20);
        assert_eq!(limited(table.take(b"victim", NOW)), Some(30), "a full counter outlives those that count one");
    }

    #[test]
    fn a_count_says_what_is_left_and_when_it_is_whole_again() {
        let table = Table::per_minute(4);
        let count = |seconds| table.count(b"a", NOW.plus_seconds(seconds));
        let says = |remaining, reset, retry_after| Count { remaining, reset, retry_after };
        assert_eq!(count(0), says(3, 15, None));
        assert_eq!(count(0), says(2, 30, None));
        assert_eq!([count(0), count(0)], [says(1, 45, None), says(0, 60, None)]);
        assert_eq!(count(1), says(0, 59, Some(14)));
        table.give_back(b"a");
        assert_eq!(count(1), says(0, 59, None));
        assert_eq!(count(61), says(3, 15, None));
        // So many that one takes less than a millisecond.
        let busy = Table::per_minute(120_000);
        for left in (0..120_000).rev() {
            assert_eq!(busy.count(b"a", NOW).remaining, left);
        }
        assert_eq!(busy.count(b"a", NOW).retry_after, Some(1));
        assert_eq!(busy.count(b"a", UnixTime(NOW.0 + 1)).retry_after, None);
    }
}
