//! Reasons to load the state, joined to as few loads as possible.

use crate::lock::locked;
use std::sync::Mutex;
use tokio::sync::{Notify, watch};

/// What is wanted of the next load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Want {
    /// It is tried until it succeeds.
    pub(crate) must: bool,
    /// The whole state, whatever is there already: cursors may go back.
    pub(crate) from_start: bool,
}

/// Reasons of all who want a state.
#[derive(Debug)]
pub(crate) struct Wants {
    next: Mutex<Option<Want>>,
    wake: Notify,
    /// Loads from the start that succeeded.
    from_start: watch::Sender<u64>,
}

impl Default for Wants {
    fn default() -> Self {
        Self { next: Mutex::default(), wake: Notify::new(), from_start: watch::Sender::new(0) }
    }
}

impl Wants {
    /// A state, tried for until it is there.
    pub(crate) fn state(&self) {
        self.add(Want { must: true, from_start: false });
    }

    /// One try.
    pub(crate) fn once(&self) {
        self.add(Want::default());
    }

    /// A whole state from the start; waits until it is in force.
    pub(crate) async fn from_start(&self) {
        let mut loads = self.from_start.subscribe();
        self.add(Want { must: true, from_start: true });
        // The sender is part of this.
        let _ = loads.changed().await;
    }

    /// A want that could not be met is wanted again.
    pub(crate) fn again(&self, want: Want) {
        self.add(want);
    }

    /// Waits for the next reason, and takes all that there are.
    pub(crate) async fn next(&self) -> Want {
        loop {
            if let Some(want) = locked(&self.next).take() {
                return want;
            }
            self.wake.notified().await;
        }
    }

    /// A want was met.
    pub(crate) fn met(&self, want: Want) {
        if want.from_start {
            self.from_start.send_modify(|loads| *loads = loads.wrapping_add(1));
        }
    }

    fn add(&self, more: Want) {
        let mut next = locked(&self.next);
        let want = next.unwrap_or_default();
        *next = Some(Want { must: want.must || more.must, from_start: want.from_start || more.from_start });
        drop(next);
        self.wake.notify_one();
    }
}
