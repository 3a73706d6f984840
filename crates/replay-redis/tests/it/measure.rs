//! Figures for `docs/replay.md`: `cargo test --release -p bmap-replay-redis --test it -- --ignored --nocapture measure`.

use crate::actors::{now, record, unique};
use crate::world::{Tool, on_both, options, single};
use bmap_test_kit::redis::{Flavor, RedisServer};
use bmap_verifier::replay::Record;
use futures_util::future::join_all;
use std::time::Duration;
use tokio::time::Instant;

on_both! {
    #[ignore = "it prints figures"] measure_a_record
}

async fn measure_a_record(flavor: Flavor) {
    let server = single(flavor);
    let mut options = options(server.address());
    (options.per_key, options.deadline) = (u32::MAX, Duration::from_secs(5));
    let tool = Tool::try_start(options).await.unwrap();
    tool.past_the_rule().await;
    let mut times = Vec::new();
    for _ in 0..5000 {
        let (one, began) = (record(now()), Instant::now());
        assert_eq!(tool.store.record_now(&one).await, Ok(()));
        times.push(began.elapsed());
    }
    times.sort_unstable();
    println!("{flavor:?}: one at a time: median {:?}, 99 of 100 within {:?}", times[2500], times[4950]);
    let (before, began, records) = (used(&server), Instant::now(), 100_000_u64);
    for _ in 0..records / 500 {
        let wave: Vec<_> = (0..500).map(|_| record(now())).collect();
        join_all(wave.iter().map(|record| tool.store.record_now(record))).await.into_iter().for_each(Result::unwrap);
    }
    let took = began.elapsed();
    println!("{flavor:?}: 500 at a time: {:.0} in a second", records as f64 / took.as_secs_f64());
    println!("{flavor:?}: {:.0} bytes for each record of one key", (used(&server) - before) as f64 / records as f64);
    // Each with a key of its own: the worst case.
    let before = used(&server);
    for _ in 0..20 {
        let wave: Vec<_> = (0..500).map(|_| Record { key: unique(), ..record(now()) }).collect();
        join_all(wave.iter().map(|record| tool.store.record_now(record))).await.into_iter().for_each(Result::unwrap);
    }
    println!("{flavor:?}: {:.0} bytes where each has a key of its own", (used(&server) - before) as f64 / 10_000.0);
}

fn used(server: &RedisServer) -> u64 {
    let info: String = server.ask(redis::cmd("INFO").arg("memory"));
    info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().trim().parse().unwrap()
}
