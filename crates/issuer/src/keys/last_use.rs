//! When and from where each key was last used. Kept in memory and written in batches: a request that uses a key writes
//! nothing. It is shown to the users who manage the key, and nothing is decided by it; a process that is killed forgets a
//! few seconds.

use bmap_model::keys::last_use::LastUse;
use bmap_protocol::ids::ApiKeyId;
use bmap_store::{Database, Result};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often uses are written.
pub const INTERVAL: Duration = Duration::from_secs(5);
/// Most rows of one transaction, so that no other writer waits long for its turn.
const BATCH: usize = 256;

/// The uses that are not written yet: at most one for each key that there is.
#[derive(Debug, Default)]
pub struct LastUses(Mutex<HashMap<ApiKeyId, LastUse>>);

impl LastUses {
    /// Notes a use of a key that proved itself.
    pub fn note(&self, id: &ApiKeyId, last_use: LastUse) {
        self.locked(|uses| {
            let newest = uses.entry(id.clone()).or_insert(last_use);
            if newest.at <= last_use.at {
                *newest = last_use;
            }
        });
    }

    /// The newer of the stored use and the one that is only noted yet.
    pub fn newest(&self, id: &ApiKeyId, stored: Option<LastUse>) -> Option<LastUse> {
        let noted = self.locked(|uses| uses.get(id).copied());
        noted.into_iter().chain(stored).max_by_key(|last_use| last_use.at)
    }

    /// Writes the uses that were noted. Uses that can't be written are kept for the next time.
    ///
    /// # Errors
    /// The storage's.
    pub async fn write(&self, store: &Database) -> Result<()> {
        let mut noted: Vec<(ApiKeyId, LastUse)> = self.locked(|uses| uses.drain().collect());
        while !noted.is_empty() {
            let rest = noted.split_off(noted.len().min(BATCH));
            if let Err(error) = store.write_last_uses(&noted).await {
                noted.into_iter().chain(rest).for_each(|(id, last_use)| self.note(&id, last_use));
                return Err(error);
            }
            noted = rest;
        }
        Ok(())
    }

    fn locked<T>(&self, work: impl FnOnce(&mut HashMap<ApiKeyId, LastUse>) -> T) -> T {
        // A panic while the lock is held leaves whole entries: poisoning says nothing here.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bmap_model::clock::UnixTime;
    use bmap_model::keys::last_use::Way;

    #[test]
    fn the_newest_use_of_each_key_stays() {
        let uses = LastUses::default();
        let (id, other) = (ApiKeyId::from_uuid([1; 16]), ApiKeyId::from_uuid([2; 16]));
        let at = |millis| LastUse {
            at: UnixTime(millis),
            address: "192.0.2.1".parse().unwrap(),
            way: Way::from_word("basic").unwrap(),
        };
        assert_eq!(uses.newest(&id, Some(at(5))), Some(at(5)));
        for millis in [7, 9, 8] {
            uses.note(&id, at(millis));
        }
        assert_eq!(uses.newest(&id, Some(at(5))), Some(at(9)));
        assert_eq!(uses.newest(&id, Some(at(10))), Some(at(10)));
        assert_eq!(uses.newest(&other, None), None);
    }
}
