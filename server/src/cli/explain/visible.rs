//! A line as it is shown.

/// A line with its control characters escaped, so that nothing hides in it and nothing steers a terminal.
pub(super) fn visible(line: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().collect() } else { String::from(c) };
    line.chars().map(escaped).collect()
}
