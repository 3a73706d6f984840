//! Rates of callers in fixed memory: of users, API keys, pages and addresses, however many there are (T25).
//!
//! Each caller has a place in either of two tables, chosen by a hash with a random key, and the emptier of its two buckets counts (GCRA). Two callers
//! share a limit only where both of their places fall together, which no caller can bring about. A few requests more than a bucket holds may pass where
//! they come in the same moment.

use crate::policy::Rate;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Places of one table: a power of two.
const PLACES: usize = 1 << 14;

/// What a rate is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Of {
    /// A user.
    User,
    /// An API key.
    Key,
    /// A page.
    Origin,
    /// The network of an address.
    Address,
}

/// When each bucket will be full again, milliseconds since 1970. The memory, 256 KiB, is taken when the first rate is asked for.
#[derive(Debug, Default)]
pub(crate) struct RateTable {
    hash: RandomState,
    places: OnceLock<[Box<[AtomicU64]>; 2]>,
}

impl RateTable {
    /// Takes one request out of a bucket.
    ///
    /// # Errors
    /// The seconds to wait, at least 1.
    pub(crate) fn take(&self, of: Of, id: &[u8], rate: Rate, now_millis: u64) -> Result<(), u32> {
        let places = self.places.get_or_init(|| [(); 2].map(|()| (0..PLACES).map(|_| AtomicU64::new(0)).collect()));
        let hash = self.hash.hash_one((of, id));
        let [first, second] = [(hash, places.first()), (hash >> 32, places.last())].map(|(hash, table)| {
            let index = usize::try_from(hash).unwrap_or(0) & (PLACES - 1);
            table.and_then(|table| table.get(index))
        });
        let (Some(first), Some(second)) = (first, second) else { return Ok(()) };
        let busy_until = first.load(Ordering::Relaxed).min(second.load(Ordering::Relaxed));
        let next = rate.next(busy_until, now_millis)?;
        first.fetch_max(next, Ordering::Relaxed);
        second.fetch_max(next, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 2, burst: 3 };

    #[test]
    fn t25_a_bucket_holds_its_burst_and_refills_by_its_rate() {
        let table = RateTable::default();
        let take = |id: &str, now| table.take(Of::User, id.as_bytes(), RATE, now);
        assert_eq!([take("ana", 0), take("ana", 0), take("ana", 0)], [Ok(()); 3]);
        assert_eq!((take("ana", 0), take("bo", 0)), (Err(1), Ok(())));
        assert_eq!((take("ana", 499), take("ana", 500), take("ana", 500)), (Err(1), Ok(()), Err(1)));
        assert_eq!((0..4).map(|_| take("ana", 100_000)).collect::<Vec<_>>(), [Ok(()), Ok(()), Ok(()), Err(1)]);
        let slow = Rate { per_second: 1, burst: 1 };
        assert_eq!(table.take(Of::Key, b"ana", slow, 0), Ok(()), "another kind is another bucket");
        // A clock that goes back empties no bucket.
        assert!(take("ana", 99_000).is_err());
    }

    #[test]
    fn t25_many_callers_take_no_more_memory_and_few_share_a_limit() {
        let table = RateTable::default();
        let id = |number: u32| number.to_be_bytes();
        let one = Rate { per_second: 1, burst: 1 };
        let refused = (0..2_000).filter(|number| table.take(Of::Address, &id(*number), one, 1_000).is_err()).count();
        // Both places taken by others: (2000/16384)^2 of the last ones, a third of that on average.
        assert!(refused < 40, "{refused}");
        let places = table.places.get().unwrap();
        assert!(places.iter().all(|table| table.len() == PLACES));
    }
}
