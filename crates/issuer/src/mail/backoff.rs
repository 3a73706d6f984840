//! When to try again: later each time, and not all mails at once.

use bmap_model::rng::{self, NoRandomness, Random};

/// The first wait, in milliseconds; it doubles each time.
const FIRST: i64 = 5_000;
/// The longest wait, in milliseconds.
const LONGEST: i64 = 3_600_000;

/// Milliseconds until the next try, after so many: between half and the whole of the doubled wait, so that mails which failed
/// together are not tried together.
///
/// # Errors
/// [`NoRandomness`].
pub fn wait(attempts: i64, random: &dyn Random) -> Result<i64, NoRandomness> {
    let doublings = u32::try_from(attempts.saturating_sub(1).clamp(0, 20)).unwrap_or(0);
    let whole = FIRST.saturating_mul(1_i64.checked_shl(doublings).unwrap_or(i64::MAX)).min(LONGEST);
    let drawn = i64::from(u32::from_be_bytes(rng::bytes(random)?));
    let half = whole.div_euclid(2);
    // Below 2³² times 1,800,000, which fits.
    Ok(half.saturating_add(drawn.saturating_mul(half).wrapping_shr(32)))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u8);

    impl Random for Fixed {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
            bytes.fill(self.0);
            Ok(())
        }
    }

    #[test]
    fn waits_double_up_to_an_hour_and_are_spread() {
        let shortest = |attempts| wait(attempts, &Fixed(0)).unwrap();
        assert_eq!([shortest(0), shortest(1), shortest(2), shortest(3)], [2_500, 2_500, 5_000, 10_000]);
        assert_eq!([shortest(20), shortest(i64::MAX)], [1_800_000; 2]);
        let longest = |attempts| wait(attempts, &Fixed(0xff)).unwrap();
        assert_eq!([longest(1), longest(2), longest(50)], [4_999, 9_999, 3_599_999]);
    }
}
