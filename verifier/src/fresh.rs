//! The proof that a request was fresh when its body had arrived (profile §5, "Time is read from a clock").

use crate::clock::UnixTime;
use crate::verify::TimeHolds;

/// A request whose time window, token and standing held at [`Fresh::at`], after its body. Recording a nonce takes one, so that no
/// nonce is recorded by a time that was read before a wait. Made in one place, [`crate::Verifier::verify`].
#[derive(Debug)]
pub struct Fresh {
    at: UnixTime,
}

impl Fresh {
    pub(crate) const fn new(at: UnixTime, _: TimeHolds) -> Self {
        Self { at }
    }

    /// When the request was fresh: the second reading of the verifier's clock.
    pub const fn at(&self) -> UnixTime {
        self.at
    }
}
