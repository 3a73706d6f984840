//! What was seen: each (keyid, nonce) once (profile §5, step 11).
//!
//! The store in memory is for one process. Every structure has its full size from the start, so it never grows: a store
//! that is full refuses (503), and one key can't take more than its share (429), so that a heavy user is slowed before
//! everybody is refused (T26). Records are spread over shards by their nonce, keys by their id.

mod key_shard;
mod nonce_shard;
mod slots;

use crate::fresh::Fresh;
use bmap_protocol::check::Window;
use bmap_protocol::refusal::Refusal;
use key_shard::KeyShard;
use nonce_shard::NonceShard;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    /// Records a first use. `fresh` is the proof that its request is in time, at [`Fresh::at`].
    ///
    /// # Errors
    /// [`Refusal::Replayed`], [`Refusal::RateLimited`] for a key over its share, [`Refusal::ReplayStoreUnavailable`].
    fn record(&self, record: Record, fresh: Fresh) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Requests created up to this second may have been let in without the store knowing of them: a store in memory knows nothing
    /// of the time before its start, and a request may be signed [`Window::future`] ahead. So it is the start plus that. `None` for
    /// a store that outlives the process. It is asked twice for each request, since a shared store whose primary changes forgets at that
    /// moment.
    fn forgot_until(&self) -> Option<i64>;
}

/// Bounds of [`MemoryReplayStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayLimits {
    /// Most live records. At most 64 bytes each with the keys they belong to, taken at the start.
    pub entries: u32,
    /// Most live records of one key.
    pub per_key: u32,
}

impl Default for ReplayLimits {
    /// 262,144 records in at most 15 MiB, of which one key may have 16,384: about 4,000 requests/s over all, 250 for
    /// one token.
    fn default() -> Self {
        Self { entries: 1 << 18, per_key: 1 << 14 }
    }
}

/// The replay store of one process.
#[derive(Debug)]
pub struct MemoryReplayStore {
    nonces: Box<[Mutex<NonceShard>]>,
    keys: Keys,
    started: i64,
    per_key: u32,
}

/// The keys that have live records.
#[derive(Debug)]
struct Keys {
    shards: Box<[Mutex<KeyShard>]>,
    hasher: RandomState,
}

/// A power of two: enough for many cores, few enough that records spread evenly.
const SHARDS: u32 = 16;

impl MemoryReplayStore {
    /// A store that begins at `started`, seconds since 1970, for requests within `window`.
    pub fn new(limits: ReplayLimits, window: Window, started: i64) -> Self {
        // A request may be `future` ahead and `past` behind, and its record lives on for `past + future + 1`.
        let longest = window.past.saturating_add(window.future.saturating_mul(2)).saturating_add(2);
        // Random records do not spread perfectly: 2 % more is eight standard deviations at a million, 64 is as much for few.
        let share = limits.entries.div_ceil(SHARDS);
        let capacity = share.saturating_add((share / 50).max(64).min(share.max(1)));
        Self {
            nonces: (0..SHARDS).map(|_| Mutex::new(NonceShard::new(capacity, longest, started))).collect(),
            keys: Keys {
                // Some of what has ended is not given back yet, and its key stays.
                shards: (0..SHARDS).map(|_| Mutex::new(KeyShard::new(capacity.saturating_add(capacity / 4)))).collect(),
                hasher: RandomState::new(),
            },
            started,
            per_key: limits.per_key.max(1),
        }
    }

    /// What the store can take up at the most, in bytes.
    pub fn max_bytes(&self) -> usize {
        let nonces = self.nonces.iter().map(|shard| lock(shard).max_bytes());
        let keys = self.keys.shards.iter().map(|shard| lock(shard).max_bytes());
        nonces.chain(keys).fold(size_of::<Self>(), usize::saturating_add)
    }

