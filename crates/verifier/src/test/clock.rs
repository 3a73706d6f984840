//! Time that stands still until a test moves it.

use crate::clock::{Clock, UnixTime};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

/// A clock that a test moves. Clones are the same clock; its timers end when [`ManualClock::advance`] has come to their end.
///
/// ```
/// use bmap_verifier::test::ManualClock;
/// use std::time::Duration;
///
/// let clock = ManualClock::at_seconds(1_764_000_000);
/// let of_the_tool = clock.clone();
/// clock.advance(Duration::from_secs(61));
/// assert_eq!(of_the_tool.now().seconds(), 1_764_000_061);
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<Time>>);

struct Time {
    now: UnixTime,
    /// What has passed since the start. Setting the clock does not change it.
    passed: Duration,
    sleepers: Vec<Waker>,
}

impl ManualClock {
    /// A clock that shows this time.
    pub fn at(now: UnixTime) -> Self {
        Self(Arc::new(Mutex::new(Time { now, passed: Duration::ZERO, sleepers: Vec::new() })))
    }

    /// A clock that shows this time, seconds since 1970.
    pub fn at_seconds(now: u32) -> Self {
        Self::at(UnixTime::from_seconds(now))
    }

    /// The time.
    pub fn now(&self) -> UnixTime {
        self.time().now
    }

    /// Time passes: the clock shows it, and timers that have come to their end complete.
    pub fn advance(&self, duration: Duration) {
        let sleepers = {
            let mut time = self.time();
            let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
            time.now = UnixTime::from_millis(time.now.millis().saturating_add(millis));
            time.passed = time.passed.saturating_add(duration);
            std::mem::take(&mut time.sleepers)
        };
        sleepers.into_iter().for_each(Waker::wake);
    }

    /// The clock is set, as an operator or NTP does: no time passes, and no timer moves.
    pub fn set(&self, now: UnixTime) {
        self.time().now = now;
    }

    fn time(&self) -> MutexGuard<'_, Time> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixTime {
        ManualClock::now(self)
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        let clock = self.clone();
        let until = self.time().passed.saturating_add(duration);
        std::future::poll_fn(move |context| {
            let mut time = clock.time();
            if time.passed >= until {
                return Poll::Ready(());
            }
            time.sleepers.push(context.waker().clone());
            Poll::Pending
        })
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManualClock").field(&self.now().millis()).finish()
    }
}
