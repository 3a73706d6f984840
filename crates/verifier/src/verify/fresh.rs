//! The proof that a request was fresh when its body had arrived (profile §5, "Time is read from a clock").

use crate::clock::UnixTime;

/// A request whose time window, token and standing held at [`Fresh::at`], after its body. Recording a nonce takes one, so that no
/// nonce is recorded by a time that was read before a wait. Made in one place, [`crate::Verifier::verify`].
///
/// ```
/// use bmap_verifier::Fresh;
/// use bmap_verifier::replay::Record;
///
/// /// A store asks for the proof and can trust its time: it was read after the request's body had arrived.
/// fn is_over(record: &Record, fresh: &Fresh) -> bool {
///     record.until <= fresh.at().seconds()
/// }
/// ```
#[derive(Debug)]
pub struct Fresh {
    at: UnixTime,
}

impl Fresh {
    /// For the one function that decides.
    pub(super) const fn new(at: UnixTime) -> Self {
        Self { at }
    }

    /// When the request was fresh: the second reading of the verifier's clock.
    pub const fn at(&self) -> UnixTime {
        self.at
    }
}
