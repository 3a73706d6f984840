//! Showing the configuration without its secrets.

use super::{Config, KEYS};
use std::fmt::Write;

/// Every key with its value and where it came from; secrets only as set or not.
pub fn show(config: &Config) -> String {
    let mut text = String::new();
    for key in KEYS {
        let line = match config.layers.find(key.name) {
            Some(value) if key.secret => format!("{} = (set, not shown) # {}", key.name, value.source),
            Some(value) => format!("{} = {:?} # {}", key.name, value.text, value.source),
            None => format!("# {} is not set", key.name),
        };
        // Writing to a String does not fail.
        let _ = writeln!(text, "{line}");
    }
    config.layers.openid().show(&mut text);
    text
}
