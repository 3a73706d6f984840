//! Times for people, in UTC.

/// A time as people read it, from milliseconds since 1970: `2026-11-22 02:46:07.123Z`.
pub fn time(unix_millis: i64) -> String {
    let (day, of_day) = (unix_millis.div_euclid(86_400_000), unix_millis.rem_euclid(86_400_000));
    let (year, month, day) = date(day);
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, milli) = (of_day / 1000 % 60, of_day % 1000);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// The beginning of a day in UTC, unix milliseconds: of `2026-11-22`, a day that there is.
pub fn day(text: &str) -> Option<i64> {
    let digits = |part: &str, length: usize| {
        let is_number = part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| part.parse::<i64>().ok()).flatten()
    };
    let mut parts = text.split('-');
    let (year, month, day) = (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    // The one of a year's days that is called so; a year before the next begins at most 366 days later.
    let first = year.checked_sub(1970)?.checked_mul(365)?;
    let days = (first..first.checked_add(2500)?).find(|days| date(*days) == (year, month, day))?;
    if parts.next().is_some() { None } else { days.checked_mul(86_400_000) }
}

/// Year, month and day of a day since 1970: eras of 400 years, years that begin in March.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a day is at most 2^63 / 86,400,000, and nothing below multiplies it by more than 400"
)]
fn date(day: i64) -> (i64, i64, i64) {
    // 719,468 days before 1970 is the first of March of the year 0.
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(time(0), "1970-01-01 00:00:00.000Z");
        assert_eq!(time(951_782_400_000), "2000-02-29 00:00:00.000Z");
        assert_eq!(time(1_795_000_000_123), "2026-11-18 11:06:40.123Z");
        assert_eq!(time(-1), "1969-12-31 23:59:59.999Z");
        assert!(time(i64::MAX).ends_with('Z') && time(i64::MIN).ends_with('Z'));
    }
}
