//! The model of the promise, looked through: `cargo test -p bmap-models --test promise -- --nocapture` prints what was covered.
//!
//! `MODEL_BOUND=full` takes a second and a request more, which takes minutes.
#![cfg(not(any(feature = "loom", feature = "shuttle")))]

use bmap_models::promise::{Design, FRESH, ONCE, Place, Promise, Request, WORKS};
use stateright::{Checker, HasDiscoveries, Model};
use std::collections::BTreeSet;

/// One process with its store in memory.
fn one() -> Promise {
    let mut requests = vec![Request { key: 0, created: 1 }, Request { key: 1, created: 3 }];
    if is_full() {
        requests.push(Request { key: 0, created: 4 });
    }
    Promise {
        design: Design::current(),
        place: Place::Memory,
        nodes: 1,
        state_folder: true,
        requests,
        last: if is_full() { 9 } else { 7 },
        bodies: 2,
        back: 2,
        ends: 2,
        failovers: 0,
    }
}

/// Two processes on two hosts with one store for both, so long that a record ends.
fn two() -> Promise {
    let requests = vec![Request { key: 0, created: 1 }];
    let last = if is_full() { 7 } else { 5 };
    let shared = Promise { place: Place::Shared, nodes: 2, state_folder: false, requests, last, ..one() };
    Promise { bodies: 1, back: 1, ends: 1, failovers: if is_full() { 2 } else { 1 }, ..shared }
}

/// `MODEL_BOUND=full`.
fn is_full() -> bool {
    std::env::var_os("MODEL_BOUND").is_some_and(|bound| bound == "full")
}

/// Looks through a world, all of it or until a property fails, and prints what there was.
fn look(name: &str, promise: &Promise, until: HasDiscoveries) -> BTreeSet<&'static str> {
    let checker = promise.clone().checker().threads(2).finish_when(until).spawn_bfs().join();
    let found = checker.discoveries();
    println!(
        "{name}: {} states, {} of them different, at most {} events deep",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
    );
    for (property, path) in found.iter().filter(|(property, _)| **property != WORKS) {
        println!("  not so: {property}: {:?}", path.clone().into_actions());
    }
    found.keys().copied().collect()
}

/// Nothing is found where all of the design is there, and all of it can happen.
fn holds(name: &str, promise: &Promise) {
    let found = look(name, promise, HasDiscoveries::AnyFailures);
    assert_eq!(found, BTreeSet::from([WORKS]), "{name}");
}

/// Where a part of the design is missing, the model finds the fault that it prevents.
fn breaks(name: &str, mut promise: Promise, without: impl FnOnce(&mut Design)) {
    without(&mut promise.design);
    let found = look(name, &promise, HasDiscoveries::AnyOf(BTreeSet::from([ONCE])));
    assert!(found.contains(ONCE), "{name}: not found");
}

#[test]
fn t7_the_design_holds_in_one_process_over_late_bodies_clocks_and_restarts() {
    holds("one process", &one());
}

#[test]
fn t7_f06_the_design_holds_in_two_processes_with_a_shared_store_that_fails_over() {
    holds("two processes, a shared store", &two());
}

#[test]
fn t7_the_former_design_lets_a_request_in_twice() {
    // Without a restart: its store alone.
    breaks("the former store", Promise { ends: 0, ..one() }, |design| *design = Design::former());
    breaks("the former rule after a start", Promise { back: 0, ..one() }, |design| design.rule_has_skew = false);
}

#[test]
fn t7_a_body_that_is_judged_by_the_time_of_its_head_is_let_in_late() {
    let promise = Promise { design: Design { reads_time_again: false, ..Design::current() }, ..one() };
    let found = look("the time of the head", &promise, HasDiscoveries::AnyFailures);
    assert!(found.contains(FRESH) && !found.contains(ONCE));
}

#[test]
fn f08_each_part_of_the_state_file_is_needed() {
    breaks("a state file that is read twice", one(), |design| design.reads_state_once = false);
    breaks("a store that goes on after it was saved", one(), |design| design.closes_when_saved = false);
    breaks("a state file without the rule", one(), |design| design.saves_rule = false);
    breaks("two processes at one state folder", Promise { nodes: 2, last: 4, back: 0, ..one() }, |design| {
        design.locks_folder = false;
    });
    holds("two processes, one after the other", &Promise { nodes: 2, last: 4, back: 0, ..one() });
}

#[test]
fn f06_t22_what_the_design_does_not_do_by_itself() {
    breaks("a fail-over without the rule", two(), |design| design.rule_on_failover = false);
    breaks("a clock set back over a crash", one(), |design| design.clock_holds_over_crash = false);
    let apart = Promise { place: Place::Memory, failovers: 0, ..two() };
    breaks("two processes without a shared store", apart, |_| {});
}
