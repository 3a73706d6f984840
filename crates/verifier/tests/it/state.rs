//! The state folder: an orderly stop and the start behind it lose nothing, and everything else is a plain start.

use crate::actors::{Draft, NOW, TestIssuer, get};
use bmap_protocol::check::Window;
use bmap_verifier::replay::{Record, Unusable};
use bmap_verifier::{
    Clock, MemoryReplayStore, Policy, Refusal, ReplayLimits, ReplayStore, Start, StateError, UnixTime, Verifier,
};
use proptest::prelude::*;
use std::path::Path;
use tempfile::TempDir;

const START: i64 = 1_000_000;
const LIMITS: ReplayLimits = ReplayLimits { entries: 1000, per_key: 1000 };

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A clock that shows this second.
fn stopped(now: i64) -> impl Clock {
    move || UnixTime::from_seconds(u32::try_from(now).unwrap())
}

fn open(folder: &Path, now: i64) -> (MemoryReplayStore, Start) {
    MemoryReplayStore::open(folder, "geo", LIMITS, Window::DEFAULT, &stopped(now)).unwrap()
}

fn record(number: u64, created: i64) -> Record {
    let mut nonce = [0; 16];
    nonce[..8].copy_from_slice(&number.to_be_bytes());
    Record { key: [7; 16], nonce, until: Window::DEFAULT.record_until(created) }
}

/// A folder that a process left in order at `START + 10`, with these requests let in.
fn left(numbers: std::ops::Range<u64>) -> TempDir {
    let folder = folder();
    let (store, start) = open(folder.path(), START);
    assert_eq!(start, Start::Plain);
    for number in numbers.clone() {
        assert_eq!(store.record_now(&record(number, START + 10), START + 10), Ok(()));
    }
    let count = usize::try_from(numbers.end - numbers.start).unwrap();
    assert_eq!(store.save(START + 10).unwrap(), Some(count));
    folder
}

fn state_file(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("replay.state")
}

