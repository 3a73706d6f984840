//! Waits between tries: they grow, have a cap, and differ from node to node.

use crate::rng;
use std::time::Duration;

/// The first wait, before its jitter.
const FIRST: Duration = Duration::from_millis(100);
/// Longest wait.
pub(crate) const LONGEST: Duration = Duration::from_secs(5);

/// The next wait.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self(FIRST)
    }

    /// Half of it to all of it, so that nodes that lost the same issuer do not come back at one moment.
    pub(crate) fn next_wait(&mut self) -> Duration {
        let whole = self.0;
        self.0 = whole.saturating_mul(2).min(LONGEST);
        let [part] = rng::bytes::<1>().unwrap_or([u8::MAX]);
        let half = whole.checked_div(2).unwrap_or(whole);
        half.saturating_add(half.saturating_mul(u32::from(part)).checked_div(u8::MAX.into()).unwrap_or_default())
    }

    /// A try succeeded.
    pub(crate) fn reset(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f19_waits_grow_to_the_cap_and_differ() {
        let mut backoff = Backoff::new();
        let mut whole = FIRST;
        for _ in 0..20 {
            let wait = backoff.next_wait();
            assert!(wait >= whole / 2 && wait <= whole && wait <= LONGEST, "{wait:?} of {whole:?}");
            whole = (whole * 2).min(LONGEST);
        }
        let waits: std::collections::HashSet<_> = (0..50).map(|_| backoff.next_wait()).collect();
        assert!(waits.len() > 10, "jitter");
        backoff.reset();
        assert!(backoff.next_wait() <= FIRST);
    }
}
