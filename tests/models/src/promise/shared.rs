//! A shared store in the model: a primary with a clock of its own, and a replica that has what it had at some moment.

use super::design::{Design, Request, SKEW};
use super::store::Table;

/// The primary, and what its replica has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Primary {
    pub(super) clock: u8,
    table: Table,
    replica: Table,
    /// The second until which it does not know what was let in.
    forgot: Option<u8>,
}

impl Primary {
    /// Records a first use, by its own clock and under its own rule, in one step.
    pub(super) fn record(&mut self, design: Design, nonce: usize, request: Request) -> bool {
        if self.forgot.is_some_and(|forgot| request.created <= forgot) {
            return false;
        }
        self.table.record(design, nonce, request, self.clock)
    }

    pub(super) fn replicate(&mut self) {
        self.replica = self.table.clone();
    }

    pub(super) fn fail_over(&mut self, design: Design) {
        self.table = self.replica.clone();
        if design.rule_on_failover {
            self.forgot = Some(self.clock + SKEW);
        }
    }
}