fn names(folder: &TempDir) -> Vec<String> {
    let names = std::fs::read_dir(folder.path()).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn f08_o03_after_an_orderly_stop_a_repeated_request_is_told_and_a_new_one_let_in() {
    // So many that buckets are full and records stand in later ones.
    let folder = left(0..900);
    let (store, start) = open(folder.path(), START + 11);
    assert_eq!(start, Start::Restored { records: 900 });
    for number in 0..900 {
        assert_eq!(store.record_now(&record(number, START + 10), START + 11), Err(Refusal::Replayed), "{number}");
    }
    assert_eq!(store.record_now(&record(900, START + 11), START + 11), Ok(()));
    // The only rule that is left is the one of the first start, long over.
    assert_eq!(store.forgot_until(), Some(START + 5));
    // All that was restored ends, and gives its room back.
    for number in 1000..1990 {
        let later = START + 200;
        assert_eq!(store.record_now(&record(number, later), later), Ok(()), "{number}");
    }
    assert_eq!(store.len(), 990);
}

#[test]
fn f08_a_state_file_is_read_once() {
    let folder = left(0..3);
    let (store, start) = open(folder.path(), START + 11);
    assert_eq!(start, Start::Restored { records: 3 });
    assert_eq!(names(&folder), ["replay.lock"], "gone before the first request");
    // Killed: nothing is saved.
    drop(store);
    let (store, start) = open(folder.path(), START + 12);
    assert_eq!((start, store.forgot_until()), (Start::Plain, Some(START + 17)));
}

#[test]
fn f08_a_stop_within_the_first_seconds_carries_the_rule_on() {
    let folder = folder();
    open(folder.path(), START).0.save(START + 1).unwrap();
    let (store, start) = open(folder.path(), START + 2);
    assert_eq!((start, store.forgot_until()), (Start::Restored { records: 0 }, Some(START + 5)));
}

#[test]
fn f08_a_store_that_was_saved_takes_nothing_more() {
    let folder = folder();
    let (store, _) = open(folder.path(), START);
    assert_eq!(store.record_now(&record(1, START), START), Ok(()));
    store.save(START).unwrap();
    for number in 0..100 {
        assert_eq!(store.record_now(&record(number, START), START), Err(Refusal::ReplayStoreUnavailable));
    }
    let without = MemoryReplayStore::new(LIMITS, Window::DEFAULT, START);
    assert_eq!(without.save(START).unwrap(), None);
    assert_eq!(without.record_now(&record(1, START), START), Ok(()), "nothing was saved, so it goes on");
}

#[test]
fn f08_one_process_at_a_time() {
    let folder = left(0..3);
    let (store, _) = open(folder.path(), START + 11);
    let second = MemoryReplayStore::open(folder.path(), "geo", LIMITS, Window::DEFAULT, &stopped(START + 11));
    assert!(matches!(second, Err(StateError::InUse { .. })), "{second:?}");
    drop(store);
    assert_eq!(open(folder.path(), START + 12).1, Start::Plain);
    let missing = folder.path().join("missing");
    let missing = MemoryReplayStore::open(&missing, "geo", LIMITS, Window::DEFAULT, &stopped(START));
    assert!(matches!(missing, Err(StateError::Io { .. })), "{missing:?}");
}

#[test]
fn o03_the_clock_is_read_once_the_folder_is_locked() {
    // Read before, it would show a time at which the process that had the folder was still letting requests in.
    let folder = folder();
    let path = folder.path().to_owned();
    let clock = move || {
        let second = MemoryReplayStore::open(&path, "geo", LIMITS, Window::DEFAULT, &stopped(START));
        assert!(matches!(second, Err(StateError::InUse { .. })), "{second:?}");
        UnixTime::from_seconds(u32::try_from(START).unwrap())
    };
    let (store, _) = MemoryReplayStore::open(folder.path(), "geo", LIMITS, Window::DEFAULT, &clock).unwrap();
    assert_eq!(store.forgot_until(), Some(START + 5));
}

#[test]
fn f08_a_file_of_another_owner_other_limits_another_window_or_another_day_is_not_believed() {
    let start = |owner: &str, limits: ReplayLimits, window: Window, now: i64| {
        let folder = left(0..3);
        let (store, start) = MemoryReplayStore::open(folder.path(), owner, limits, window, &stopped(now)).unwrap();
        assert_eq!(names(&folder), ["replay.lock"]);
        let plain = Some(now + i64::from(window.future));
        assert!(matches!(start, Start::Restored { .. }) || (store.is_empty() && store.forgot_until() == plain));
        start
    };
    let (window, now) = (Window::DEFAULT, START + 11);
    assert_eq!(start("geo", LIMITS, window, now), Start::Restored { records: 3 });
    assert_eq!(start("router", LIMITS, window, now), Start::Ignored(Unusable::Damaged));
    let other_limits = Start::Ignored(Unusable::OtherLimits);
    assert_eq!(start("geo", ReplayLimits { entries: 2000, ..LIMITS }, window, now), other_limits);
    assert_eq!(start("geo", LIMITS, Window { past: 120, future: 5 }, now), other_limits);
    assert_eq!(start("geo", LIMITS, Window { past: 60, future: 6 }, now), other_limits);
    assert_eq!(start("geo", ReplayLimits { per_key: 7, ..LIMITS }, window, now), Start::Restored { records: 3 });
    // The last end of a record is that of one signed 5 s ahead at START + 10.
    assert!(matches!(start("geo", LIMITS, window, START + 10 + 5 + 65), Start::Restored { .. }));
    assert_eq!(start("geo", LIMITS, window, START + 10 + 5 + 66), Start::Ignored(Unusable::TooOld));
}

#[test]
fn f08_a_file_with_any_bit_changed_or_byte_missing_is_not_believed() {
    let folder = left(0..3);
    let good = std::fs::read(state_file(&folder)).unwrap();
    let believed = |bytes: &[u8]| {
        std::fs::write(state_file(&folder), bytes).unwrap();
        matches!(open(folder.path(), START + 11).1, Start::Restored { .. })
    };
    assert!(believed(&good));
    for at in 0..good.len() {
        assert!(!believed(&good[..at]), "cut at {at}");
        let mut changed = good.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(!believed(&changed), "changed at {at}");
    }
    assert!(!believed(&[good.as_slice(), &[0]].concat()));
    assert!(!believed(&vec![0; 10 << 20]), "far too long");
}

proptest! {
    // Each case has the disk write something.
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn f08_a_file_of_arbitrary_bytes_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let folder = folder();
        std::fs::write(state_file(&folder), bytes).unwrap();
        prop_assert_eq!(open(folder.path(), START).1, Start::Ignored(Unusable::Damaged));
    }

    /// A file with a good MAC, as a writer of the folder could make it: nothing in it makes the process fall.
    #[test]
    fn f08_a_file_with_hostile_content_is_survived(at in 24..1000_usize, value: u32) {
        let folder = left(0..50);
        let file = std::fs::read(state_file(&folder)).unwrap();
        let (content, _) = file.split_last_chunk::<32>().unwrap();
        let mut content = content.to_vec();
        let at = at % (content.len() - 4);
        content[at..at + 4].copy_from_slice(&value.to_le_bytes());
        let mac = bmap_protocol::keys::MacKey::from_key_bytes(b"geo").mac(&content);
        std::fs::write(state_file(&folder), [content.as_slice(), &mac].concat()).unwrap();
        let (store, _) = open(folder.path(), START + 11);
        for number in 0..60 {
            let _ = store.record_now(&record(number, START + 11), START + 11);
            let _ = store.record_now(&record(number, START + 300), START + 300);
        }
    }
}

#[tokio::test]
async fn t22_f08_a_clock_behind_what_the_process_before_saw_is_not_believed() {
    let (issuer, folder) = (TestIssuer::new(), folder());
    let page = issuer.mint(|_| {});
    let verifier = |now: u32| {
        let (credential, clock) = (issuer.credential("geo"), stopped(now.into()));
        Verifier::with_state(credential, Policy::default(), LIMITS, folder.path(), &clock).unwrap()
    };
    let at = async |verifier: &Verifier, seconds: u32| {
        let (head, body) = Draft { created: seconds.into(), ..get("/a") }.sign(&page).into_parts();
        let decision = verifier.verify(&head, body, None, &move || UnixTime::from_seconds(seconds)).await;
        decision.map(|_| ()).map_err(|refusal| refusal.code().as_str())
    };
    let first = verifier(NOW);
    assert_eq!(at(&first, NOW + 40).await, Ok(()));
    first.save_state(UnixTime::from_seconds(NOW + 50)).unwrap();
    assert_eq!(at(&first, NOW + 50).await, Err("replay_store_unavailable"));
    drop(first);
    // The clock was set back meanwhile.
    let second = verifier(NOW + 20);
    assert_eq!(at(&second, NOW + 20).await, Err("clock_unreliable"));
    assert_eq!(at(&second, NOW + 44).await, Err("clock_unreliable"));
    assert_eq!(at(&second, NOW + 45).await, Ok(()), "as far behind as a clock may be while a process runs");
}
