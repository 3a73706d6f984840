//! The replay store of one process, with the records of the processes before it.

use super::folder::{StateError, StateFolder};
use super::hash::Seed;
use super::nonces::{Nonces, SHARDS};
use super::record::{Record, ReplayLimits};
use super::state::{self, Unusable};
use super::{ReplayStore, state::State};
use crate::clock::Clock;
use crate::verify::fresh::Fresh;
use bmap_protocol::check::Window;
use bmap_protocol::refusal::Refusal;
use std::path::Path;

/// The replay store of one process.
///
/// ```
/// use bmap_verifier::protocol::check::Window;
/// use bmap_verifier::{MemoryReplayStore, ReplayLimits, ReplayStore};
///
/// let store = MemoryReplayStore::new(ReplayLimits::default(), Window::DEFAULT, 1_764_000_000);
/// // A process before this one may have let in requests that were signed 5 s ahead.
/// assert_eq!(store.forgot_until(), Some(1_764_000_005));
/// ```
#[derive(Debug)]
pub struct MemoryReplayStore {
    nonces: Nonces,
    window: Window,
    forgot_until: i64,
    state: Option<OpenState>,
}

/// Where a store is saved. Its lock is held for as long as the store lives.
#[derive(Debug)]
struct OpenState {
    folder: StateFolder,
    owner: String,
}

/// How a store with a state folder began.
///
/// ```
/// use bmap_verifier::protocol::check::Window;
/// use bmap_verifier::{MemoryReplayStore, ReplayLimits, Start, SystemClock};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let (store, start) = MemoryReplayStore::open(folder, "geo", ReplayLimits::default(), Window::DEFAULT, &SystemClock)?;
/// assert_eq!(start, Start::Plain, "the first start");
/// store.save(SystemClock.now().seconds())?;
/// drop(store);
/// let (_, start) = MemoryReplayStore::open(folder, "geo", ReplayLimits::default(), Window::DEFAULT, &SystemClock)?;
/// assert_eq!(start, Start::Restored { records: 0 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// There was no file: the first start, or the process before ended without [`MemoryReplayStore::save`]. Requests that were
    /// signed until `start + skew` are refused.
    Plain,
    /// With the records of the process before.
    Restored {
        /// Live records.
        records: usize,
    },
    /// There was a file, and it was not believed. As [`Start::Plain`].
    Ignored(Unusable),
}

impl MemoryReplayStore {
    /// A store that begins at `started`, seconds since 1970, for requests within `window`.
    pub fn new(limits: ReplayLimits, window: Window, started: i64) -> Self {
        let nonces = Nonces::new(limits, window, started, Seed::random(), SHARDS);
        // A process before this one may have accepted requests that were signed that far ahead of their time.
        let forgot_until = started.saturating_add(window.future.into());
        Self { nonces, window, forgot_until, state: None }
    }

    /// A store that knows what [`MemoryReplayStore::save`] wrote to this folder, if it was the last that a process did there. The clock is read
    /// once the folder is locked: a process before this one accepted its requests before that. The folder must be there, on a local disk, and be
    /// this process's alone.
    ///
    /// `owner` says whose nonces these are, such as issuer and tool: a file of another owner is not read. The file is taken away, and that is on the
    /// disk, before this returns: so it is never read twice, and a process that is killed is followed by a plain start.
    ///
    /// # Errors
    /// [`StateError`]: another process has the folder, or the system does not let it be read and changed. Don't go on without state then: the
    /// process that has the folder would save its own records, and a later one would take them for complete.
    pub fn open(
        folder: &Path,
        owner: &str,
        limits: ReplayLimits,
        window: Window,
        clock: &impl Clock,
    ) -> Result<(Self, Start), StateError> {
        let folder = StateFolder::lock(folder)?;
        let now = clock.now().seconds();
        let read = match folder.take(state::max_bytes(limits))? {
            Some(bytes) => State::read(&bytes, owner, limits, window, now).map(Some),
            None => Ok(None),
        };
        let (store, start) = match read {
            Ok(Some(State { nonces, forgot_until })) => {
                let start = Start::Restored { records: nonces.len() };
                (Self { nonces, window, forgot_until, state: None }, start)
            }
            Ok(None) => (Self::new(limits, window, now), Start::Plain),
            Err(unusable) => (Self::new(limits, window, now), Start::Ignored(unusable)),
        };
        Ok((Self { state: Some(OpenState { folder, owner: owner.to_owned() }), ..store }, start))
    }

    /// Writes its records to its folder, at an orderly stop, once no request is in flight any more; `now` is in seconds since 1970. From then on
    /// the store takes no record (503), because the file would not have it. Returns the live records; `None` for a store without a folder.
    ///
    /// # Errors
    /// [`StateError::Io`]. There is no file then, and the next start is a plain one.
    pub fn save(&self, now: i64) -> Result<Option<usize>, StateError> {
        let Some(OpenState { folder, owner }) = &self.state else { return Ok(None) };
        let (bytes, records) = state::write(&self.nonces, owner, self.window, self.forgot_until, now);
        folder.put(&bytes)?;
        Ok(Some(records))
    }

    /// The most that the store can take up, in bytes.
    pub fn max_bytes(&self) -> usize {
        size_of::<Self>().saturating_add(self.nonces.max_bytes())
    }

    /// Live records, with some that ended a few seconds ago, or since their shard was last used.
    pub fn len(&self) -> usize {
        self.nonces.len()
    }

    /// Whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Records a first use, at once. A `now` behind the latest time that the store was called with is judged by that one, and a record that ended by
    /// it is refused: each (keyid, nonce) is accepted once, also where time goes back.
    ///
    /// # Errors
    /// As [`ReplayStore::record`].
    pub fn record_now(&self, record: &Record, now: i64) -> Result<(), Refusal> {
        self.nonces.record(record, now)
    }
}

impl ReplayStore for MemoryReplayStore {
    async fn record(&self, record: Record, fresh: Fresh) -> Result<(), Refusal> {
        self.record_now(&record, fresh.at().seconds())
    }

    fn forgot_until(&self) -> Option<i64> {
        Some(self.forgot_until)
    }

    fn latest_seen(&self) -> i64 {
        self.nonces.latest()
    }
}
