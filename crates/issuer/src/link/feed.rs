//! The changes for one verifier, in their order, with a mark each second.

use super::caller::LinkCaller;
use super::hub::{LinkHub, Place, Window};
use super::state::touches;
use crate::error::IssuerError;
use crate::issuer::Issuer;
use bmap_protocol::link::{Change, ChangeKind, Mark, SYNC_SECONDS};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout_at};

/// Longest life of a feed, after which the verifier proves itself again.
const LIFE: Duration = Duration::from_mins(15);
/// How old what the hub has read may be for a mark to be sent: a mark says that nothing is missing.
const FRESH: Duration = Duration::from_secs(1);

/// What is sent next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A change.
    Change(Change),
    /// Every change up to a cursor was sent.
    Mark(Mark),
}

/// The feed of one verifier.
#[derive(Debug)]
pub struct Feed {
    issuer: Arc<Issuer>,
    place: Place,
    tool: String,
    epoch: u32,
    /// Every change up to here was taken over into `waiting`, or does not touch the tool.
    cursor: i64,
    waiting: VecDeque<Sent>,
    marks: Interval,
    ends_at: Instant,
    is_over: bool,
}

/// Why a verifier gets no feed.
#[derive(Debug, thiserror::Error)]
pub enum NoFeed {
    /// Changes behind its cursor were deleted, or the cursor is not of this database: it loads the state.
    #[error("the cursor is gone")]
    CursorGone,
    /// There are as many feeds as there may be.
    #[error("there are too many feeds")]
    TooMany,
    /// Another refusal.
    #[error(transparent)]
    Refused(#[from] IssuerError),
}

impl Feed {
    /// The feed behind a cursor.
    ///
    /// # Errors
    /// [`NoFeed`].
    pub async fn open(issuer: &Arc<Issuer>, hub: &LinkHub, caller: &LinkCaller, after: i64) -> Result<Self, NoFeed> {
        let place = hub.place().ok_or(NoFeed::TooMany)?;
        let mut marks = interval(Duration::from_secs(SYNC_SECONDS));
        marks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let now = Instant::now();
        let mut feed = Self {
            issuer: Arc::clone(issuer),
            place,
            tool: caller.tool.id.to_string(),
            epoch: caller.epoch,
            cursor: after,
            waiting: VecDeque::new(),
            marks,
            ends_at: now.checked_add(LIFE).unwrap_or(now),
            is_over: false,
        };
        if feed.catch_up().await? { Ok(feed) } else { Err(NoFeed::CursorGone) }
    }

    /// What is sent next; `None` at its end.
    pub async fn next(&mut self) -> Option<Sent> {
        loop {
            if let Some(sent) = self.waiting.pop_front() {
                return Some(sent);
            }
            if self.is_over || Instant::now() >= self.ends_at || self.issuer.roots.of(self.epoch).is_none() {
                return None;
            }
            tokio::select! {
                changed = timeout_at(self.ends_at, self.place.windows.changed()) => match changed {
                    Ok(Ok(())) => {}
                    // The hub has ended, or the feed's life.
                    _ => return None,
                },
                _ = self.marks.tick() => {
                    let window = self.place.windows.borrow().clone();
                    if let Some(window) = window.filter(|window| window.read_at.elapsed() < FRESH && window.to <= self.cursor) {
                        return Some(self.mark(window.to.max(self.cursor)));
                    }
                }
            }
            let window = self.place.windows.borrow_and_update().clone();
            if let Some(window) = window
                && window.to > self.cursor
                && !self.take(&window).await
            {
                return None;
            }
        }
    }

    /// Takes over what is behind the feed's cursor. Whether there is no gap.
    async fn take(&mut self, window: &Window) -> bool {
        if self.cursor < window.from {
            return self.catch_up().await.unwrap_or(false);
        }
        let behind = window.changes.iter().filter(|change| change.cursor > self.cursor).cloned().collect();
        self.queue(behind, window.to);
        true
    }

    /// Reads what is behind the feed's cursor from the database. Whether there is no gap.
    async fn catch_up(&mut self) -> Result<bool, IssuerError> {
        loop {
            let newest = self.issuer.store.link_cursor().await?;
            let Some(page) = self.issuer.store.link_changes(self.cursor).await? else { return Ok(false) };
            let is_last = page.len() < usize::try_from(bmap_store::LINK_PAGE).unwrap_or(usize::MAX);
            // Beyond a full page there may be more, behind its last cursor.
            let to = if is_last { newest } else { page.last().map_or(newest, |change| change.cursor) };
            let page = page.into_iter().filter(|change| change.cursor <= to).collect();
            self.queue(page, to);
            if is_last {
                return Ok(true);
            }
        }
    }

    fn queue(&mut self, changes: Vec<Change>, to: i64) {
        self.cursor = self.cursor.max(to);
        let mut told = false;
        for change in changes.into_iter().filter(|change| touches(change, &self.tool)) {
            self.is_over |= change.kind == ChangeKind::ToolEpoch;
            self.waiting.push_back(Sent::Change(change));
            told = true;
        }
        // At once, so that the verifier knows that the act is complete.
        if told {
            let mark = self.mark(self.cursor);
            self.waiting.push_back(mark);
        }
    }

    fn mark(&self, cursor: i64) -> Sent {
        Sent::Mark(Mark { cursor, server_time: self.issuer.clock.now().0 })
    }
}
