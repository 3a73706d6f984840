//! How far a copy is: one line that is written over, and only where a person sees it.

use bmap_store::copy::Step;
use std::io::{IsTerminal, Write};

/// Signs of the bar.
const WIDTH: u64 = 30;

pub(super) struct Progress {
    is_shown: bool,
    last: String,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { is_shown: std::io::stderr().is_terminal(), last: String::new() }
    }

    pub(super) fn show(&mut self, step: Step) {
        if !self.is_shown {
            return;
        }
        let line = line(step);
        if line != self.last {
            // A terminal that is gone is no reason to end a copy.
            let _ = write!(std::io::stderr(), "\r\x1b[2K{line}");
            self.last = line;
        }
    }

    /// Takes the line away.
    pub(super) fn end(&mut self) {
        if !self.last.is_empty() {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
            self.last.clear();
        }
    }
}

fn line(step: Step) -> String {
    let all = step.all.max(1);
    let full = step.done.min(all).saturating_mul(WIDTH).checked_div(all).unwrap_or_default();
    let signs: String = (0..WIDTH).map(|at| if at < full { '#' } else { '.' }).collect();
    let doing = if step.is_comparing { "comparing" } else { "copying" };
    format!("{doing} [{signs}] {}/{} {}", step.done, step.all, step.table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_as_full_as_the_work_is_done() {
        let at = |done, all| line(Step { is_comparing: false, table: "users", done, all });
        assert_eq!(at(0, 0), format!("copying [{}] 0/0 users", ".".repeat(30)));
        assert_eq!(at(50, 100), format!("copying [{}{}] 50/100 users", "#".repeat(15), ".".repeat(15)));
        assert!(at(7, 5).contains(&"#".repeat(30)), "rows that came meanwhile");
    }
}
