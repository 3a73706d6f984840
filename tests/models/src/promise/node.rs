//! A process of the tool in the model: its clock, the bodies that it waits for, and its store.

use super::store::{File, Table};
use super::{Design, Event, PAST, Place, Promise, Request, SKEW, STEP, World};

/// A process, or the place for one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    clock: u8,
    /// The latest time that any process here saw. What the model knows and a process that starts does not.
    highest: u8,
    process: Option<Process>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Process {
    table: Table,
    /// The second until which it does not know what was let in.
    forgot: Option<u8>,
    /// The latest time that it saw.
    seen: u8,
    /// Bodies under way: which request, and when its head came.
    bodies: Vec<(usize, u8)>,
    /// Whether it has saved its store.
    saved: bool,
}

impl Node {
    /// A process that began so long ago that nothing of what was before it is fresh, or the place for one.
    pub(super) fn first(runs: bool) -> Self {
        let process = Process { table: Table::default(), forgot: None, seen: 0, bodies: Vec::new(), saved: false };
        Self { clock: 0, highest: 0, process: runs.then_some(process) }
    }

    pub(super) fn events(&self, promise: &Promise, world: &World, number: usize, events: &mut Vec<Event>) {
        let has_clock = number == 0 || !promise.on_one_host();
        if has_clock && self.clock < promise.last {
            events.push(Event::Tick(number));
        }
        if has_clock && self.clock > 0 && world.back < promise.back {
            events.push(Event::Back(number));
        }
        let Some(process) = &self.process else {
            events.push(Event::Start(number));
            return;
        };
        if process.bodies.len() < promise.bodies {
            events.extend((0..promise.requests.len()).map(|request| Event::Head(number, request)));
        }
        events.extend((0..process.bodies.len()).map(|body| Event::Body(number, body)));
        if !promise.design.one_clock {
            events.extend(process.table.identities().map(|identity| Event::Traffic(number, identity)));
        }
        if process.saved {
            events.push(Event::Gone(number));
        } else if world.ends < promise.ends {
            events.push(Event::Kill(number));
            if promise.state_folder {
                events.push(Event::Save(number));
            }
        }
    }

    /// A process starts, with a state file or without; `None` where the world is assumed not to let it.
    fn start(&mut self, promise: &Promise, file: Option<File>, highest: u8) -> Option<()> {
        let (table, forgot) = match file {
            Some(File { table, forgot }) => (table, forgot),
            None if promise.design.clock_holds_over_crash && self.clock < highest => return None,
            None => (Table::default(), Some(self.clock + if promise.design.rule_has_skew { SKEW } else { 0 })),
        };
        let table = if promise.place == Place::Shared { Table::default() } else { table };
        let forgot = forgot.filter(|_| promise.place == Place::Memory);
        self.process =
            Some(Process { seen: self.clock.max(table.latest), table, forgot, bodies: Vec::new(), saved: false });
        Some(())
    }
}

/// Something happens at a node; `None` where it can't.
pub(super) fn happen(promise: &Promise, world: &mut World, number: usize, event: Event) -> Option<()> {
    let design = promise.design;
    let others_run = world.nodes.iter().enumerate().any(|(other, node)| other != number && node.process.is_some());
    let highest = if promise.on_one_host() {
        world.nodes.iter().map(|node| node.highest).max().unwrap_or(0)
    } else {
        world.nodes[number].highest
    };
    let on_this_clock = if promise.on_one_host() { 0..promise.nodes } else { number..number + 1 };
    let node = &mut world.nodes[number];
    match event {
        Event::Tick(_) => {
            world.nodes[on_this_clock].iter_mut().for_each(|node| node.clock += 1);
            if number == 0 {
                world.primary.clock += 1;
            }
        }
        Event::Back(_) => {
            world.back += 1;
            world.nodes[on_this_clock].iter_mut().for_each(|node| node.clock -= 1);
        }
        Event::Start(_) => {
            if others_run && promise.state_folder && design.locks_folder {
                return None;
            }
            let file = if others_run { None } else { world.file.clone() };
            node.start(promise, file, highest)?;
            if design.reads_state_once && !others_run {
                world.file = None;
            }
        }
        Event::Kill(_) => {
            world.ends += 1;
            node.process.take()?;
        }
        Event::Gone(_) => {
            node.process.take()?;
        }
        Event::Save(_) => {
            world.ends += 1;
            let process = node.process.as_mut()?;
            process.saved = true;
            let mut table = process.table.clone();
            table.latest = table.latest.max(node.clock);
            world.file = Some(File { table, forgot: process.forgot.filter(|_| design.saves_rule) });
        }
        Event::Head(_, request) => {
            let process = node.process.as_mut()?;
            process.judge(node.clock, promise.requests[request])?;
            node.highest = node.highest.max(node.clock);
            process.bodies.push((request, node.clock));
            process.bodies.sort_unstable();
        }
        Event::Body(_, body) => {
            let clock = node.clock;
            let process = node.process.as_mut()?;
            let (request, head) = process.bodies.remove(body);
            let signed = promise.requests[request];
            if !design.reads_time_again || process.judge(clock, signed).is_some() {
                let now = if design.reads_time_again { clock } else { head };
                let first = match promise.place {
                    Place::Memory => process.record(design, request, signed, now),
                    Place::Shared => world.primary.record(design, request, signed),
                };
                if first {
                    world.accepted[request] += 1;
                    world.late |= clock > signed.created + PAST;
                }
            }
            node.highest = node.highest.max(clock);
        }
        Event::Traffic(_, identity) => node.process.as_mut()?.table.traffic(design, identity, node.clock),
        Event::Replicate | Event::FailOver => return None,
    }
    Some(())
}

impl Process {
    /// The clock, the window and the rule after a start; `None` where one of them refuses.
    fn judge(&mut self, now: u8, request: Request) -> Option<()> {
        self.seen = self.seen.max(now);
        let believed = now + STEP >= self.seen;
        let fresh = request.created + PAST >= now && request.created <= now + SKEW;
        let known = self.forgot.is_none_or(|forgot| request.created > forgot);
        (believed && fresh && known).then_some(())
    }

    fn record(&mut self, design: Design, nonce: usize, request: Request, now: u8) -> bool {
        if self.saved && design.closes_when_saved { false } else { self.table.record(design, nonce, request, now) }
    }
}
