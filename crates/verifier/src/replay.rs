//! The requests that were seen: each (keyid, nonce) once (profile §5, step 11).
//!
//! The store in memory is for one process. Every structure has its full size from the start, so it never grows: a store
//! that is full refuses (503), and one key can't take more than its share (429), so that a heavy user is slowed before
//! all are refused (T26).
//!
//! After a restart it does not know the requests that were accepted before, so it refuses those that were signed until `start + skew`
//! ([`ReplayStore::forgot_until`]). With a state folder ([`MemoryReplayStore::open`], [`MemoryReplayStore::save`]) an orderly stop and the start
//! behind it lose nothing. Several processes of one tool, also two that overlap for a moment, need a shared store.
//!
//! Reading order: [`MemoryReplayStore`], `nonces` (the table and its clock), `nonce_shard`, `key_shards`, `key_shard`, `hash`; then `state` and `folder`.

mod hash;
mod key_shard;
mod key_shards;
mod nonce_shard;
mod nonces;
mod record;
mod shards;

mod folder;
mod memory;
mod state;

use crate::verify::fresh::Fresh;
use bmap_protocol::refusal::Refusal;

pub use folder::StateError;
pub use memory::{MemoryReplayStore, Start};
pub use record::{Record, ReplayLimits};
pub use state::Unusable;

/// Remembers the requests that were seen. Full or out of reach is an error, never "allow".
///
/// ```
/// use bmap_verifier::replay::Record;
/// use bmap_verifier::{Fresh, Refusal, ReplayStore};
/// use std::collections::HashMap;
/// use std::sync::Mutex;
///
/// /// Shared by all verifiers of one process, and never emptied: to show the shape of a store.
/// #[derive(Default)]
/// struct Shared(Mutex<HashMap<([u8; 16], [u8; 16]), i64>>);
///
/// impl ReplayStore for Shared {
///     async fn record(&self, record: Record, fresh: Fresh) -> Result<(), Refusal> {
///         let mut records = self.0.lock().map_err(|_| Refusal::ReplayStoreUnavailable)?;
///         debug_assert!(fresh.at().seconds() < record.until);
///         match records.insert((record.key, record.nonce), record.until) {
///             None => Ok(()),
///             Some(_) => Err(Refusal::Replayed),
///         }
///     }
///
///     fn forgot_until(&self) -> Option<i64> {
///         None // it is as old as all that asks it
///     }
/// }
/// ```
pub trait ReplayStore: Send + Sync + 'static {
    /// Records a first use. `fresh` is the proof that its request is in time, at [`Fresh::at`].
    ///
    /// # Errors
    /// [`Refusal::Replayed`], [`Refusal::RateLimited`] for a key over its share, [`Refusal::ReplayStoreUnavailable`].
    fn record(&self, record: Record, fresh: Fresh) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Requests created up to this second may have been let in without the store knowing of them: a store in memory knows nothing
    /// of the time before its start, and a request may be signed [`bmap_protocol::check::Window::future`] ahead. So it is the start plus that. `None` for
    /// a store that outlives the process. It is asked twice for each request, since a shared store whose primary changes forgets at that
    /// moment.
    fn forgot_until(&self) -> Option<i64>;

    /// The latest time that the store has seen, seconds since 1970: a clock behind it is not believed ([`Refusal::ClockUnreliable`]). The
    /// earliest time there is for a store that does not know.
    fn latest_seen(&self) -> i64 {
        i64::MIN
    }
}
