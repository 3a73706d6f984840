//! Which known answers agree.

use crate::cases;
use serde::Serialize;

/// The result of a run.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Names of the answers that agree.
    pub passed: Vec<String>,
    /// Names of those that don't, with what came out instead.
    pub failed: Vec<String>,
}

impl Report {
    pub(crate) fn check(&mut self, name: impl Into<String>, result: Result<(), String>) {
        match result {
            Ok(()) => self.passed.push(name.into()),
            Err(why) => self.failed.push(format!("{}: {why}", name.into())),
        }
    }

    pub(crate) fn same(&mut self, name: &str, actual: &[u8], expected_hex: &str) {
        let actual = cases::hex(actual);
        let result = if actual == expected_hex { Ok(()) } else { Err(format!("{actual} instead of {expected_hex}")) };
        self.check(name, result);
    }
}
