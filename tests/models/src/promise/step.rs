//! What can happen at a node, and what comes of it.

use super::design::{PAST, Place};
use super::node::Node;
use super::store::File;
use super::world::{Event, Promise, World};

/// What can happen at a node next.
pub(super) fn events(promise: &Promise, node: &Node, world: &World, number: usize, events: &mut Vec<Event>) {
    let has_clock = number == 0 || !promise.on_one_host();
    if has_clock && node.clock < promise.last {
        events.push(Event::Tick(number));
    }
    if has_clock && node.clock > 0 && world.back < promise.back {
        events.push(Event::Back(number));
    }
    let Some(process) = &node.process else {
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
            node.start(design, promise.place, file, highest)?;
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
