//! How often somebody may try (R32, T27): a rate per account and one per address, in tables that never grow.

use super::email::EmailAddress;
use crate::clock::UnixMillis;
use crate::domain::refusal::Refusal;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Slots of a bucket, and buckets of a table, a power of two: 65,536 counters of 16 bytes.
const SLOTS: usize = 8;
const BUCKETS: usize = 8192;

/// So many at once, and then one every so many seconds.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// At once.
    pub burst: u32,
    /// Seconds until the next one.
    pub seconds: i64,
}

/// Guesses at one account's password, from wherever.
pub const SIGN_IN_PER_ACCOUNT: Rate = Rate { burst: 10, seconds: 30 };
/// Sign-ins from one address, at whatever account.
pub const SIGN_IN_PER_ADDRESS: Rate = Rate { burst: 50, seconds: 2 };
/// Mails that are asked for to one address.
pub const MAIL_PER_ACCOUNT: Rate = Rate { burst: 3, seconds: 600 };
/// Mails that are asked for from one address.
pub const MAIL_PER_ADDRESS: Rate = Rate { burst: 20, seconds: 60 };

/// Counters by key: the generic cell rate algorithm (as of ATM), which needs one time per key.
///
/// A full bucket loses the counter that ends first. The hash is keyed with a secret of this process, so nobody can aim at
/// the bucket of somebody else's counter.
struct Table {
    rate: Rate,
    hash: RandomState,
    buckets: Mutex<Box<[[Slot; SLOTS]]>>,
}

/// A key's hash, and when its counter is empty again, in milliseconds.
#[derive(Clone, Copy)]
struct Slot {
    key: u64,
    empty_at: i64,
}

const EMPTY: Slot = Slot { key: 0, empty_at: i64::MIN };

impl Table {
    fn new(rate: Rate) -> Self {
        Self { rate, hash: RandomState::new(), buckets: Mutex::new(vec![[EMPTY; SLOTS]; BUCKETS].into_boxed_slice()) }
    }

    /// Counts one; refused ones are not counted.
    fn take(&self, key: &[u8], now: UnixMillis) -> Result<(), Refusal> {
        let step = self.rate.seconds.saturating_mul(1000);
        let tolerance = step.saturating_mul(i64::from(self.rate.burst).saturating_sub(1));
        self.with(key, |slot| {
            let empty_at = slot.empty_at.max(now.0);
            let ahead = empty_at.saturating_sub(now.0);
            if ahead > tolerance {
                let millis = ahead.saturating_sub(tolerance);
                let seconds = u32::try_from(millis.saturating_add(999).div_euclid(1000)).unwrap_or(u32::MAX);
                return Err(Refusal::RateLimited { retry_after: seconds });
            }
            slot.empty_at = empty_at.saturating_add(step);
            Ok(())
        })
    }

    fn forget(&self, key: &[u8]) {
        self.with(key, |slot| *slot = EMPTY);
    }

    /// The key's slot; a new one takes the place of the one that is empty first.
    fn with<T>(&self, key: &[u8], work: impl FnOnce(&mut Slot) -> T) -> T {
        let key = self.hash.hash_one(key);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let index = usize::try_from(key & (BUCKETS as u64).saturating_sub(1)).unwrap_or(0);
        let mut nowhere = [EMPTY; SLOTS];
        let bucket = buckets.get_mut(index).unwrap_or(&mut nowhere);
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

/// Every limit on accounts.
pub struct Limits {
    sign_in_account: Table,
    sign_in_address: Table,
    mail_account: Table,
    mail_address: Table,
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Limits(…)")
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sign_in_account: Table::new(SIGN_IN_PER_ACCOUNT),
            sign_in_address: Table::new(SIGN_IN_PER_ADDRESS),
            mail_account: Table::new(MAIL_PER_ACCOUNT),
            mail_address: Table::new(MAIL_PER_ADDRESS),
        }
    }
}

impl Limits {
    /// A guess at the password of an account, whether or not there is one.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`].
    pub fn sign_in(&self, email: &EmailAddress, address: IpAddr, now: UnixMillis) -> Result<(), Refusal> {
        self.sign_in_address.take(&network(address), now)?;
        self.sign_in_account.take(email.as_str().as_bytes(), now)
    }

