//! The one place of this crate that reads a clock: to say how long a step took.

use std::time::{Duration, Instant};

/// Runs `work` and says how long it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = now();
    let result = work();
    (result, now().duration_since(start))
}

#[expect(clippy::disallowed_methods, reason = "this is the file that reads the clock; nothing is decided by it")]
fn now() -> Instant {
    Instant::now()
}
