//! The issuer's time, as it was last heard of, on a clock that is never set.

use crate::clock::millis;
use std::time::Duration;

/// Oldest that a mark may be when it arrives: a feed that is held up on its way is no live one.
const OLDEST: i64 = 3_000;

/// The issuer's time against [`crate::LinkClock::elapsed`].
#[derive(Debug, Default)]
pub(crate) struct IssuerTime {
    /// Its time minus ours when it was last heard of, milliseconds.
    offset: Option<i64>,
    /// The greatest such difference since a state was loaded. The issuer's time is not behind it.
    greatest: Option<i64>,
}

impl IssuerTime {
    /// An answer with the issuer's time arrived.
    pub(crate) fn heard(&mut self, server_time: i64, elapsed: Duration) {
        let offset = server_time.saturating_sub(millis_signed(elapsed));
        self.offset = Some(offset);
        self.greatest = Some(self.greatest.map_or(offset, |greatest| greatest.max(offset)));
    }

    /// A state arrived that was asked for anew: earlier words count no more, since the issuer's own clock may have been set.
    pub(crate) fn heard_anew(&mut self, server_time: i64, elapsed: Duration) {
        *self = Self::default();
        self.heard(server_time, elapsed);
    }

    /// A mark arrived. Whether it is one of now, and not one that was held up.
    pub(crate) fn mark(&mut self, server_time: i64, elapsed: Duration) -> bool {
        let age = self
            .greatest
            .map_or(0, |greatest| greatest.saturating_add(millis_signed(elapsed)).saturating_sub(server_time));
        let is_of_now = age <= OLDEST;
        if is_of_now {
            self.heard(server_time, elapsed);
        }
        is_of_now
    }

    /// The issuer's time now, milliseconds since 1970; `None` before its first word.
    pub(crate) fn now(&self, elapsed: Duration) -> Option<i64> {
        self.offset.map(|offset| offset.saturating_add(millis_signed(elapsed)))
    }
}

fn millis_signed(duration: Duration) -> i64 {
    i64::try_from(millis(duration)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn t22_a_mark_that_was_held_up_is_not_one_of_now() {
        let mut time = IssuerTime::default();
        assert_eq!(time.now(s(1)), None);
        time.heard_anew(1_000_000, s(10));
        assert_eq!(time.now(s(12)), Some(1_002_000));
        assert!(time.mark(1_001_000, s(11)) && time.mark(1_001_500, s(13)), "1.5 s on its way");
        assert!(time.mark(1_002_000, s(15)), "3 s");
        assert!(!time.mark(1_002_000, s(16)), "4 s, though each came only a little later than the one before");
        // The issuer's clock was set back: a state that is asked for anew says so.
        time.heard_anew(500_000, s(17));
        assert!(time.mark(501_000, s(18)));
        assert_eq!(time.now(s(18)), Some(501_000));
    }
}
