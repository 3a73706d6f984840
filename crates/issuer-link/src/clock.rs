//! The two clocks of a link. This is the one file of the crate that reads them.

use bmap_verifier::{SystemClock, UnixTime};
use std::time::Duration;

/// What a link reads time from.
///
/// Ages are measured on a clock that is never set, so that a wall clock that is set back or forward makes no stale link fresh (T22).
///
/// ```
/// use bmap_issuer_link::{LinkClock, MachineClock};
///
/// let clock = MachineClock;
/// assert!(clock.elapsed() <= clock.elapsed());
/// assert!(clock.now().millis() > 1_764_000_000_000);
/// ```
pub trait LinkClock: Send + Sync + 'static {
    /// The time of day.
    fn now(&self) -> UnixTime;

    /// The time since any fixed moment. It also goes on while the machine sleeps.
    fn elapsed(&self) -> Duration;
}

/// This machine's clocks.
///
/// ```
/// use bmap_issuer_link::{LinkOptions, MachineClock};
///
/// let options = LinkOptions::default(); // has this one
/// # let _ = (options, MachineClock);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineClock;

impl LinkClock for MachineClock {
    fn now(&self) -> UnixTime {
        SystemClock.now()
    }

    #[cfg(target_os = "linux")]
    fn elapsed(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        Duration::from_secs(seconds)
            .saturating_add(Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or_default()))
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::disallowed_methods, reason = "the file that reads the clock")]
    fn elapsed(&self) -> Duration {
        use std::sync::OnceLock;
        use std::time::Instant;
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }
}

/// Milliseconds of a duration.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
