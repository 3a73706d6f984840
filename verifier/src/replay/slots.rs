//! Fixed-size storage: indices of 32 bits instead of pointers, and tables that never grow.

use hashbrown::HashTable;

/// No index.
pub(super) const NONE: u32 = u32::MAX;

/// The element at an index; [`NONE`] has none.
pub(super) fn at<T>(slots: &[T], index: u32) -> Option<&T> {
    slots.get(usize::try_from(index).ok()?)
}

/// The element at an index, to change it.
pub(super) fn at_mut<T>(slots: &mut [T], index: u32) -> Option<&mut T> {
    slots.get_mut(usize::try_from(index).ok()?)
}

/// Puts an element behind the last one, within the reserved size; its index.
pub(super) fn push<T>(slots: &mut Vec<T>, element: T) -> Option<u32> {
    if slots.len() == slots.capacity() {
        return None;
    }
    let index = u32::try_from(slots.len()).ok().filter(|index| *index != NONE)?;
    slots.push(element);
    Some(index)
}

/// Inserts into a table that has its full size. What is removed can leave marks behind that use up room; a table that
/// grew then would break the bound on bytes, so it is laid anew instead.
pub(super) fn insert_without_growth(table: &mut HashTable<u32>, hash: u64, index: u32, hash_of: impl Fn(&u32) -> u64) {
    if table.capacity() == table.len() {
        let live: Vec<u32> = table.iter().copied().collect();
        table.clear();
        for index in live {
            table.insert_unique(hash_of(&index), index, &hash_of);
        }
    }
    table.insert_unique(hash, index, hash_of);
}

/// Removes an index from a table.
pub(super) fn remove(table: &mut HashTable<u32>, hash: u64, index: u32) {
    if let Ok(entry) = table.find_entry(hash, |other| *other == index) {
        entry.remove();
    }
}
