//! Following the chain from the first entry to the last.

use bmap_model::audit::chain::{ChainKey, ChainKeys, Head, Mac};
use bmap_store::{Database, StoreError};

/// Entries that are in memory at once.
const BATCH: u32 = 1000;

/// Where the chain breaks, and how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {sequence}: {fault}")]
pub struct Broken {
    /// The first entry that is not as it was written.
    pub sequence: i64,
    /// Its fault.
    pub fault: Fault,
}

/// A fault of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Its MAC does not hold.
    #[error("it is not as it was written, or the one before it is another")]
    Changed,
    /// It is not there.
    #[error("it is missing")]
    Missing,
    /// It can't be read.
    #[error("it can't be read")]
    Unreadable,
    /// Its key is not at hand.
    #[error("the root secret of its epoch is not at hand, nor the key that was kept of it")]
    NoKey,
    /// The log's own record of its last entry is another.
    #[error("the log ends here, and its own record of its last entry says otherwise")]
    Head,
    /// Rows that are in no place of the chain.
    #[error("there are rows that are in no place of the chain")]
    Strays,
    /// It is not the one that was noted.
    #[error("it is not the entry that was expected")]
    Unexpected,
}

/// Follows the chain to its end, wherever that is by then. `progress` hears of every thousand entries.
///
/// # Errors
/// [`StoreError`] where the database does not answer. The result is the last entry, or the one where the chain breaks.
pub async fn verify(
    store: &Database,
    keys: &ChainKeys,
    expected: Option<&Head>,
    mut progress: impl FnMut(i64),
) -> Result<Result<Head, Broken>, StoreError> {
    let mut head = Head { sequence: 0, mac: Mac::NONE };
    let mut key: Option<ChainKey> = None;
    loop {
        // Read first: entries that are appended meanwhile make the rows more than it says, never fewer.
        let last = store.audit_head().await?;
        let rows = store.audit_rows(head.sequence, BATCH).await?;
        if rows.is_empty() {
            return end(store, head, last, expected).await;
        }
        for row in rows {
            let next = head.sequence.saturating_add(1);
            let broken = |fault| Ok(Err(Broken { sequence: next, fault }));
            let Some(row) = row else { return broken(Fault::Unreadable) };
            if row.sequence != next {
                return broken(Fault::Missing);
            }
            if key.as_ref().is_none_or(|key| key.epoch() != row.epoch) {
                key = keys.of(row.epoch);
            }
            let Some(key) = &key else { return broken(Fault::NoKey) };
            let Some(following) = key.follow(&head, &row) else { return broken(Fault::Changed) };
            head = following;
            if expected.is_some_and(|expected| expected.sequence == head.sequence && *expected != head) {
                return broken(Fault::Unexpected);
            }
        }
        progress(head.sequence);
    }
}

async fn end(
    store: &Database,
    head: Head,
    last: Option<Head>,
    expected: Option<&Head>,
) -> Result<Result<Head, Broken>, StoreError> {
    let next = head.sequence.saturating_add(1);
    let broken = |sequence, fault| Ok(Err(Broken { sequence, fault }));
    if last.is_some_and(|last| last.sequence > head.sequence)
        || expected.is_some_and(|expected| expected.sequence > head.sequence)
    {
        return broken(next, Fault::Missing);
    }
    if last != Some(head) {
        return broken(next, Fault::Head);
    }
    if store.audit_count(head.sequence).await? > head.sequence {
        return broken(next, Fault::Strays);
    }
    Ok(Ok(head))
}
