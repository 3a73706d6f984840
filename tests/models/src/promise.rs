//! The promise as a model: verifiers with clocks, bodies that take their time, stores, restarts and a fail-over. A few requests, a few
//! seconds, and every order of events.
//!
//! Times are small numbers: a request is fresh for [`PAST`] seconds and at most [`SKEW`] ahead, and a clock may go back by [`STEP`] before it is not
//! believed. What the design does about a fault is a switch in [`Design`], so each can be turned off to see what it is there for.
//!
//! Left out: MAC and token (a request that is sent is a good one), the bounds on records and keys (a full store refuses), the hash (a record is its
//! 32 bytes), and threads inside one store, which loom and shuttle try on the real one. Assumed: what [`Design`] says of clocks.

mod design;
mod node;
mod shared;
mod step;
mod store;
mod world;

pub use design::{Design, PAST, Place, Request, SKEW, STEP};
pub use world::{Event, Promise, World};

use node::Node;
use shared::Primary;
use stateright::{Model, Property};

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
            step::events(self, node, world, number, events);
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
            | Event::Start(number) => step::happen(self, &mut world, number, event)?,
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

/// Each request is let in once.
pub const ONCE: &str = "each request is let in once";
/// No request is let in after its window.
pub const FRESH: &str = "no request is let in after its window";
/// A model in which nothing is ever let in promises nothing.
pub const WORKS: &str = "each request can be let in";
