//! Showing the configuration without its secrets.

use super::shown::Shown;
use super::{Config, KEYS};

/// Every key with its value and where it came from; secrets only as set or not.
pub fn show(config: &Config) -> Vec<Shown> {
    let shown = KEYS.iter().map(|key| match config.layers.find(key.name) {
        Some(value) => Shown::of(key.name.to_owned(), &value.text, key.secret, value.source.to_string()),
        None => Shown { key: key.name.to_owned(), set: false, value: None, source: None },
    });
    shown.chain(config.layers.openid().show()).collect()
}
