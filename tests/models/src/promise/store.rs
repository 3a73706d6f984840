//! A store in the model: records, and the clock or clocks that they are judged by.

use super::design::{Design, PAST, Request, SKEW};
use std::collections::{BTreeMap, BTreeSet};

/// The identity of a record: the key's bytes or its number, and the nonce. The model has one nonce for each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    key: u8,
    nonce: u8,
}

/// Records and clocks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Table {
    records: BTreeSet<Record>,
    /// The latest time that a call came with.
    pub(super) latest: u8,
    /// In the former store each identity may lie in a shard of its own, whose clock only calls for that shard move.
    clocks: BTreeMap<Identity, u8>,
    /// In the former store, which key has which number.
    numbers: [Option<u8>; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Record {
    identity: Identity,
    key: u8,
    until: u8,
}

/// The state that a process leaves to the next one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct File {
    pub(super) table: Table,
    /// The second until which its process did not know what was let in.
    pub(super) forgot: Option<u8>,
}

impl Table {
    /// Records a first use at a time; whether it was one.
    pub(super) fn record(&mut self, design: Design, nonce: usize, request: Request, now: u8) -> bool {
        self.latest = self.latest.max(now);
        let Some(key) = self.enter(design, request.key) else { return false };
        let identity = Identity { key, nonce: u8::try_from(nonce).expect("few requests") };
        let now = self.advance(design, identity, now);
        let lives = request.until() > now && request.until() - now <= PAST + 2 * SKEW + 1;
        let record = Record { identity, key: request.key, until: request.until() };
        let first = lives && !self.records.iter().any(|known| known.identity == identity && known.until > now);
        if first {
            self.records.insert(record);
        }
        self.free(design);
        first
    }

    /// Other calls for the shard of an identity move its clock.
    pub(super) fn traffic(&mut self, design: Design, identity: Identity, now: u8) {
        self.advance(design, identity, now);
        self.free(design);
    }

    /// The records in it.
    pub(super) fn identities(&self) -> impl Iterator<Item = Identity> {
        self.records.iter().map(|record| record.identity)
    }

    /// Moves the clock that an identity is judged by, and takes away what has ended by it.
    fn advance(&mut self, design: Design, identity: Identity, now: u8) -> u8 {
        if design.one_clock {
            let now = self.latest;
            self.records.retain(|record| record.until > now);
            return now;
        }
        let clock = self.clocks.entry(identity).or_default();
        *clock = now.max(*clock);
        let now = *clock;
        self.records.retain(|record| record.identity != identity || record.until > now);
        now
    }

    /// A key's number, or its bytes.
    fn enter(&mut self, design: Design, key: u8) -> Option<u8> {
        if design.knows_keys_by_bytes {
            return Some(key);
        }
        let known = self.numbers.iter().position(|other| *other == Some(key));
        let number = known.or_else(|| self.numbers.iter().position(Option::is_none))?;
        self.numbers[number] = Some(key);
        u8::try_from(number).ok()
    }

    /// A key without records gives its number back.
    fn free(&mut self, design: Design) {
        if !design.knows_keys_by_bytes {
            let live: BTreeSet<u8> = self.records.iter().map(|record| record.key).collect();
            self.numbers = self.numbers.map(|key| key.filter(|key| live.contains(key)));
        }
    }
}
