//! The one place that draws randomness, and the ids that are made from it.

use crate::clock::UnixTime;

/// The operating system gave no randomness.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct NoRandomness;

/// Draws random bytes that no attacker can guess.
pub trait Random: Send + Sync {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// [`NoRandomness`]; then nothing may be made from `bytes`.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness>;
}

/// The operating system's source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(clippy::disallowed_methods, reason = "this is the file that draws randomness")]
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        getrandom::fill(bytes).map_err(|_| NoRandomness)
    }
}

/// `N` random bytes.
///
/// # Errors
/// [`NoRandomness`].
pub fn bytes<const N: usize>(random: &dyn Random) -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    random.fill(&mut bytes)?;
    Ok(bytes)
}

/// The 16 bytes of a UUIDv7 (RFC 9562 §5.7): ids that sort by the time they were made.
///
/// # Errors
/// [`NoRandomness`].
pub fn uuid_v7(now: UnixTime, random: &dyn Random) -> Result<[u8; 16], NoRandomness> {
    let millis = u64::try_from(now.0).unwrap_or(0);
    Ok(*uuid::Builder::from_unix_timestamp_millis(millis, &bytes::<10>(random)?).as_uuid().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_differ() {
        let at = |millis| uuid_v7(UnixTime(millis), &SystemRandom).unwrap();
        assert!(at(1_000) < at(2_000));
        assert_ne!(at(1_000), at(1_000));
        assert_eq!(at(-5)[..6], [0; 6]);
        assert_eq!(at(0)[6] >> 4, 7);
    }
}
