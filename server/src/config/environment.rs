//! The texts of settings: the environment, and what a value of the file would be in it.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// How our variables begin.
pub(super) const OURS: &str = "BMAP_";

/// The environment, taken once at the start.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    pub(super) texts: BTreeMap<String, String>,
    /// Names of variables of ours whose value is no text.
    pub(super) no_texts: Vec<String>,
}

impl Environment {
    /// The process's environment.
    pub fn of_process() -> Self {
        Self::of_variables(std::env::vars_os())
    }

    /// The same, of any variables.
    pub fn of_variables(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in variables {
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => drop(environment.texts.insert(name, value)),
                (Ok(name), Err(_)) if name.starts_with(OURS) => environment.no_texts.push(name),
                // Another program's.
                _ => {}
            }
        }
        environment
    }

    /// An environment for a test or an embedding program.
    pub fn of(values: &[(&str, &str)]) -> Self {
        let texts = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { texts: texts.collect(), no_texts: Vec::new() }
    }

    /// The names of all variables.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.texts.keys().map(String::as_str)
    }

    /// The value of a variable; an empty one counts as unset.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// A TOML value as the text that the environment would hold for it.
pub(super) fn flat(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(yes) => Some(yes.to_string()),
        toml::Value::Array(values) => {
            let texts: Option<Vec<&str>> = values.iter().map(toml::Value::as_str).collect();
            Some(texts?.join(","))
        }
        _ => None,
    }
}
