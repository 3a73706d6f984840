//! How many records each key has. For counting alone: what tells records apart is their hash, in which no number of a key is.
//!
//! A key has a slot while it has records, and each record bears the slot's number, to count itself out when it ends. A slot is used again only
//! after its count came to nothing, which is when no record bears its number any more.

use super::hash::{Seed, index_in};

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct KeyShard {
    seed: Seed,
    /// The first slot of each chain.
    heads: Box<[u32]>,
    slots: Vec<Slot>,
    /// The first of the free slots.
    free: u32,
}

#[derive(Debug)]
struct Slot {
    id: [u8; 16],
    /// Live records.
    live: u32,
    /// The next slot of its chain, or the next free one.
    next: u32,
}

impl KeyShard {
    pub(super) fn new(capacity: usize, seed: Seed) -> Self {
        // Two for each chain where every record has a key of its own, which is the worst that there is.
        let heads = vec![NONE; (capacity / 2).max(1)].into_boxed_slice();
        Self { seed, heads, slots: Vec::with_capacity(capacity), free: NONE }
    }

    pub(super) fn max_bytes(&self) -> usize {
        let slots = self.slots.capacity().saturating_mul(size_of::<Slot>());
        size_of::<Self>().saturating_add(slots).saturating_add(size_of_val(&*self.heads))
    }

    /// Counts one more record: the key's slot and how many it has now. `None` where there is no room for another key.
    pub(super) fn enter(&mut self, id: &[u8; 16], place: u32) -> Option<(u32, u32)> {
        let chain = index_in(place, self.heads.len());
        let first = *self.heads.get(chain)?;
        let mut at = first;
        while let Some(slot) = slot_mut(&mut self.slots, at) {
            if slot.id == *id {
                slot.live = slot.live.saturating_add(1);
                return Some((at, slot.live));
            }
            at = slot.next;
        }
        let added = self.add(Slot { id: *id, live: 1, next: first })?;
        *self.heads.get_mut(chain)? = added;
        Some((added, 1))
    }

    /// Puts a slot where there is room, within the reserved size.
    fn add(&mut self, new: Slot) -> Option<u32> {
        if let Some(slot) = slot_mut(&mut self.slots, self.free) {
            let index = self.free;
            self.free = std::mem::replace(slot, new).next;
            return Some(index);
        }
        if self.slots.len() == self.slots.capacity() {
            return None;
        }
        let index = u32::try_from(self.slots.len()).ok().filter(|index| *index != NONE)?;
        self.slots.push(new);
        Some(index)
    }

    /// Records that a key has.
    pub(super) fn live(&self, index: u32) -> u32 {
        usize::try_from(index).ok().and_then(|index| self.slots.get(index)).map_or(0, |slot| slot.live)
    }

    /// Counts one record less; the last one frees the slot.
    pub(super) fn leave(&mut self, index: u32) {
        let Some(slot) = slot_mut(&mut self.slots, index).filter(|slot| slot.live > 0) else { return };
        slot.live = slot.live.saturating_sub(1);
        if slot.live > 0 {
            return;
        }
        let (id, next) = (slot.id, slot.next);
        self.unchain(&id, index, next);
        if let Some(slot) = slot_mut(&mut self.slots, index) {
            slot.next = std::mem::replace(&mut self.free, index);
        }
    }

    /// Makes what points at a slot point at the one behind it.
    fn unchain(&mut self, id: &[u8; 16], index: u32, next: u32) {
        let chain = index_in(self.seed.of_key(id).place, self.heads.len());
        let Some(head) = self.heads.get_mut(chain) else { return };
        if *head == index {
            *head = next;
            return;
        }
        let mut at = *head;
        while let Some(slot) = slot_mut(&mut self.slots, at) {
            if slot.next == index {
                slot.next = next;
                return;
            }
            at = slot.next;
        }
    }
}

fn slot_mut(slots: &mut [Slot], index: u32) -> Option<&mut Slot> {
    slots.get_mut(usize::try_from(index).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Few chains and few slots, many keys that come and go: the counts are those of a map, and a full shard says so.
    #[test]
    fn slots_that_are_used_again_count_for_their_own_key_alone() {
        let seed = Seed::random();
        let mut shard = KeyShard::new(8, seed);
        let mut counts: HashMap<u8, (u32, u32)> = HashMap::new();
        let mut number = 1_u32;
        for _ in 0..100_000 {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let key = u8::try_from(number >> 24).unwrap() % 13;
            let id = [key; 16];
            if number & 0x10_0000 == 0 {
                match shard.enter(&id, seed.of_key(&id).place) {
                    Some((slot, live)) => {
                        let counted = counts.entry(key).or_insert((slot, 0));
                        counted.1 += 1;
                        assert_eq!((slot, live), *counted);
                    }
                    None => assert!(counts.len() == 8 && !counts.contains_key(&key)),
                }
            } else if let Some(counted) = counts.get_mut(&key) {
                counted.1 -= 1;
                shard.leave(counted.0);
                assert_eq!(shard.live(counted.0), counted.1);
                if counted.1 == 0 {
                    counts.remove(&key);
                }
            }
        }
        assert!(counts.len() > 3);
    }
}
