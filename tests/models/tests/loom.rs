//! The store's own source under loom: every order of two threads' steps with at most three preemptions, and every value that a relaxed load may
//! see.
//!
//! `cargo test -p bmap-models --features loom --test loom -- --nocapture` prints how many orders there were.

use bmap_models::former::FormerStore;
use bmap_models::store::{CurrentStore, ReplayLimits, Store, record};
use bmap_protocol::check::Window;
use bmap_protocol::refusal::Refusal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs a check in every order; how many there were.
fn every_order(name: &str, check: impl Fn() + Send + Sync + 'static) -> usize {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        builder.check(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            check();
        });
    }));
    let runs = runs.load(Ordering::Relaxed);
    println!("{name}: {} {runs} orders", if outcome.is_ok() { "held in all" } else { "broken in the last of" });
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
    runs
}

fn store<S: Store>(per_key: u32, shards: u32) -> loom::sync::Arc<S> {
    loom::sync::Arc::new(S::new(ReplayLimits { entries: 2, per_key }, Window::DEFAULT, shards))
}

/// A call of a thread: key, nonce, until, now.
type Call = (u8, u8, i64, i64);

/// Two threads with two calls each; the verdicts of both.
fn at_once<S: Store>(store: &loom::sync::Arc<S>, calls: [[Call; 2]; 2]) -> [Vec<Result<(), Refusal>>; 2] {
    let run = |store: loom::sync::Arc<S>, calls: [Call; 2]| {
        calls.map(|(key, nonce, until, now)| store.record(&record(key, nonce, until), now)).to_vec()
    };
    let [first, second] = calls;
    let thread = {
        let store = loom::sync::Arc::clone(store);
        loom::thread::spawn(move || run(store, first))
    };
    let second = run(loom::sync::Arc::clone(store), second);
    [thread.join().unwrap(), second]
}

fn let_in(verdicts: &[Result<(), Refusal>]) -> usize {
    verdicts.iter().filter(|verdict| verdict.is_ok()).count()
}

/// Two requests, each by both threads.
fn same_requests<S: Store>() {
    let store = store::<S>(2, 1);
    let (first, second) = ((1, 1, 66, 1), (1, 2, 66, 1));
    let [a, b] = at_once(&store, [[first, second], [second, first]]);
    assert_eq!(let_in(&a) + let_in(&b), 2, "{a:?} {b:?}");
}

/// A request that was let in, whose record ends while copies of it come with an older time.
fn late_copies<S: Store>(shards: u32) {
    let store = store::<S>(4, shards);
    assert_eq!(store.record(&record(1, 1, 66), 1), Ok(()));
    // The former store has the second key's record beside the first one's; then a third key takes the first one's number.
    let [_, copies] = at_once(&store, [[(2, 3, 100, 66), (3, 4, 100, 66)], [(1, 1, 66, 65), (1, 1, 66, 65)]]);
    assert_eq!(let_in(&copies), 0, "let in twice");
}

/// A key with a share of one, which comes back to it when its record has ended.
fn one_share<S: Store>() {
    let store = store::<S>(1, 1);
    let [a, b] = at_once(&store, [[(1, 1, 66, 1), (1, 1, 66, 1)], [(1, 2, 66, 1), (1, 2, 66, 1)]]);
    assert_eq!(let_in(&a) + let_in(&b), 1, "{a:?} {b:?}");
    assert_eq!(store.record(&record(1, 3, 130), 66), Ok(()), "refused for a record that had ended");
}

#[test]
fn t7_the_store_lets_each_request_in_once_in_every_order() {
    assert!(every_order("the same two requests", same_requests::<CurrentStore>) > 10);
    assert!(every_order("late copies, one shard", || late_copies::<CurrentStore>(1)) > 10);
    assert!(every_order("late copies, three shards", || late_copies::<CurrentStore>(3)) > 10);
}

#[test]
fn t26_a_share_is_counted_in_every_order() {
    assert!(every_order("one share", one_share::<CurrentStore>) > 10);
}

#[test]
#[should_panic = "let in twice"]
fn t7_the_former_store_lets_a_late_copy_in_twice() {
    every_order("the former store, late copies", || late_copies::<FormerStore>(3));
}
