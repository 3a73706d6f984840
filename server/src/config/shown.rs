//! A key of the configuration, shown without its secret.

use serde::Serialize;
use std::fmt;

/// A key as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// Its name in the file, with that of its table.
    pub(super) key: String,
    /// Whether it has a value.
    pub(super) set: bool,
    /// The value; none for a secret.
    pub(super) value: Option<String>,
    /// Where the value came from.
    pub(super) source: Option<String>,
}

impl Shown {
    /// A value, which is left out where it is a secret.
    pub(super) fn of(key: String, text: &str, is_secret: bool, source: String) -> Self {
        Self { key, set: true, value: (!is_secret).then(|| text.to_owned()), source: Some(source) }
    }
}

/// A line of a configuration file, with the source behind it.
impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, source) = (&self.key, self.source.as_deref().unwrap_or_default());
        match &self.value {
            Some(value) => write!(f, "{key} = {value:?} # {source}"),
            None if self.set => write!(f, "{key} = (set, not shown) # {source}"),
            None => write!(f, "# {key} is not set"),
        }
    }
}
