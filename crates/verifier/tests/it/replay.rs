//! The replay store in memory: once, for as long as it matters, within its bounds.

use bmap_protocol::check::Window;
use bmap_verifier::replay::Record;
use bmap_verifier::{MemoryReplayStore, Refusal, ReplayLimits, ReplayStore};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::HashMap;

const START: i64 = 1_000_000;

fn record(key: u64, nonce: u64, created: i64) -> Record {
    let wide = |number: u64| {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        bytes
    };
    Record { key: wide(key), nonce: wide(nonce), until: Window::DEFAULT.record_until(created) }
}

fn store(entries: u32, per_key: u32) -> MemoryReplayStore {
    MemoryReplayStore::new(ReplayLimits { entries, per_key }, Window::DEFAULT, START)
}

#[test]
fn a_nonce_is_remembered_until_its_request_can_not_be_fresh_any_more() {
    let store = store(1000, 1000);
    let first = record(1, 1, START + 10);
    assert_eq!(store.record_now(&first, START + 10), Ok(()));
    for later in 10..=75 {
        assert_eq!(store.record_now(&first, START + later), Err(Refusal::Replayed), "{later}");
    }
    // Fresh is at most created + 60 + 5 s of clock step; the record ends at created + 66.
    assert_eq!(store.len(), 1);
    assert_eq!(store.record_now(&first, START + 76), Err(Refusal::ReplayStoreUnavailable), "it ended: no place for it");
    assert_eq!(store.record_now(&record(1, 1, START + 76), START + 76), Ok(()), "the first record ended");
    assert_eq!(store.len(), 1, "its place was taken");
}

#[test]
fn every_second_of_the_ring_ends() {
    let store = store(4096, 4096);
    for second in 0..1000 {
        for nonce in 0..3 {
            assert_eq!(
                store.record_now(&record(second as u64 % 7, second as u64 * 3 + nonce, START + second), START + second),
                Ok(())
            );
        }
        // A shard ends its seconds when it is used next, so some that ended are counted.
        assert!(store.len() <= 3 * 120, "{} at {second}", store.len());
    }
    // After a long silence each shard ends all of them at its next use.
    for nonce in 0..1000 {
        assert_eq!(store.record_now(&record(1, nonce, START + 90_000), START + 90_000), Ok(()));
    }
    assert_eq!(store.len(), 1000);
}

#[test]
fn one_key_has_its_share_and_gets_it_back() {
    let store = store(1000, 5);
    for nonce in 0..5 {
        assert_eq!(store.record_now(&record(1, nonce, START), START), Ok(()));
    }
    assert_eq!(store.record_now(&record(1, 5, START), START), Err(Refusal::RateLimited { retry_after: 5 }));
    assert_eq!(
        store.record_now(&record(1, 0, START), START),
        Err(Refusal::Replayed),
        "a replay is still told from too many"
    );
    assert_eq!(store.record_now(&record(2, 5, START), START), Ok(()));
    // All its records end in time; each shard ends its own when it is used next.
    for nonce in 5..100 {
        let _ = store.record_now(&record(2, nonce, START + 66), START + 66);
    }
    assert_eq!(store.record_now(&record(1, 5, START + 66), START + 66), Ok(()));
}

