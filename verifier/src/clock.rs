//! Time as an argument. This is the one file of the crate that reads a clock or starts a timer.

use std::time::Duration;

/// Milliseconds since 1970, UTC, as the profile's `server_time`.
///
/// ```
/// use bmap_verifier::UnixTime;
///
/// let time = UnixTime::from_millis(1_764_000_000_750);
/// assert_eq!(time.seconds(), 1_764_000_000);
/// assert!(time > UnixTime::from_seconds(1_764_000_000));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixTime(u64);

impl UnixTime {
    /// Takes milliseconds since 1970.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Takes seconds since 1970.
    pub const fn from_seconds(seconds: u32) -> Self {
        Self((seconds as u64).saturating_mul(1000))
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970, as `created` counts them.
    pub const fn seconds(self) -> i64 {
        (self.0 / 1000).cast_signed()
    }
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
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let millis = u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000;
        UnixTime(seconds.saturating_mul(1000).saturating_add(millis))
    }

    /// The time.
    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn now(&self) -> UnixTime {
        use std::time::SystemTime;
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        UnixTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
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
        let now = u128::from(SystemClock.now().millis());
        assert!(now.abs_diff(exact) < 5_000, "{now} {exact}");
    }
}
