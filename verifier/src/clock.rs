//! Time as an argument. This is the one file of the crate that reads a clock.

use std::time::SystemTime;

/// Milliseconds since 1970, UTC, as the profile's `server_time`.
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

/// Where a layer gets the time from.
pub trait Clock: Send + Sync + 'static {
    /// The time.
    fn now(&self) -> UnixTime;
}

/// This machine's clock. A time before 1970 reads as 0, in which nothing is fresh.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The time.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn now(&self) -> UnixTime {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        UnixTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Clock for SystemClock {
    fn now(&self) -> UnixTime {
        SystemClock::now(self)
    }
}

impl<F: Fn() -> UnixTime + Send + Sync + 'static> Clock for F {
    fn now(&self) -> UnixTime {
        self()
    }
}
