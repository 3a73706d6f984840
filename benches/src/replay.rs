//! A million live nonces: what they take up, and what one more costs.

use crate::inputs::spread;
use crate::stats::{Row, goal, table};
use bmap_protocol::check::Window;
use bmap_verifier::replay::Record;
use bmap_verifier::{MemoryReplayStore, ReplayLimits};

const MILLION: u64 = 1_000_000;

pub(crate) fn run() {
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()).unwrap_or(0) / 1024
    };
    for (what, keys) in [("10,000 keys", 10_000), ("a key for each nonce", MILLION)] {
        let before = resident();
        let store = MemoryReplayStore::new(ReplayLimits { entries: 1_000_000, per_key: 1000 }, Window::DEFAULT, 0);
        let mut row = Row::new("record one nonce");
        for block in 0..100 {
            row.time(10_000, || {
                for number in block * 10_000..(block + 1) * 10_000 {
                    let record = Record { key: spread(number % keys + 1), nonce: spread(number), until: 66 };
                    assert_eq!(store.record_now(&record, 0), Ok(()));
                }
            });
        }
        assert_eq!(store.len() as u64, MILLION);
        table(&format!("Replay store, 1 M live nonces, {what}"), &[&row]);
        println!("  resident memory grew by {} MiB", resident().saturating_sub(before));
        goal("bound on bytes, MiB", store.max_bytes() as f64 / f64::from(1 << 20), 64.0, true);
    }
}
