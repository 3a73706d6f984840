//! Arguments that several commands take.

use bmap_model::scope::Scopes;

/// Seconds, of a number and a unit.
pub(super) fn seconds(text: &str) -> Result<i64, String> {
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
    let parsed = units.into_iter().find_map(|(unit, seconds)| {
        let number: i64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(seconds).filter(|total| (1..=36_525 * 86_400).contains(total))
    });
    parsed.ok_or_else(|| "a time is a number and one of s, m, h, d, at most 36525d".to_owned())
}

/// Scopes with a space between them.
pub(super) fn parse_scopes(text: &str) -> Result<Scopes, String> {
    Scopes::parse(text).map_err(|error| error.to_string())
}
