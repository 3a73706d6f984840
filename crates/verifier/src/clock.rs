//! Time as an argument. This is the one file of the crate that reads a clock or starts a timer.

use std::time::Duration;

pub use bmap_protocol::time::UnixTime;

/// Milliseconds for counters that start at 1970; a time before it counts as 0.
pub(crate) const fn millis(time: UnixTime) -> u64 {
    if time.millis() < 0 { 0 } else { time.millis().cast_unsigned() }
}

/// Where a verifier gets the time from.
///
/// With the feature `tokio`, [`SystemClock`] and every `Fn() -> UnixTime` is one; their timers are tokio's. A tool on another
/// runtime leaves the feature out and implements this trait with its runtime's timer.
///
/// ```
/// use bmap_verifier::{Clock, UnixTime};
/// use std::time::Duration;
///
/// /// The clock of a test: its time stands still, and nothing times out.
/// struct Stopped(UnixTime);
///
/// impl Clock for Stopped {
///     fn now(&self) -> UnixTime {
///         self.0
///     }
///
///     async fn sleep(&self, _: Duration) {
///         std::future::pending().await
///     }
/// }
///
/// assert_eq!(Stopped(UnixTime::from_seconds(7)).now().millis(), 7000);
/// ```
pub trait Clock: Send + Sync + 'static {
    /// The time.
    fn now(&self) -> UnixTime;

    /// Completes after `duration`, on a clock that is never set. It ends bodies that do not arrive (T24): an implementation that
    /// never completes leaves them open.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}

/// This machine's clock. A time before 1970 reads as 0, in which nothing is fresh.
///
/// On Linux it is the one that the kernel keeps up with its ticks, at most 10 ms behind: windows are seconds, and reading the exact one
/// can take longer than all claims of a token.
///
/// ```
/// use bmap_verifier::{SystemClock, UnixTime};
///
/// assert!(SystemClock.now() > UnixTime::from_seconds(1_764_000_000));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The time.
    #[cfg(target_os = "linux")]
    pub fn now(&self) -> UnixTime {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        // Before 1970 is 0.
        let millis = time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000);
        UnixTime::from_millis(if millis < 0 { 0 } else { millis })
    }

    /// The time.
    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn now(&self) -> UnixTime {
        use std::time::SystemTime;
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        UnixTime::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

#[cfg(feature = "tokio")]
impl Clock for SystemClock {
    fn now(&self) -> UnixTime {
        SystemClock::now(self)
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(duration)
    }
}

#[cfg(feature = "tokio")]
impl<F: Fn() -> UnixTime + Send + Sync + 'static> Clock for F {
    fn now(&self) -> UnixTime {
        self()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "compares with the exact clock")]
    fn this_machines_clock_is_the_time() {
        let exact = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        let now = u128::from(millis(SystemClock.now()));
        assert!(now.abs_diff(exact) < 5_000, "{now} {exact}");
    }
}