    /// The guess was right: whoever knows the password has not been guessing.
    pub fn signed_in(&self, email: &EmailAddress) {
        self.sign_in_account.forget(email.as_str().as_bytes());
    }

    /// A registration, or whatever else sends a mail.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`].
    pub fn mail(&self, email: &EmailAddress, address: IpAddr, now: UnixMillis) -> Result<(), Refusal> {
        self.mail_address.take(&network(address), now)?;
        self.mail_account.take(email.as_str().as_bytes(), now)
    }
}

/// What one caller has: an IPv4 address, or the /64 in which an IPv6 host can take any address it likes.
fn network(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().into_iter().take(8).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_795_000_000_000);

    fn email(text: &str) -> EmailAddress {
        EmailAddress::parse(text).unwrap()
    }

    fn limited(result: Result<(), Refusal>) -> Option<u32> {
        match result {
            Ok(()) => None,
            Err(Refusal::RateLimited { retry_after }) => Some(retry_after),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_burst_then_one_at_a_time() {
        let table = Table::new(Rate { burst: 3, seconds: 10 });
        let take = |seconds| limited(table.take(b"a", NOW.plus_seconds(seconds)));
        assert_eq!([take(0), take(0), take(0), take(0)], [None, None, None, Some(10)]);
        assert_eq!([take(4), take(10), take(10)], [Some(6), None, Some(10)]);
        assert_eq!([take(1000), take(1000), take(1000), take(1000)], [None, None, None, Some(10)]);
        assert_eq!(limited(table.take(b"b", NOW)), None);
        table.forget(b"a");
        assert_eq!(take(1000), None);
    }

    #[test]
    fn r32_other_spellings_and_other_addresses_are_one_counter() {
        let limits = Limits::default();
        let spellings = ["alice@x.example", "Alice@X.example", " alice@x.example", "ａlice@x.example"];
        for attempt in 0..SIGN_IN_PER_ACCOUNT.burst {
            let spelling = spellings[usize::try_from(attempt).unwrap() % spellings.len()];
            let address = format!("2001:db8:{attempt:x}::1").parse().unwrap();
            assert_eq!(limited(limits.sign_in(&email(spelling), address, NOW)), None, "{attempt}");
        }
        let elsewhere = "203.0.113.9".parse().unwrap();
        assert_eq!(limited(limits.sign_in(&email("ALICE@x.example"), elsewhere, NOW)), Some(30));
        limits.signed_in(&email("alice@X.example"));
        assert_eq!(limited(limits.sign_in(&email("ALICE@x.example"), elsewhere, NOW)), None);
    }

    #[test]
    fn r32_a_network_of_64_bits_is_one_caller() {
        let limits = Limits::default();
        let guess = |number: u32, address: String| {
            limited(limits.sign_in(&email(&format!("a{number}@x.example")), address.parse().unwrap(), NOW))
        };
        for number in 0..SIGN_IN_PER_ADDRESS.burst {
            assert_eq!(guess(number, format!("2001:db8:0:7:{number:x}::1")), None);
        }
        assert_eq!(guess(100, "2001:db8:0:7:ffff::9".to_owned()), Some(2));
        assert_eq!(guess(101, "2001:db8:0:8::1".to_owned()), None);
        for number in 0..SIGN_IN_PER_ADDRESS.burst {
            assert_eq!(guess(200 + number, "203.0.113.9".to_owned()), None);
        }
        assert_eq!(guess(300, "::ffff:203.0.113.9".to_owned()), Some(2));
    }

    #[test]
    fn r32_a_flood_of_keys_takes_no_more_room_and_forgets_the_weakest_first() {
        let table = Table::new(Rate { burst: 10, seconds: 30 });
        for _ in 0..10 {
            table.take(b"victim", NOW).unwrap();
        }
        for number in 0..200_000_u32 {
            table.take(&number.to_be_bytes(), NOW).unwrap();
        }
        assert_eq!(table.buckets.lock().unwrap().len() * SLOTS * size_of::<Slot>(), 1 << 20);
        assert_eq!(limited(table.take(b"victim", NOW)), Some(30), "a full counter outlives those that count one");
    }
}
