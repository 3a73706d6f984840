//! The folder in which a process leaves its replay store to the next one.
//!
//! | file | |
//! |---|---|
//! | `replay.lock` | locked for as long as a process has the folder; stays, and is empty |
//! | `replay.state` | between an orderly stop and the next start |
//! | `replay.new` | while it is written |
//! | `replay.used` | while it is read |

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

const LOCK: &str = "replay.lock";
const STATE: &str = "replay.state";
const NEW: &str = "replay.new";
const USED: &str = "replay.used";

/// Why a state folder can't be used.
///
/// ```
/// use bmap_verifier::protocol::check::Window;
/// use bmap_verifier::{MemoryReplayStore, ReplayLimits, StateError, SystemClock};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let open = || MemoryReplayStore::open(folder, "geo", ReplayLimits::default(), Window::DEFAULT, &SystemClock);
/// let first = open()?;
/// assert!(matches!(open(), Err(StateError::InUse { .. })), "a folder is one process's alone");
/// # drop(first);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process has it.
    #[error("{}: another process uses this state folder; it is for one at a time", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The system refused.
    #[error("{}: {why}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        why: io::Error,
    },
}

/// A folder that is locked for this process.
#[derive(Debug)]
pub(super) struct StateFolder {
    folder: PathBuf,
    /// The lock ends when this is closed: with this value, or with the process, however that ends.
    _lock: File,
}

impl StateFolder {
    /// Takes the folder for this process.
    pub(super) fn lock(folder: &Path) -> Result<Self, StateError> {
        let path = folder.join(LOCK);
        let lock = private().create(true).truncate(false).open(&path).map_err(at(&path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder: folder.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StateError::InUse { folder: folder.to_owned() }),
            Err(TryLockError::Error(why)) => Err(StateError::Io { path, why }),
        }
    }

    /// Takes the state file away and reads it. Its name is gone from the disk before its content is looked at, so no process ever reads it again.
    /// A file of more than `most` bytes comes without its end.
    pub(super) fn take(&self, most: usize) -> Result<Option<Vec<u8>>, StateError> {
        let [state, used, new] = [STATE, USED, NEW].map(|name| self.folder.join(name));
        remove(&new)?;
        match std::fs::rename(&state, &used) {
            Ok(()) => {}
            Err(why) if why.kind() == ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(StateError::Io { path: state, why }),
        }
        self.sync()?;
        let file = File::open(&used).map_err(at(&used))?;
        file.sync_all().map_err(at(&used))?;
        let mut bytes = Vec::new();
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        file.take(most).read_to_end(&mut bytes).map_err(at(&used))?;
        remove(&used)?;
        Ok(Some(bytes))
    }

    /// Leaves a state file: whole and on the disk, or not there.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<(), StateError> {
        let [state, new] = [STATE, NEW].map(|name| self.folder.join(name));
        remove(&new)?;
        let mut file = private().create_new(true).open(&new).map_err(at(&new))?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(at(&new))?;
        std::fs::rename(&new, &state).map_err(at(&state))?;
        self.sync()
    }

    /// Has the folder's names on the disk.
    #[cfg(unix)]
    fn sync(&self) -> Result<(), StateError> {
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(at(&self.folder))
    }

    /// Has the folder's names on the disk, which only Unix needs to be told.
    #[cfg(not(unix))]
    fn sync(&self) -> Result<(), StateError> {
        Ok(())
    }
}

/// A file to write, for its owner alone.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn remove(path: &Path) -> Result<(), StateError> {
    match std::fs::remove_file(path) {
        Err(why) if why.kind() != ErrorKind::NotFound => Err(at(path)(why)),
        _ => Ok(()),
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> StateError {
    move |why| StateError::Io { path: path.to_owned(), why }
}
