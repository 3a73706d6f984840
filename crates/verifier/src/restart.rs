//! A verifier that a restart does not make forget: what it needs at its start and at its end (profile §5, "After a restart").

use crate::clock::{Clock, UnixTime};
use crate::credential::ToolCredential;
use crate::policy::Policy;
use crate::replay::{MemoryReplayStore, ReplayLimits, Start, StateError};
use crate::verify::Verifier;
use bmap_protocol::check::Window;
use std::path::Path;

impl Verifier {
    /// As [`Verifier::with_policy`], with a replay store that goes on where the process before ended, if that one called [`Verifier::save_state`] in
    /// the same folder. How it began is in the log.
    ///
    /// # Errors
    /// [`StateError`]: end the process then. See [`MemoryReplayStore::open`].
    pub fn with_state(
        credential: ToolCredential,
        policy: Policy,
        limits: ReplayLimits,
        folder: &Path,
        clock: &impl Clock,
    ) -> Result<Self, StateError> {
        let replay = MemoryReplayStore::of_tool(&credential, folder, limits, policy.window, clock)?;
        Ok(Self::with_store(credential, policy, replay))
    }

    /// As [`Verifier::from_credential`], with a state folder.
    ///
    /// # Errors
    /// As [`Verifier::with_state`].
    pub fn from_credential_with_state(
        credential: ToolCredential,
        folder: &Path,
        clock: &impl Clock,
    ) -> Result<Self, StateError> {
        let policy = Policy::of(&credential);
        Self::with_state(credential, policy, ReplayLimits::default(), folder, clock)
    }
}

impl MemoryReplayStore {
    /// The store of a tool, as [`MemoryReplayStore::open`] has it, for a verifier that is made from its parts. How it began is in the log.
    ///
    /// # Errors
    /// As [`MemoryReplayStore::open`].
    pub fn of_tool(
        credential: &ToolCredential,
        folder: &Path,
        limits: ReplayLimits,
        window: Window,
        clock: &impl Clock,
    ) -> Result<Self, StateError> {
        let owner = format!("bmap/1/replay-state\n{}\n{}", credential.issuer.as_str(), credential.tool.as_str());
        let (replay, start) = MemoryReplayStore::open(folder, &owner, limits, window, clock)?;
        let shown = folder.display();
        match start {
            Start::Restored { records } => {
                tracing::info!("{shown}: went on with {records} nonces of the process before")
            }
            Start::Plain => tracing::info!("{shown}: no state; what was signed before now is refused"),
            Start::Ignored(why) => {
                tracing::warn!("{shown}: state not used: {why}; what was signed before now is refused")
            }
        }
        Ok(replay)
    }
}

impl<K, S> Verifier<K, MemoryReplayStore, S> {
    /// Saves the records, at an orderly stop: after the listener is closed and the last request was answered. Every request from then on is
    /// refused (503). Returns how many nonces were saved; `None` where there is no state folder.
    ///
    /// # Errors
    /// [`StateError`]: nothing was left, so the next start refuses requests that were signed before it.
    pub fn save_state(&self, now: UnixTime) -> Result<Option<usize>, StateError> {
        self.replay().save(now.seconds())
    }
}