#[test]
fn a_full_store_refuses_and_recovers() {
    let store = store(64, 1000);
    let mut nonce = 0;
    let refused = loop {
        match store.record_now(&record(1, nonce, START), START) {
            Ok(()) => nonce += 1,
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refused, Refusal::ReplayStoreUnavailable);
    assert!(nonce >= 4, "{nonce}");
    assert_eq!(store.record_now(&record(1, nonce, START + 66), START + 66), Ok(()));
}

#[test]
fn o02_a_nonce_is_known_whatever_number_its_key_has_for_counting() {
    let store = store(1000, 1000);
    let first = record(1, 1, START);
    assert_eq!(store.record_now(&first, START), Ok(()));
    // The record ends and the only slot for counting is free; another key takes it, so that the first one gets another.
    assert_eq!(store.record_now(&record(2, 2, START + 66), START + 66), Ok(()));
    assert_eq!(store.record_now(&record(1, 3, START + 66), START + 66), Ok(()));
    // A copy whose body was held open is judged by the store's clock, not by the time that it brings.
    for stale in [START, START + 1, START + 60, START + 65, START + 66] {
        assert_eq!(store.record_now(&first, stale), Err(Refusal::ReplayStoreUnavailable), "{stale}");
    }
}

#[test]
fn o02_all_shards_are_on_one_clock() {
    let store = store(100_000, 100_000);
    let records: Vec<_> = (0..200).map(|nonce| record(nonce % 7, nonce, START)).collect();
    for record in &records {
        assert_eq!(store.record_now(record, START), Ok(()));
    }
    // One call moves the clock, in one shard; in the others nothing was swept.
    assert_eq!(store.record_now(&record(9, 9, START + 66), START + 66), Ok(()));
    for record in &records {
        assert_eq!(store.record_now(record, START + 1), Err(Refusal::ReplayStoreUnavailable));
    }
    assert_eq!(store.latest_seen(), START + 66);
}

#[test]
fn f12_any_time_is_survived() {
    for time in [i64::MIN, -1, 0, START - 1, i64::from(u32::MAX), START + i64::from(u32::MAX) + 1, i64::MAX] {
        let store = store(1000, 1000);
        let first = record(1, 1, time);
        let accepted = store.record_now(&first, time).is_ok();
        assert!(!accepted || store.record_now(&first, time) == Err(Refusal::Replayed), "{time}");
        assert!(store.record_now(&first, START).is_err() || !accepted, "{time}");
    }
}

#[test]
fn time_that_goes_back_ends_nothing_and_a_record_outside_the_ring_is_refused() {
    let store = store(1000, 1000);
    let first = record(1, 1, START + 10);
    assert_eq!(store.record_now(&first, START + 10), Ok(()));
    assert_eq!(store.record_now(&first, START + 5), Err(Refusal::Replayed));
    for until in [START, START + 10, START + 1000, i64::MAX, i64::MIN] {
        let outside = Record { until, ..record(1, 2, START) };
        assert_eq!(store.record_now(&outside, START + 10), Err(Refusal::ReplayStoreUnavailable), "{until}");
    }
}

#[test]
fn t26_a_million_live_nonces_fit_in_48_mib_and_churn_never_grows_them() {
    let store = store(1_000_000, 1000);
    let bound = store.max_bytes();
    assert!(bound <= 48 << 20, "{bound}");
    // The worst case: every nonce has a key of its own.
    for key in 0..1_000_000 {
        assert_eq!(store.record_now(&record(key, 0, START), START), Ok(()), "{key}");
    }
    assert_eq!(store.len(), 1_000_000);
    assert_eq!(store.max_bytes(), bound);
}

#[test]
fn churn_at_a_full_store_never_grows_it() {
    let store = store(3000, 3000);
    let bound = store.max_bytes();
    for second in 0..2000_i64 {
        for nonce in 0..60_u64 {
            // Some are refused when a part is full; none may make room by growing.
            let unique = second.cast_unsigned() * 60 + nonce;
            let _ = store.record_now(&record(unique % 997, unique, START + second), START + second);
        }
    }
    assert_eq!(store.max_bytes(), bound);
}

#[test]
fn of_many_at_once_one_is_first() {
    let store = std::sync::Arc::new(store(100_000, 100_000));
    for nonce in 0..50 {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let store = std::sync::Arc::clone(&store);
                std::thread::spawn(move || store.record_now(&record(1, nonce, START), START).is_ok())
            })
            .collect();
        assert_eq!(threads.into_iter().map(|thread| thread.join().unwrap()).filter(|first| *first).count(), 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order, also where calls come with a time that has passed: a live record is told, one that ended is not let in
    /// again, and another one is let in unless a bound says no.
    #[test]
    fn t7_it_does_what_a_map_would(
        steps in vec((0..4_u64, 0..60_u64, 0..70_i64, 0..12_i64, prop_oneof![3 => Just(0), 1 => 0..90_i64]), 1..600)
    ) {
        let store = store(160, 100);
        let mut seen: HashMap<(u64, u64, i64), i64> = HashMap::new();
        // The time of the story, and the latest that the store was called with.
        let (mut now, mut clock) = (START, START);
        for (key, nonce, age, step, stale) in steps {
            // Mostly within the same second, so that buckets fill and records go past them.
            now += (step - 9).max(0);
            clock = clock.max(now - stale);
            let record = record(key, nonce, now + 5 - age);
            let live: Vec<_> = seen.keys().filter(|(_, _, until)| *until > clock).collect();
            let is_live = live.iter().any(|(of, other, _)| (*of, *other) == (key, nonce));
            let of_key = live.iter().filter(|(of, _, _)| *of == key).count();
            let live = live.len();
            match store.record_now(&record, now - stale) {
                Ok(()) => {
                    prop_assert!(!is_live, "let in twice");
                    prop_assert!(record.until > clock);
                    let before = seen.insert((key, nonce, record.until), now);
                    prop_assert_eq!(before, None, "the very same request was let in again");
                }
                Err(Refusal::Replayed) => prop_assert!(is_live, "never seen"),
                Err(Refusal::RateLimited { .. }) => prop_assert!(of_key >= 100, "{of_key}"),
                // It ended, it would live for longer than a record may, or a shard's part of 10 and as many again is full.
                Err(Refusal::ReplayStoreUnavailable) => {
                    prop_assert!(record.until <= clock || record.until - clock > 71 || live >= 20);
                }
                Err(other) => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
