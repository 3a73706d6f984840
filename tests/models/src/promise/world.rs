//! A world to look through: its bounds, one state of it, and what can happen next.

use super::design::{Design, Place, Request};
use super::node::Node;
use super::shared::Primary;
use super::store::{File, Identity};

/// One world to look through.
#[derive(Clone, Debug)]
pub struct Promise {
    /// The design.
    pub design: Design,
    /// Where nonces are recorded.
    pub place: Place,
    /// Processes of the tool: one or two.
    pub nodes: usize,
    /// Whether each process has a state folder. With two processes it is the same one, on the same host with one clock, and the second is there to
    /// be started while the first one runs.
    pub state_folder: bool,
    /// The requests that an attacker has copies of.
    pub requests: Vec<Request>,
    /// The last second.
    pub last: u8,
    /// Bodies under way at once.
    pub bodies: usize,
    /// How often clocks go back, all together.
    pub back: u8,
    /// How often processes end, all together.
    pub ends: u8,
    /// How often the shared store's replica takes over.
    pub failovers: u8,
}

/// One state of a world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub(super) nodes: Vec<Node>,
    pub(super) primary: Primary,
    /// The state file, if there is one.
    pub(super) file: Option<File>,
    /// How often each request was let in, and whether one was after its window.
    pub(super) accepted: Vec<u8>,
    pub(super) late: bool,
    pub(super) back: u8,
    pub(super) ends: u8,
    pub(super) failovers: u8,
}

/// The next event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A second passes on a node's clock, and on the shared store's with the first node's.
    Tick(usize),
    /// A node's clock is set back by a second.
    Back(usize),
    /// A copy of a request: its head arrives.
    Head(usize, usize),
    /// A body under way ends.
    Body(usize, usize),
    /// Other requests move the clock of one shard of the former store.
    Traffic(usize, Identity),
    /// A process is killed.
    Kill(usize),
    /// A process is asked to stop: it saves.
    Save(usize),
    /// A process that has saved is gone.
    Gone(usize),
    /// A process starts.
    Start(usize),
    /// The replica has all that the primary has.
    Replicate,
    /// The replica takes over.
    FailOver,
}

impl Promise {
    /// Whether all processes are on one host, with one clock and one folder.
    pub(super) fn on_one_host(&self) -> bool {
        self.state_folder
    }

    /// Whether the second process runs from the beginning.
    pub(super) fn runs_both(&self) -> bool {
        !self.state_folder
    }
}
