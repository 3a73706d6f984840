//! The promise as a model: verifiers with clocks, bodies that take their time, stores, restarts and a fail-over. A few requests, a few
//! seconds, and every order of events.
//!
//! Times are small numbers: a request is fresh for [`PAST`] seconds and at most [`SKEW`] ahead, and a clock may go back by [`STEP`] before it is not
//! believed. What the design does about a fault is a switch in [`Design`], so each can be turned off to see what it is there for.
//!
//! Left out: MAC and token (a request that is sent is a good one), the bounds on records and keys (a full store refuses), the hash (a record is its
//! 32 bytes), and threads inside one store, which loom and shuttle try on the real one. Assumed: what [`Design`] says of clocks.

mod node;
mod shared;
mod store;

use node::Node;
use shared::Primary;
use stateright::{Model, Property};
use store::Identity;

/// Seconds for which a request is fresh.
pub const PAST: u8 = 2;
/// Seconds by which a request may be ahead of its time.
pub const SKEW: u8 = 1;
/// Seconds by which a clock may go back before it is not believed.
pub const STEP: u8 = 1;

/// A signed request: which key, which nonce, when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Request {
    /// The key.
    pub key: u8,
    /// When it was signed.
    pub created: u8,
}

impl Request {
    fn until(self) -> u8 {
        self.created + PAST + SKEW + 1
    }
}

/// Where nonces are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the memory of each process.
    Memory,
    /// In one store for all of them, with a replica.
    Shared,
}

/// The parts of a design. [`Design::current`] has all of them.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Design {
    /// The time is read again after the body, and the window must hold then too.
    pub reads_time_again: bool,
    /// One clock for the whole store: no record that ended for one call is looked for by another.
    pub one_clock: bool,
    /// A record is known by its key's bytes, and not by a number that is given out again.
    pub knows_keys_by_bytes: bool,
    /// A start without state refuses what was signed until `start + skew`, and not only until `start`.
    pub rule_has_skew: bool,
    /// A state file is gone before it is used.
    pub reads_state_once: bool,
    /// A store that was saved takes nothing more.
    pub closes_when_saved: bool,
    /// A state file holds the second until which its process knew nothing.
    pub saves_rule: bool,
    /// A process that finds another one at its state folder does not start.
    pub locks_folder: bool,
    /// A shared store whose primary changed applies the rule from the change on, at the time of recording.
    pub rule_on_failover: bool,
    /// Assumed of the world: at a start without state the clock is not behind what the process before saw.
    pub clock_holds_over_crash: bool,
}

impl Design {
    /// The design as it is.
    pub const fn current() -> Self {
        Self {
            reads_time_again: true,
            one_clock: true,
            knows_keys_by_bytes: true,
            rule_has_skew: true,
            reads_state_once: true,
            closes_when_saved: true,
            saves_rule: true,
            locks_folder: true,
            rule_on_failover: true,
            clock_holds_over_crash: true,
        }
    }

    /// The design as it was.
    pub const fn former() -> Self {
        Self {
            reads_time_again: false,
            one_clock: false,
            knows_keys_by_bytes: false,
            rule_has_skew: false,
            ..Self::current()
        }
    }
}

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
    nodes: Vec<Node>,
    primary: Primary,
    /// The state file, if there is one.
    file: Option<store::File>,
    /// How often each request was let in, and whether one was after its window.
    accepted: Vec<u8>,
    late: bool,
    back: u8,
    ends: u8,
    failovers: u8,
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

impl Model for Promise {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        let nodes = (0..self.nodes).map(|number| Node::first(number == 0 || self.runs_both()));
        vec![World {
            nodes: nodes.collect(),
            primary: Primary::default(),
            file: None,
            accepted: vec![0; self.requests.len()],
            late: false,
            back: 0,
            ends: 0,
            failovers: 0,
        }]
    }

    fn actions(&self, world: &World, events: &mut Vec<Event>) {
        for (number, node) in world.nodes.iter().enumerate() {
            node.events(self, world, number, events);
        }
        if self.place == Place::Shared && world.failovers < self.failovers {
            events.extend([Event::Replicate, Event::FailOver]);
        }
    }

    fn next_state(&self, before: &World, event: Event) -> Option<World> {
        let mut world = before.clone();
        match event {
            Event::Replicate => world.primary.replicate(),
            Event::FailOver => {
                world.failovers += 1;
                world.primary.fail_over(self.design);
            }
            Event::Tick(number)
            | Event::Back(number)
            | Event::Head(number, _)
            | Event::Body(number, _)
            | Event::Traffic(number, _)
            | Event::Kill(number)
            | Event::Save(number)
            | Event::Gone(number)
            | Event::Start(number) => node::happen(self, &mut world, number, event)?,
        }
        (world != *before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONCE, |_, world: &World| world.accepted.iter().all(|times| *times <= 1)),
            Property::always(FRESH, |_, world: &World| !world.late),
            Property::sometimes(WORKS, |_, world: &World| world.accepted.iter().all(|times| *times == 1)),
        ]
    }
}

impl Promise {
    /// Whether all processes are on one host, with one clock and one folder.
    fn on_one_host(&self) -> bool {
        self.state_folder
    }

    /// Whether the second process runs from the beginning.
    fn runs_both(&self) -> bool {
        !self.state_folder
    }
}

/// Each request is let in once.
pub const ONCE: &str = "each request is let in once";
/// No request is let in after its window.
pub const FRESH: &str = "no request is let in after its window";
/// A model in which nothing is ever let in promises nothing.
pub const WORKS: &str = "each request can be let in";
