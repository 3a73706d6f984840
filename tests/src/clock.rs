//! The one file here that waits.

use bmap_verifier::SystemClock;
use std::time::Duration;

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemClock.now().seconds().cast_unsigned()
}

/// Waits until it is later than `second`: a replay store in memory refuses what was signed in the second of its start.
pub fn wait_until_after(second: u64) {
    while now() <= second {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Asks `found` until it finds something, for at most 60 s.
///
/// # Panics
/// If it finds nothing in that time; `what` says what was waited for.
pub fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    for _ in 0..3000 {
        if let Some(found) = found() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("waited 60 s for {what}");
}
