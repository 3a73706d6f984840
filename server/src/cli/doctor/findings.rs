//! The findings, for people and for programs.

use crate::cli::error::CliError;
use crate::cli::output;
use serde_json::{Value, json};
use std::fmt::Display;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// As it should be.
    Good,
    /// It works; the operator should know.
    Warning,
    /// It does not work, or is not safe.
    Fault,
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Level::Good => "ok",
            Level::Warning => "warning",
            Level::Fault => "FAULT",
        }
    }
}

#[derive(Debug)]
struct Finding {
    level: Level,
    about: &'static str,
    says: String,
    advice: &'static str,
}

/// Everything that was found, in the order of looking.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn good(&mut self, about: &'static str, says: impl Display) {
        self.add(Level::Good, about, says, "");
    }

    pub(super) fn warning(&mut self, about: &'static str, says: impl Display, advice: &'static str) {
        self.add(Level::Warning, about, says, advice);
    }

    pub(super) fn fault(&mut self, about: &'static str, says: impl Display, advice: &'static str) {
        self.add(Level::Fault, about, says, advice);
    }

    fn add(&mut self, level: Level, about: &'static str, says: impl Display, advice: &'static str) {
        self.0.push(Finding { level, about, says: says.to_string(), advice });
    }

    pub(super) fn faults(&self) -> usize {
        self.0.iter().filter(|finding| finding.level == Level::Fault).count()
    }

    pub(super) fn describe(&self) -> Value {
        let describe = |finding: &Finding| {
            let level = finding.level.as_str().to_ascii_lowercase();
            json!({ "level": level, "about": finding.about, "says": finding.says, "advice": finding.advice })
        };
        json!({ "faults": self.faults(), "findings": self.0.iter().map(describe).collect::<Vec<_>>() })
    }

    pub(super) fn print(&self) -> Result<(), CliError> {
        let row = |finding: &Finding| {
            let advice = if finding.advice.is_empty() { String::new() } else { format!(" ({})", finding.advice) };
            vec![finding.level.as_str().to_owned(), finding.about.to_owned(), format!("{}{advice}", finding.says)]
        };
        output::table(&self.0.iter().map(row).collect::<Vec<_>>())
    }
}
