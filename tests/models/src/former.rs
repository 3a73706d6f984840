//! The former store, as a small copy that is faithful in what was wrong with it:
//!
//! - each shard has a clock of its own, which only calls for that shard move;
//! - a record is known by the hash of a *number* of its key and the nonce, and a key that has no live record gives its number back;
//! - a call is judged by the time that it brings, which was read when the request's head came.
//!
//! Left out: buckets of one cache line, sweeping a part at a time, and the bounds on records and keys, none of which it fails by.

use crate::store::{Record, ReplayLimits, Store};
use crate::sync::{Mutex, PoisonError};
use bmap_protocol::check::Window;
use bmap_protocol::refusal::Refusal;

/// The former store.
#[derive(Debug)]
pub struct FormerStore {
    shards: Vec<Mutex<Shard>>,
    keys: Mutex<KeyNumbers>,
}

#[derive(Debug, Default)]
struct Shard {
    now: i64,
    records: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    number: usize,
    nonce: [u8; 16],
    until: i64,
}

/// The keys with live records: which has which number, and how many records.
#[derive(Debug, Default)]
struct KeyNumbers {
    numbers: Vec<Option<([u8; 16], u32)>>,
    free: Vec<usize>,
}

impl KeyNumbers {
    fn enter(&mut self, id: [u8; 16]) -> usize {
        let known = self.numbers.iter_mut().enumerate().find_map(|(number, key)| match key {
            Some((other, live)) if *other == id => Some((number, live)),
            _ => None,
        });
        if let Some((number, live)) = known {
            *live += 1;
            return number;
        }
        let number = self.free.pop().unwrap_or(self.numbers.len());
        if number == self.numbers.len() {
            self.numbers.push(None);
        }
        self.numbers[number] = Some((id, 1));
        number
    }

    fn leave(&mut self, number: usize) {
        if let Some((_, live)) = &mut self.numbers[number] {
            *live -= 1;
            if *live == 0 {
                self.numbers[number] = None;
                self.free.push(number);
            }
        }
    }
}

impl Store for FormerStore {
    fn new(_limits: ReplayLimits, _window: Window, shards: u32) -> Self {
        Self { shards: (0..shards).map(|_| Mutex::default()).collect(), keys: Mutex::default() }
    }

    fn record(&self, record: &Record, now: i64) -> Result<(), Refusal> {
        let keys = || self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let number = keys().enter(record.key);
        // Any hash does that spreads number and nonce.
        let hash = (number * 7 + usize::from(record.nonce[0])) * 5;
        let mut shard = self.shards[hash % self.shards.len()].lock().unwrap_or_else(PoisonError::into_inner);
        if now > shard.now {
            shard.now = now;
            shard.records.retain(|known| {
                let lives = known.until > now;
                if !lives {
                    keys().leave(known.number);
                }
                lives
            });
        }
        let verdict = if record.until <= shard.now {
            Err(Refusal::ReplayStoreUnavailable)
        } else if shard.records.iter().any(|known| known.number == number && known.nonce == record.nonce) {
            Err(Refusal::Replayed)
        } else {
            shard.records.push(Known { number, nonce: record.nonce, until: record.until });
            Ok(())
        };
        if verdict.is_err() {
            keys().leave(number);
        }
        verdict
    }
}
