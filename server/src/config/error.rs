//! Why the configuration can't be used, and where a value came from.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingSource {
    /// Built in.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(&'static str),
    /// A file that an environment variable named.
    SecretFile(PathBuf),
    /// A flag.
    Flag(&'static str),
}

impl fmt::Display for SettingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingSource::Default => f.write_str("default"),
            SettingSource::File(path) | SettingSource::SecretFile(path) => write!(f, "{}", path.display()),
            SettingSource::Environment(name) => f.write_str(name),
            SettingSource::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// Why the configuration can't be used.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The file is not TOML. The text is not repeated: it may be a secret.
    #[error("{}, line {line}: {problem}", path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why.
        problem: String,
    },
    /// An unknown key.
    #[error("unknown key {key} in {source_name}")]
    UnknownKey {
        /// The key.
        key: String,
        /// The file, or "the environment".
        source_name: String,
    },
    /// A variable whose value is no text, and would be passed over.
    #[error("{variable} is not UTF-8")]
    NoText {
        /// Its name.
        variable: String,
    },
    /// A secret and a file for it: which one counts would be a guess.
    #[error("both {variable} and {variable}_FILE are set: set one")]
    TwoWays {
        /// The secret's own variable.
        variable: String,
    },
    /// A provider's field that can't be read.
    #[error("{key} (from {place}): {problem}")]
    Provider {
        /// The key, with the provider's name in it.
        key: String,
        /// Where the value stands.
        place: String,
        /// The fault; never the value of a secret.
        problem: String,
    },
    /// A value that can't be read.
    #[error("{key} (from {source}): {problem}", source = .origin)]
    Value {
        /// The key.
        key: &'static str,
        /// Where the value stands.
        origin: SettingSource,
        /// The fault; never the value of a secret.
        problem: String,
    },
}
