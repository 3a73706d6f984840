//! Rates of callers in fixed memory: of users, API keys, pages and addresses, however many there are (T25).
//!
//! A table for each kind, in which a caller has a place in one small set, chosen by a hash with a random key. Where more callers of a set are busy than it
//! has places, the bucket that is the nearest to full is forgotten, and a caller who comes next to it begins with a full one. So a limit is never another caller's, as many
//! as an attacker may have (a /48 has 65,536 networks), and the buckets that matter, those that are nearly empty, stay.

use crate::policy::Rate;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Places of a set, and sets of a table: 16,384 buckets of 16 bytes.
const PLACES: usize = 8;
const SETS: usize = 2048;

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

/// The tables. The memory of each, 272 KiB, is taken when the first rate of its kind is asked for.
#[derive(Debug, Default)]
pub(crate) struct RateTable {
    hash: RandomState,
    users: Table,
    keys: Table,
    origins: Table,
    addresses: Table,
}

type Table = OnceLock<Box<[Mutex<[Bucket; PLACES]>]>>;

/// Whose it is, as a hash, and when it is full again, milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    caller: u64,
    full_at: u64,
}

impl RateTable {
    /// Takes one request out of a bucket.
    ///
    /// # Errors
    /// The seconds to wait, at least 1.
    pub(crate) fn take(&self, of: Of, id: &[u8], rate: Rate, now_millis: u64) -> Result<(), u32> {
        let table = match of {
            Of::User => &self.users,
            Of::Key => &self.keys,
            Of::Origin => &self.origins,
            Of::Address => &self.addresses,
        };
        let sets = table.get_or_init(|| (0..SETS).map(|_| Mutex::default()).collect());
        let caller = self.hash.hash_one(id);
        let index = usize::try_from(caller).unwrap_or(0) & (SETS - 1);
        let Some(set) = sets.get(index) else { return Ok(()) };
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        let own = set.iter().position(|bucket| bucket.caller == caller);
        let fullest = || (0..PLACES).min_by_key(|place| set.get(*place).map(|bucket| bucket.full_at));
        let Some(bucket) = own.or_else(fullest).and_then(|place| set.get_mut(place)) else { return Ok(()) };
        let before = if own.is_some() { bucket.full_at } else { 0 };
        let (full_at, taken) = rate.next(before, now_millis);
        *bucket = Bucket { caller, full_at };
        taken
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
    fn t25_many_callers_take_no_more_memory_and_none_is_refused_for_another() {
        let table = RateTable::default();
        let id = |number: u32| number.to_be_bytes();
        let one = Rate { per_second: 1, burst: 1 };
        // Without a wait between them, as many as an attacker may have.
        for number in 0..100_000 {
            assert_eq!(table.take(Of::Address, &id(number), one, 1_000), Ok(()), "{number}");
        }
        let places = |table: &Table| table.get().map_or(0, |sets| sets.len() * PLACES);
        assert_eq!((places(&table.addresses), places(&table.users)), (16_384, 0));
    }

    #[test]
    fn t25_the_bucket_that_is_the_nearest_to_full_makes_room() {
        let (table, wide) = (RateTable::default(), Rate { per_second: 1, burst: 1_000 });
        let spent = (0..2_000).take_while(|_| table.take(Of::User, b"ana", wide, 0).is_ok()).count();
        for number in 0..50_000_u32 {
            assert_eq!(table.take(Of::User, &number.to_be_bytes(), wide, 0), Ok(()));
        }
        assert_eq!((spent, table.take(Of::User, b"ana", wide, 0)), (1_000, Err(1)), "hers is not forgotten");
        // A rate that was wide for a while locks out no longer than the one that is in force.
        assert_eq!(table.take(Of::User, b"ana", RATE, 0), Err(1));
        assert_eq!([(); 2].map(|()| table.take(Of::User, b"ana", RATE, 500)), [Ok(()), Err(1)]);
    }
}
