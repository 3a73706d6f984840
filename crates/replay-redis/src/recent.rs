//! The latest requests that this process accepted, whatever becomes of the server's memory.
//!
//! A request is put in once the server has recorded it, at the moment at which it is accepted. A refused request is in no list, so it can be
//! sent again.

use bmap_verifier::replay::Record;
use hashbrown::HashTable;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Key and nonce.
type Id = [u8; 32];

/// A ring of the latest ids, with an index. Its memory is bounded by its size.
#[derive(Debug)]
pub(crate) struct Recent {
    ring: Mutex<Ring>,
    hasher: RandomState,
    size: usize,
}

#[derive(Debug, Default)]
struct Ring {
    ids: Vec<Id>,
    /// The place of the oldest id, once the ring is full.
    oldest: usize,
    places: HashTable<u32>,
}

impl Recent {
    pub(crate) fn new(size: u32) -> Self {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        // Twice its size: places that were given up are cleared without growing.
        let places = HashTable::with_capacity(size.saturating_mul(2));
        let ring = Ring { ids: Vec::new(), oldest: 0, places };
        Self { ring: Mutex::new(ring), hasher: RandomState::new(), size }
    }

    /// Whether this process accepted it.
    pub(crate) fn contains(&self, record: &Record) -> bool {
        let id = id(record);
        let hash = self.hasher.hash_one(id);
        let ring = self.lock();
        ring.places.find(hash, |place| ring.at(*place) == Some(&id)).is_some()
    }

    /// Puts it in; false where it is in already.
    pub(crate) fn insert(&self, record: &Record) -> bool {
        let id = id(record);
        let hash = self.hasher.hash_one(id);
        let mut ring = self.lock();
        let Ring { ids, oldest, places } = &mut *ring;
        let is = |place: &u32, id: &Id| at(ids, *place) == Some(id);
        if places.find(hash, |place| is(place, &id)).is_some() {
            return false;
        }
        if ids.len() < self.size {
            let Ok(place) = u32::try_from(ids.len()) else { return true };
            ids.push(id);
            places.insert_unique(hash, place, |place| at(ids, *place).map_or(0, |id| self.hasher.hash_one(id)));
            return true;
        }
        let Some(former) = ids.get(*oldest).copied() else { return true };
        let Ok(place) = u32::try_from(*oldest) else { return true };
        if let Ok(entry) = places.find_entry(self.hasher.hash_one(former), |other| *other == place) {
            entry.remove();
        }
        if let Some(slot) = ids.get_mut(*oldest) {
            *slot = id;
        }
        places.insert_unique(hash, place, |place| at(ids, *place).map_or(0, |id| self.hasher.hash_one(id)));
        *oldest = oldest.saturating_add(1).checked_rem(self.size).unwrap_or(0);
        true
    }

    /// A panic while it was held leaves a ring that may lack an id and holds none that was not accepted.
    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn at(&self, place: u32) -> Option<&Id> {
        at(&self.ids, place)
    }
}

fn at(ids: &[Id], place: u32) -> Option<&Id> {
    ids.get(usize::try_from(place).ok()?)
}

fn id(record: &Record) -> Id {
    let mut id = [0; 32];
    let (key, nonce) = id.split_at_mut(16);
    key.copy_from_slice(&record.key);
    nonce.copy_from_slice(&record.nonce);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u32) -> Record {
        let mut nonce = [0; 16];
        nonce[..4].copy_from_slice(&number.to_be_bytes());
        Record { key: [9; 16], nonce, until: 0 }
    }

    #[test]
    fn the_latest_are_known_and_older_ones_make_room() {
        let recent = Recent::new(100);
        let allocated = recent.lock().places.allocation_size();
        for number in 0..1000 {
            assert!(!recent.contains(&record(number)));
            assert!(recent.insert(&record(number)));
            for known in number.saturating_sub(99)..=number {
                assert!(recent.contains(&record(known)) && !recent.insert(&record(known)), "{known} at {number}");
            }
            assert!(number < 100 || !recent.contains(&record(number - 100)));
        }
        assert_eq!(recent.lock().places.len(), 100);
        assert_eq!(recent.lock().places.allocation_size(), allocated, "it never grows");
        let other_key = Record { key: [8; 16], ..record(999) };
        assert!(recent.insert(&other_key));
    }

    #[test]
    fn a_ring_without_room_knows_nothing() {
        let recent = Recent::new(0);
        assert!(recent.insert(&record(1)) && recent.insert(&record(1)) && !recent.contains(&record(1)));
    }

    #[test]
    fn of_many_at_once_one_is_first() {
        let recent = Recent::new(64);
        for number in 0..200 {
            let first = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| recent.insert(&record(number)))).collect();
                threads.into_iter().filter_map(|thread| thread.join().ok()).filter(|first| *first).count()
            });
            assert_eq!(first, 1);
        }
    }
}
