//! A process of the tool in the model: its clock, the bodies that it waits for, and its store.

use super::design::{Design, PAST, Place, Request, SKEW, STEP};
use super::store::{File, Table};

/// A process, or the place for one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) clock: u8,
    /// The latest time that any process here saw. What the model knows and a process that starts does not.
    pub(super) highest: u8,
    pub(super) process: Option<Process>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Process {
    pub(super) table: Table,
    /// The second until which it does not know what was let in.
    pub(super) forgot: Option<u8>,
    /// The latest time that it saw.
    pub(super) seen: u8,
    /// Bodies under way: which request, and when its head came.
    pub(super) bodies: Vec<(usize, u8)>,
    /// Whether it has saved its store.
    pub(super) saved: bool,
}

impl Node {
    /// A process that began so long ago that nothing of what was before it is fresh, or the place for one.
    pub(super) fn first(runs: bool) -> Self {
        let process = Process { table: Table::default(), forgot: None, seen: 0, bodies: Vec::new(), saved: false };
        Self { clock: 0, highest: 0, process: runs.then_some(process) }
    }

    /// A process starts, with a state file or without; `None` where the world is assumed not to let it.
    pub(super) fn start(&mut self, design: Design, place: Place, file: Option<File>, highest: u8) -> Option<()> {
        let (table, forgot) = match file {
            Some(File { table, forgot }) => (table, forgot),
            None if design.clock_holds_over_crash && self.clock < highest => return None,
            None => (Table::default(), Some(self.clock + if design.rule_has_skew { SKEW } else { 0 })),
        };
        let table = if place == Place::Shared { Table::default() } else { table };
        let forgot = forgot.filter(|_| place == Place::Memory);
        self.process =
            Some(Process { seen: self.clock.max(table.latest), table, forgot, bodies: Vec::new(), saved: false });
        Some(())
    }
}

impl Process {
    /// The clock, the window and the rule after a start; `None` where one of them refuses.
    pub(super) fn judge(&mut self, now: u8, request: Request) -> Option<()> {
        self.seen = self.seen.max(now);
        let believed = now + STEP >= self.seen;
        let fresh = request.created + PAST >= now && request.created <= now + SKEW;
        let known = self.forgot.is_none_or(|forgot| request.created > forgot);
        (believed && fresh && known).then_some(())
    }

    pub(super) fn record(&mut self, design: Design, nonce: usize, request: Request, now: u8) -> bool {
        if self.saved && design.closes_when_saved { false } else { self.table.record(design, nonce, request, now) }
    }
}
