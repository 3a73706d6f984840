//! Reasons to load the state, joined to as few loads as possible.

use crate::lock::locked;
use std::sync::Mutex;
use tokio::sync::{Notify, watch};

/// What is wanted of the next load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Want {
    /// It is tried until it succeeds.
    pub(crate) must: bool,
    /// The whole state, whatever of it is there already.
    pub(crate) whole: bool,
    /// Cursors may go back: the issuer no longer knows the one that is there.
    pub(crate) reset: bool,
}

/// Reasons of all who want a state.
#[derive(Debug)]
pub(crate) struct Wants {
    next: Mutex<Option<Want>>,
    wake: Notify,
    /// Loads of the whole state that succeeded.
    whole: watch::Sender<u64>,
}

impl Default for Wants {
    fn default() -> Self {
        Self { next: Mutex::default(), wake: Notify::new(), whole: watch::Sender::new(0) }
    }
}

impl Wants {
    /// A state, tried for until it is there.
    pub(crate) fn state(&self) {
        self.add(Want { must: true, ..Want::default() });
    }

    /// One try.
    pub(crate) fn once(&self) {
        self.add(Want::default());
    }

    /// The whole state; waits until it is in force.
    pub(crate) async fn whole(&self, reset: bool) {
        let mut loads = self.whole.subscribe();
        self.add(Want { must: true, whole: true, reset });
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
        if want.whole {
            self.whole.send_modify(|loads| *loads = loads.wrapping_add(1));
        }
    }

    fn add(&self, more: Want) {
        let mut next = locked(&self.next);
        let want = next.unwrap_or_default();
        *next = Some(Want {
            must: want.must || more.must,
            whole: want.whole || more.whole,
            reset: want.reset || more.reset,
        });
        drop(next);
        self.wake.notify_one();
    }
}
