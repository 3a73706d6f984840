//! One of several shards by a hash, and its lock.

use crate::sync::{Mutex, MutexGuard, PoisonError};

pub(super) fn at_shard<T>(shards: &[T], hash: u32) -> Option<&T> {
    let index = usize::try_from(hash).ok()?.checked_rem(shards.len())?;
    shards.get(index)
}

pub(super) fn lock<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
