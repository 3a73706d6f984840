//! The store's own source under shuttle: three threads, 16 shards, random calls in 100,000 random orders.
//!
//! `cargo test -p bmap-models --features shuttle --test shuttle -- --nocapture`; `SCHEDULES=1000000` tries more.

use bmap_models::former::FormerStore;
use bmap_models::store::{CurrentStore, ReplayLimits, Store, record};
use bmap_protocol::check::Window;
use shuttle::rand::Rng;
use shuttle::sync::Arc;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

const THREADS: usize = 3;
const CALLS: usize = 5;

fn schedules() -> usize {
    std::env::var("SCHEDULES").ok().and_then(|number| number.parse().ok()).unwrap_or(100_000)
}

/// Three threads send copies of six requests, with times that are up to a window old; each is let in once.
fn each_once<S: Store>() {
    let limits = ReplayLimits { entries: 64, per_key: 64 };
    let store = Arc::new(S::new(limits, Window::DEFAULT, 16));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let store = Arc::clone(&store);
            shuttle::thread::spawn(move || {
                let mut random = shuttle::rand::thread_rng();
                let mut let_in = Vec::new();
                for _ in 0..CALLS {
                    // Few keys and nonces, each signed in a second of its own.
                    let (key, nonce) = (random.gen_range(0..3_u8), random.gen_range(0..2_u8));
                    let until = 66 + i64::from(nonce);
                    let now = random.gen_range(60..70_i64);
                    if store.record(&record(key, nonce, until), now).is_ok() {
                        let_in.push((key, nonce));
                    }
                }
                let_in
            })
        })
        .collect();
    let mut times: HashMap<(u8, u8), u32> = HashMap::new();
    for request in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
        *times.entry(request).or_default() += 1;
    }
    assert!(times.values().all(|times| *times == 1), "let in twice: {times:?}");
}

/// How many orders were tried, and whether the check held in all.
fn tried(name: &str, check: fn(), schedule: impl FnOnce(&'static (dyn Fn() + Send + Sync))) -> bool {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let before = RUNS.load(Ordering::Relaxed);
    let counted: &'static (dyn Fn() + Send + Sync) = Box::leak(Box::new(move || {
        RUNS.fetch_add(1, Ordering::Relaxed);
        check();
    }));
    let held = catch_unwind(AssertUnwindSafe(|| schedule(counted))).is_ok();
    println!(
        "{name}: {} {} orders",
        if held { "held in all" } else { "broken in the last of" },
        RUNS.load(Ordering::Relaxed) - before
    );
    held
}

#[test]
fn t7_the_store_lets_each_request_in_once_in_100_000_orders_and_the_former_one_does_not() {
    let half = schedules() / 2;
    assert!(tried("random orders", each_once::<CurrentStore>, move |check| shuttle::check_random(check, half)));
    assert!(tried("random orders with three changes of priority", each_once::<CurrentStore>, move |check| {
        shuttle::check_pct(check, half, 3);
    }));
    assert!(!tried("the former store", each_once::<FormerStore>, move |check| shuttle::check_random(check, half)));
}
