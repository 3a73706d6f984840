//! Which changes have arrived, which are in force, and where a feed goes on.

/// Cursors of one link.
///
/// Changes of one act share a cursor. So a cursor is complete when a later one or a mark says so, and not with its first change: a feed
/// that is cut within an act begins again before it.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Of the state that is in force.
    state: Option<i64>,
    /// Every change up to here has arrived.
    complete: i64,
    /// The newest that was seen.
    seen: i64,
    /// The newest change, and the newest that is complete.
    changes: (i64, i64),
    /// The first and last change since the state that only a state behind it brings into force.
    wanted: Option<(i64, i64)>,
}

impl Progress {
    /// A change came.
    pub(crate) fn change(&mut self, cursor: i64) {
        if cursor > self.seen {
            self.complete = self.complete.max(self.seen);
            self.seen = cursor;
        }
        if cursor > self.changes.0 {
            self.changes = (cursor, self.changes.0);
        }
    }

    /// A change came that a state brings into force. Whether one has to be loaded.
    pub(crate) fn wants_state(&mut self, cursor: i64) -> bool {
        if self.is_covered(cursor) {
            return false;
        }
        let (first, last) = self.wanted.unwrap_or((cursor, cursor));
        self.wanted = Some((first.min(cursor), last.max(cursor)));
        true
    }

    /// Every change up to a cursor has come.
    pub(crate) fn mark(&mut self, cursor: i64) {
        self.complete = self.complete.max(cursor);
        self.seen = self.seen.max(cursor);
        if cursor >= self.changes.0 {
            self.changes.1 = self.changes.0;
        }
    }

    /// A state came into force. A `reset` sets every cursor, back too: the issuer no longer knows the one that was asked
    /// behind.
    pub(crate) fn state(&mut self, cursor: i64, reset: bool) {
        if reset {
            let changes = (cursor, cursor);
            *self = Self { state: Some(cursor), complete: cursor, seen: cursor, changes, wanted: None };
            return;
        }
        self.state = self.state.max(Some(cursor));
        self.mark(cursor);
        self.changes = (self.changes.0.max(cursor), self.changes.1.max(cursor));
        self.wanted = self
            .wanted
            .and_then(|(first, last)| (last > cursor).then_some((first.max(cursor.saturating_add(1)), last)));
    }

    /// The state that was asked for is the one that is in force.
    pub(crate) fn state_is_unchanged(&mut self) {
        self.wanted = None;
    }

    /// Whether the state in force has a change in it.
    pub(crate) fn is_covered(&self, cursor: i64) -> bool {
        self.state.is_some_and(|state| cursor <= state)
    }

    /// Whether a state at this cursor is older than the one in force.
    pub(crate) fn is_older(&self, cursor: i64) -> bool {
        self.state.is_some_and(|state| cursor < state)
    }

    /// Whether a state has still to be loaded.
    pub(crate) const fn is_wanting(&self) -> bool {
        self.wanted.is_some()
    }

    /// The cursor behind which a feed goes on; `None` before the first state.
    pub(crate) fn after(&self) -> Option<i64> {
        self.state.map(|_| self.complete)
    }

    /// Changes up to this cursor are in force; `None` before the first state.
    pub(crate) fn applied(&self) -> Option<i64> {
        self.state?;
        Some(self.wanted.map_or(self.complete, |(first, _)| self.complete.min(first.saturating_sub(1))))
    }

    /// The newest change that is in force: the issuer waits to hear of it, and not of other cursors.
    pub(crate) fn newest_applied(&self) -> Option<i64> {
        self.applied().map(|applied| applied.min(self.changes.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(state: i64) -> Progress {
        let mut progress = Progress::default();
        assert_eq!((progress.after(), progress.applied()), (None, None));
        progress.state(state, false);
        progress
    }

    #[test]
    fn f19_a_cursor_is_complete_when_a_later_one_says_so() {
        let mut progress = at(5);
        progress.change(7);
        assert_eq!((progress.after(), progress.newest_applied()), (Some(5), Some(5)), "more of the same act may come");
        progress.change(7);
        assert_eq!(progress.after(), Some(5));
        progress.change(9);
        assert_eq!((progress.after(), progress.newest_applied()), (Some(7), Some(7)));
        progress.mark(9);
        assert_eq!(progress.newest_applied(), Some(9));
        progress.mark(12);
        assert_eq!((progress.applied(), progress.newest_applied()), (Some(12), Some(9)), "a mark alone is no news");
        // Doubled, late and reordered words move nothing back.
        for cursor in [7, 3, 9] {
            progress.change(cursor);
            progress.mark(cursor);
            progress.state(cursor, false);
        }
        assert_eq!((progress.after(), progress.newest_applied()), (Some(12), Some(9)));
    }

    #[test]
    fn a_change_that_a_state_brings_is_applied_with_it() {
        let mut progress = at(5);
        for cursor in [7, 9] {
            progress.change(cursor);
            assert!(progress.wants_state(cursor));
        }
        progress.mark(10);
        assert_eq!((progress.after(), progress.applied()), (Some(10), Some(6)));
        progress.state(8, false);
        assert_eq!((progress.applied(), progress.is_wanting()), (Some(8), true));
        progress.state(9, false);
        assert_eq!((progress.applied(), progress.is_wanting()), (Some(10), false));
        assert!(!progress.wants_state(9), "it is in the state already");
        assert!(progress.wants_state(11));
        progress.state_is_unchanged();
        assert_eq!(progress.applied(), Some(10));
    }

    #[test]
    fn f23_a_state_after_a_gone_cursor_sets_cursors_back() {
        let mut progress = at(900);
        progress.state(50, true);
        assert_eq!((progress.after(), progress.is_older(49), progress.is_older(50)), (Some(50), true, false));
    }
}
