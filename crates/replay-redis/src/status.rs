//! What a store says of itself, for readiness and for metrics.

use crate::fault::StoreFault;

/// Whether records are taken.
///
/// ```
/// use bmap_replay_redis::{State, StoreFault};
///
/// /// What a readiness probe answers with.
/// fn status(state: &State) -> u16 {
///     match state {
///         State::Ready { .. } => 200,
///         State::Refusing(_) => 503,
///     }
/// }
/// assert_eq!(status(&State::Refusing(StoreFault::NoReplicas)), 503);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Yes, on a checked connection.
    Ready {
        /// Requests that were signed until this second are refused, seconds since 1970.
        forgot_until: i64,
    },
    /// No: every signed request is answered 503.
    Refusing(StoreFault),
}

/// What a store says of itself. Counts begin with the process.
///
/// ```no_run
/// # fn readiness(store: &bmap_replay_redis::RedisReplayStore) -> Result<(), String> {
/// use bmap_replay_redis::{State, Status};
///
/// let Status { state, accepted, unavailable, .. } = store.status();
/// println!("accepted {accepted}, could not be recorded {unavailable}");
/// match state {
///     State::Ready { .. } => Ok(()),
///     State::Refusing(fault) => Err(fault.to_string()),
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Whether records are taken.
    pub state: State,
    /// Requests that were recorded, and so accepted.
    pub accepted: u64,
    /// Requests that were seen before.
    pub replayed: u64,
    /// Requests that could not be recorded: the store did not answer, or not in time (503).
    pub unavailable: u64,
    /// Requests that the store refused for another reason: signed before a change of the primary, over or ahead by its clock, over the share of
    /// their key.
    pub refused: u64,
    /// Records that are sent and not answered.
    pub in_flight: u32,
    /// Checked connections so far; 1 where none was lost.
    pub connections: u64,
}
