//! Random histories of one store, with times that are old and keys that come back: each request is let in once, and one that is new is let in.
//!
//! `cargo test -p bmap-models --test histories -- --nocapture`; `HISTORIES=100000` tries more.
#![cfg(not(any(feature = "loom", feature = "shuttle")))]

use bmap_models::former::FormerStore;
use bmap_models::store::{CurrentStore, ReplayLimits, Store, record};
use bmap_protocol::check::Window;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use std::collections::HashSet;

/// One call: key, nonce, how long ago it was signed, seconds that pass before it, how old the time is that it brings.
type Call = (u8, u8, i64, i64, i64);

/// Looks at up to `cases` histories of up to 200 calls; how many there were before one broke the promise.
fn histories<S: Store>(name: &str, cases: u32) -> Result<(), String> {
    let cases = std::env::var("HISTORIES").ok().and_then(|number| number.parse().ok()).unwrap_or(cases);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let call = (
        0..8_u8,
        0..4_u8,
        0..70_i64,
        prop_oneof![8 => 0..2_i64, 1 => 60..80_i64],
        prop_oneof![1 => Just(0), 3 => 0..140_i64],
    );
    let (looked, calls) = (std::cell::Cell::new(0_u32), std::cell::Cell::new(0_usize));
    let outcome = runner.run(&vec(call, 1..200), |history| {
        looked.set(looked.get() + 1);
        calls.set(calls.get() + history.len());
        check::<S>(&history)
    });
    println!(
        "{name}: {} histories, {} calls: {}",
        looked.get(),
        calls.get(),
        if outcome.is_ok() { "held" } else { "broken" }
    );
    outcome.map_err(|fault| match fault {
        TestError::Fail(why, history) => format!("{why}: {history:?}"),
        TestError::Abort(why) => why.to_string(),
    })
}

fn check<S: Store>(history: &[Call]) -> Result<(), TestCaseError> {
    let store = S::new(ReplayLimits { entries: 1000, per_key: 1000 }, Window::DEFAULT, 16);
    // The accepted requests, and the latest time that the store was called with.
    let mut let_in: HashSet<(u8, u8, i64)> = HashSet::new();
    let (mut now, mut clock) = (100, 0);
    for (key, nonce, age, passes, stale) in history.iter().copied() {
        now += passes;
        // Signed on one of few seconds, so that copies of the same request come again and again.
        let created = (now - age) / 16 * 16;
        let until = Window::DEFAULT.record_until(created);
        clock = clock.max(now - stale);
        let known = let_in.iter().any(|(of, other, until)| (*of, *other) == (key, nonce) && *until > clock);
        let verdict = store.record(&record(key, nonce, until), now - stale);
        if verdict.is_ok() {
            prop_assert!(let_in.insert((key, nonce, until)), "the very same request was let in twice");
            prop_assert!(!known, "let in while its record lives");
        } else if stale == 0 && created + 60 >= now && !known {
            prop_assert!(false, "new, fresh, and refused: {verdict:?}");
        }
    }
    Ok(())
}

#[test]
fn t7_the_store_lets_each_request_in_once_in_every_history() {
    histories::<CurrentStore>("the store", 3000).unwrap();
}

#[test]
fn t7_the_former_store_does_not() {
    // One history in some two thousand breaks it: in thirty thousand there is one.
    let why = histories::<FormerStore>("the former store", 30_000).unwrap_err();
    assert!(why.contains("twice") || why.contains("lives"), "{why}");
}
