//! The parts of the design, and the small numbers that times are.

/// Seconds for which a request is fresh.
pub const PAST: u8 = 2;
/// Seconds by which a request may be ahead of its time.
pub const SKEW: u8 = 1;
/// Seconds by which a clock may go back before it is not believed.
pub const STEP: u8 = 1;

/// A signed request: which key, which nonce, when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Request {
    /// The key.
    pub key: u8,
    /// When it was signed.
    pub created: u8,
}

impl Request {
    pub(super) fn until(self) -> u8 {
        self.created + PAST + SKEW + 1
    }
}

/// Where nonces are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the memory of each process.
    Memory,
    /// In one store for all of them, with a replica.
    Shared,
}

/// The parts of a design. [`Design::current`] has all of them.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Design {
    /// The time is read again after the body, and the window must hold then too.
    pub reads_time_again: bool,
    /// One clock for the whole store: no record that ended for one call is looked for by another.
    pub one_clock: bool,
    /// A record is known by its key's bytes, and not by a number that is given out again.
    pub knows_keys_by_bytes: bool,
    /// A start without state refuses what was signed until `start + skew`, and not only until `start`.
    pub rule_has_skew: bool,
    /// A state file is gone before it is used.
    pub reads_state_once: bool,
    /// A store that was saved takes nothing more.
    pub closes_when_saved: bool,
    /// A state file holds the second until which its process knew nothing.
    pub saves_rule: bool,
    /// A process that finds another one at its state folder does not start.
    pub locks_folder: bool,
    /// A shared store whose primary changed applies the rule from the change on, at the time of recording.
    pub rule_on_failover: bool,
    /// Assumed of the world: at a start without state the clock is not behind what the process before saw.
    pub clock_holds_over_crash: bool,
}

impl Design {
    /// The design as it is.
    pub const fn current() -> Self {
        Self {
            reads_time_again: true,
            one_clock: true,
            knows_keys_by_bytes: true,
            rule_has_skew: true,
            reads_state_once: true,
            closes_when_saved: true,
            saves_rule: true,
            locks_folder: true,
            rule_on_failover: true,
            clock_holds_over_crash: true,
        }
    }

    /// The design as it was.
    pub const fn former() -> Self {
        Self {
            reads_time_again: false,
            one_clock: false,
            knows_keys_by_bytes: false,
            rule_has_skew: false,
            ..Self::current()
        }
    }
}
