//! The root secrets of every epoch at hand (profile §2), and which of them does what.
//!
//! New rows are sealed in the newest epoch; a row is opened in the epoch that it names; tokens are minted in the epoch
//! that every tool's credential has by now, which an operator says (`bmap root activate`). With one root they are all
//! the same one.

use bmap_protocol::keys::EpochKeys;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// Reads the roots again, for an epoch that is not at hand.
type Reread = dyn Fn() -> Option<Vec<EpochKeys>> + Send + Sync;

/// Shared by everything in a process that derives a key; a change through one clone is seen by all.
#[derive(Clone)]
pub struct Roots {
    state: Arc<RwLock<State>>,
    reread: Option<Arc<Reread>>,
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read(|state| state.fmt(f))
    }
}

#[derive(Debug)]
struct State {
    /// Never empty: the first, and the others in the order of their epochs.
    oldest: EpochKeys,
    later: Vec<EpochKeys>,
    /// Epoch of new tokens; an epoch that is not there counts as the oldest.
    minting: u32,
}

/// No root secret at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no root secret")]
pub struct NoRoot;

/// The setting that says in which epoch tokens are minted; without it, in the oldest that is at hand.
pub const TOKEN_EPOCH_SETTING: &str = "token_epoch";
/// The setting that says since when, unix milliseconds.
pub const TOKEN_EPOCH_SINCE_SETTING: &str = "token_epoch_since";

impl Roots {
    /// The roots of some epochs, in any order. Tokens are minted in the oldest until [`mint_in`](Self::mint_in) says otherwise.
    ///
    /// # Errors
    /// [`NoRoot`] for none.
    pub fn new(epochs: Vec<EpochKeys>) -> Result<Self, NoRoot> {
        let (oldest, later) = in_order(epochs)?;
        let minting = oldest.epoch();
        Ok(Self { state: Arc::new(RwLock::new(State { oldest, later, minting })), reread: None })
    }

    /// The same, where an epoch that is not at hand is looked for once more: another process may have made it just now, and
    /// sealed a row in it. Only rows name epochs, so no caller can cause it.
    #[must_use]
    pub fn with_reread(self, reread: impl Fn() -> Option<Vec<EpochKeys>> + Send + Sync + 'static) -> Self {
        Self { reread: Some(Arc::new(reread)), ..self }
    }

    /// The newest: seals and hashes new rows.
    pub fn sealing(&self) -> EpochKeys {
        self.read(|state| state.later.last().unwrap_or(&state.oldest).clone())
    }

    /// The epoch of new tokens.
    pub fn minting(&self) -> EpochKeys {
        self.read(|state| state.of(state.minting).unwrap_or(&state.oldest).clone())
    }

    /// One epoch; `None` where its root is not at hand.
    pub fn of(&self, epoch: u32) -> Option<EpochKeys> {
        let known = self.read(|state| state.of(epoch).cloned());
        if known.is_some() {
            return known;
        }
        self.replace(self.reread.as_ref()?()?).ok()?;
        self.read(|state| state.of(epoch).cloned())
    }

    /// All, newest first.
    pub fn all(&self) -> Vec<EpochKeys> {
        self.read(|state| state.later.iter().rev().chain([&state.oldest]).cloned().collect())
    }

    /// From now on tokens are minted in that epoch.
    pub fn mint_in(&self, epoch: u32) {
        self.write(|state| state.minting = epoch);
    }

    /// From now on these are the roots at hand.
    ///
    /// # Errors
    /// [`NoRoot`] for none; then nothing changes.
    pub fn replace(&self, epochs: Vec<EpochKeys>) -> Result<(), NoRoot> {
        let (oldest, later) = in_order(epochs)?;
        self.write(|state| (state.oldest, state.later) = (oldest, later));
        Ok(())
    }

    // A panic while the lock is held leaves whole values: poisoning says nothing here.
    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl State {
    fn of(&self, epoch: u32) -> Option<&EpochKeys> {
        [&self.oldest].into_iter().chain(&self.later).find(|keys| keys.epoch() == epoch)
    }
}

impl From<EpochKeys> for Roots {
    fn from(only: EpochKeys) -> Self {
        let minting = only.epoch();
        let state = State { oldest: only, later: Vec::new(), minting };
        Self { state: Arc::new(RwLock::new(state)), reread: None }
    }
}

impl From<&EpochKeys> for Roots {
    fn from(only: &EpochKeys) -> Self {
        Self::from(only.clone())
    }
}

fn in_order(mut epochs: Vec<EpochKeys>) -> Result<(EpochKeys, Vec<EpochKeys>), NoRoot> {
    epochs.sort_by_key(EpochKeys::epoch);
    let mut epochs = epochs.into_iter();
    let oldest = epochs.next().ok_or(NoRoot)?;
    Ok((oldest, epochs.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bmap_protocol::keys::RootSecret;

    fn epoch(number: u8) -> EpochKeys {
        RootSecret::from_bytes([number; 32]).epoch(u32::from(number))
    }

    #[test]
    fn the_newest_seals_and_the_oldest_mints_until_it_is_told() {
        let roots = Roots::new(vec![epoch(3), epoch(1), epoch(2)]).unwrap();
        let clone = roots.clone();
        assert_eq!(roots.sealing().epoch(), 3);
        assert_eq!(roots.minting().epoch(), 1);
        assert_eq!(roots.all().iter().map(EpochKeys::epoch).collect::<Vec<_>>(), [3, 2, 1]);
        clone.mint_in(2);
        assert_eq!(roots.minting().epoch(), 2);
        assert_eq!(roots.of(2).unwrap().kek().expose(), epoch(2).kek().expose());
        assert!(roots.of(4).is_none());
        roots.replace(vec![epoch(4), epoch(3)]).unwrap();
        assert_eq!((clone.sealing().epoch(), clone.minting().epoch()), (4, 3), "epoch 2 is gone, the oldest mints");
        assert_eq!(roots.replace(Vec::new()), Err(NoRoot));
        assert_eq!(clone.sealing().epoch(), 4);
    }

    #[test]
    fn an_epoch_that_another_process_made_is_found() {
        let roots = Roots::from(epoch(1)).with_reread(|| Some(vec![epoch(1), epoch(2)]));
        let clone = roots.clone();
        assert_eq!(roots.sealing().epoch(), 1);
        assert!(roots.of(2).is_some() && roots.of(3).is_none());
        assert_eq!(clone.sealing().epoch(), 2);
        let unreadable = Roots::from(epoch(1)).with_reread(|| None);
        assert!(unreadable.of(2).is_none() && unreadable.of(1).is_some());
    }
}
