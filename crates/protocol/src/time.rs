//! A point in time, as the profile writes it.
//!
//! ```
//! use bmap_protocol::time::UnixTime;
//!
//! let issued = UnixTime::from_seconds(1_764_000_000);
//! assert_eq!(issued.plus_seconds(300).seconds(), 1_764_000_300); // iat and exp of a token
//! ```

/// Milliseconds since 1970 (UTC), without leap seconds: `server_time` of the profile. In seconds it is what `created`, `iat` and `exp` count.
///
/// ```
/// use bmap_protocol::time::UnixTime;
///
/// let time = UnixTime(1_764_000_000_750);
/// assert_eq!(time.seconds(), 1_764_000_000);
/// assert_eq!(time.plus_seconds(60).millis(), 1_764_000_060_750);
/// assert!(time > UnixTime::from_seconds(1_764_000_000));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixTime(pub i64);

impl UnixTime {
    /// Takes milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Takes seconds since 1970.
    pub const fn from_seconds(seconds: u32) -> Self {
        Self((seconds as i64).saturating_mul(1000))
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The moment `seconds` later; the end of time where that does not fit.
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_time_is_no_overflow() {
        assert_eq!(UnixTime(i64::MAX).plus_seconds(1), UnixTime(i64::MAX));
        assert_eq!(UnixTime(-1).seconds(), -1);
    }
}