    /// Live records, with some that ended a few seconds ago, or since their shard was last used.
    pub fn len(&self) -> usize {
        self.nonces.iter().fold(0, |sum, shard| lock(shard).len().saturating_add(sum))
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
        let (key, live) = match self.keys.enter(&record.key) {
            Some(entered) => entered,
            None => {
                self.end(now);
                self.keys.enter(&record.key).ok_or(Refusal::ReplayStoreUnavailable)?
            }
        };
        // Nobody is refused for records that have ended and are only not given back yet.
        let over = live > self.per_key && {
            self.end(now);
            self.keys.live(key) > self.per_key
        };
        // A key keeps its number while it has live records, so that a nonce comes back to where it was.
        let hash = self.keys.nonce_hash(key, &record.nonce);
        let recorded = match shard_of(&self.nonces, hash) {
            Some(shard) => lock(shard).record(record.until, now, key, hash, over, &self.keys),
            None => Err(Refusal::ReplayStoreUnavailable),
        };
        if recorded.is_err() {
            self.keys.leave(key);
        }
        recorded
    }

    /// Gives back all that has ended, at most once in a second.
    fn end(&self, now: i64) {
        for shard in &self.nonces {
            lock(shard).end(now, &self.keys);
        }
    }
}

impl ReplayStore for MemoryReplayStore {
    async fn record(&self, record: Record, fresh: Fresh) -> Result<(), Refusal> {
        self.record_now(&record, fresh.at().seconds())
    }

    fn forgot_until(&self) -> Option<i64> {
        Some(self.started)
    }
}

impl Keys {
    /// Counts one more record for a key: the number that its records bear, and how many live with this one.
    /// `None` where there is no room for another key.
    fn enter(&self, id: &[u8; 16]) -> Option<(u32, u32)> {
        let hash = hash_of_key(id);
        let (index, live) = lock(shard_of(&self.shards, hash)?).enter(id, hash)?;
        // The shard stands in the low bits, so that a record finds its key again.
        Some((index.saturating_mul(SHARDS).saturating_add(shard_index(hash)), live))
    }

    /// Records that a key has now.
    fn live(&self, key: u32) -> u32 {
        self.shard_of_key(key).map_or(0, |shard| lock(shard).live(key / SHARDS))
    }

    /// Counts one record less; the last one frees the key.
    fn leave(&self, key: u32) {
        if let Some(shard) = self.shard_of_key(key) {
            lock(shard).leave(key / SHARDS);
        }
    }

    fn shard_of_key(&self, key: u32) -> Option<&Mutex<KeyShard>> {
        self.shards.get(usize::try_from(key % SHARDS).ok()?)
    }

    /// Keyed, so that nobody can choose nonces that fall together (T25). All in one piece: `Hash` would make two of it.
    fn nonce_hash(&self, key: u32, nonce: &[u8; 16]) -> u64 {
        let mut key_and_nonce = [0; 24];
        let (number, rest) = key_and_nonce.split_at_mut(8);
        number.copy_from_slice(&u64::from(key).to_le_bytes());
        rest.copy_from_slice(nonce);
        let mut hasher = self.hasher.build_hasher();
        hasher.write(&key_and_nonce);
        hasher.finish()
    }
}

/// The id of a key is the issuer's choice, and random for the most part; only those that a signature proved get here. So no caller
/// chooses ids that fall together, and spreading their bits is enough (Fibonacci hashing).
fn hash_of_key(id: &[u8; 16]) -> u64 {
    let id = u128::from_le_bytes(*id);
    let [low, high] = [id, id >> 64].map(|half| u64::try_from(half & u128::from(u64::MAX)).unwrap_or(0));
    let mixed = (low.rotate_left(29) ^ high).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 32
}

fn shard_index(hash: u64) -> u32 {
    u32::try_from(hash >> 32).unwrap_or(0) % SHARDS
}

fn shard_of<T>(shards: &[T], hash: u64) -> Option<&T> {
    shards.get(usize::try_from(shard_index(hash)).ok()?)
}

fn lock<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
