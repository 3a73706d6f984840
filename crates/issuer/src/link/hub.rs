//! The changes of the database, read once for all feeds of a process.

use bmap_protocol::link::Change;
use bmap_store::{Database, LINK_PAGE, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Longest time between two looks at the database, while a feed is open. What wakes the hub earlier is not relied on.
pub const POLL: Duration = Duration::from_millis(250);
/// How often a hub without a feed looks whether one has come.
const IDLE: Duration = Duration::from_millis(50);
/// Most changes that are kept for feeds that are a little behind.
const KEPT: usize = 4_096;
/// Most feeds of a process.
const FEEDS: usize = 4_096;

/// What the hub has read: every change behind `from` up to `to`, as of `read_at`.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) changes: Arc<[Change]>,
    pub(crate) read_at: Instant,
}

/// Reads changes as long as a feed is open. Dropped, it ends, and every feed with it.
#[derive(Debug)]
pub struct LinkHub {
    windows: watch::Receiver<Option<Window>>,
    places: Arc<Semaphore>,
    reading: JoinHandle<()>,
}

/// A feed's place in the hub.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) windows: watch::Receiver<Option<Window>>,
    _permit: OwnedSemaphorePermit,
}

impl LinkHub {
    /// A hub over a database.
    pub fn start(store: Database) -> Self {
        let (sender, windows) = watch::channel(None);
        let places = Arc::new(Semaphore::new(FEEDS));
        let open = Arc::clone(&places);
        let reading = tokio::spawn(async move {
            let mut waker = store.link_waker();
            loop {
                if open.available_permits() == FEEDS {
                    // Nothing is read for no feed. What is read next begins anew.
                    sender.send_replace(None);
                    tokio::time::sleep(IDLE).await;
                    continue;
                }
                let before = sender.borrow().clone();
                match read(&store, before).await {
                    Ok(window) => drop(sender.send_replace(Some(window))),
                    // No mark is sent meanwhile, so verifiers know that they are behind.
                    Err(error) => tracing::warn!("changes for verifiers: {error}"),
                }
                waker.wait(POLL).await;
            }
        });
        Self { windows, places, reading }
    }

    /// Ends every feed, for good.
    pub fn stop(&self) {
        self.places.close();
        self.reading.abort();
    }

    /// A place for one more feed; `None` where there are as many as there may be.
    pub(crate) fn place(&self) -> Option<Place> {
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Place { windows: self.windows.clone(), _permit: permit })
    }
}

impl Drop for LinkHub {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// The next window: what was committed since the one before.
async fn read(store: &Database, before: Option<Window>) -> Result<Window, StoreError> {
    // The cursor first: every change up to it is there to be read.
    let (to, read_at) = (store.link_cursor().await?, Instant::now());
    let fresh = Window { from: to, to, changes: Arc::default(), read_at };
    let Some(before) = before else { return Ok(fresh) };
    if to == before.to {
        return Ok(Window { read_at, ..before });
    }
    let mut changes = Vec::new();
    let mut after = before.to;
    loop {
        // A gap, or another database: feeds look for themselves.
        let Some(page) = store.link_changes(after).await? else { return Ok(fresh) };
        let is_last = page.len() < usize::try_from(LINK_PAGE).unwrap_or(usize::MAX);
        after = page.last().map_or(after, |change| change.cursor);
        changes.extend(page);
        if is_last {
            break;
        }
    }
    // Those behind the cursor, which were committed meanwhile, are read again the next time.
    changes.retain(|change| change.cursor <= to);
    if changes.is_empty() {
        return Ok(Window { to, read_at, ..before });
    }
    let kept = before.changes.iter().cloned().chain(changes).collect::<Vec<_>>();
    let dropped = kept.len().saturating_sub(KEPT);
    let from = dropped.checked_sub(1).and_then(|last| kept.get(last)).map_or(before.from, |change| change.cursor);
    let changes = kept.into_iter().filter(|change| change.cursor > from).collect();
    Ok(Window { from, to, changes, read_at })
}
