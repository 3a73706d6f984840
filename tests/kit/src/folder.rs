//! A folder that is there for as long as its test.

use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder of a test's own, removed at its end.
#[derive(Debug)]
pub struct Folder(TempDir);

impl Folder {
    /// A new one, in the system's folder for such.
    ///
    /// # Panics
    /// Where the system has no room for it.
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder for a test"))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file in it; its path.
    ///
    /// # Panics
    /// Where it can't be written.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, contents).expect("a file of a test");
        path
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

/// The root of the repository.
///
/// # Panics
/// Never: this crate lies two folders below it.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the root of the repository")
}
