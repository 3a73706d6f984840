//! The data folder: 0700, so that no other user of the machine reads its files.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

/// The folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It can't be made or read.
    #[error("data folder {}: {cause}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Others may read or write in it.
    #[error("data folder {} has mode {mode:04o}; make it 0700 (chmod 700)", path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
}

/// A path without `..`, absolute: as the system would follow it, symbolic links included. Where a part of it does not exist, `..` takes the
/// name before it away. A URL of a database is read without its `..`, and would name another file than the path.
pub fn without_dots(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if !path.components().any(|part| part == Component::ParentDir) {
        return path;
    }
    let mut found = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            // The parent of what a link leads to, not of the link.
            found = fs::canonicalize(&found).unwrap_or(found);
            found.pop();
        } else {
            found.push(part);
        }
    }
    found
}

/// Makes the folder with mode 0700 if there is none; refuses one that group or others may enter.
///
/// # Errors
/// [`DataDirError`].
pub fn prepare(path: &Path) -> Result<(), DataDirError> {
    let failed = |cause| DataDirError::Io { path: path.to_owned(), cause };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(DataDirError::Open { path: path.to_owned(), mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_followed_as_the_system_follows_them() {
        let parent = fs::canonicalize(tempfile::tempdir().unwrap().keep()).unwrap();
        fs::create_dir_all(parent.join("a/b/c")).unwrap();
        fs::create_dir_all(parent.join("x/y")).unwrap();
        std::os::unix::fs::symlink(parent.join("x/y"), parent.join("a/link")).unwrap();
        for (path, is) in [
            ("a/b/c/../../d/dd", "a/d/dd"),
            ("a/link/../z", "x/z"),
            ("a/b/../link", "a/link"),
            ("none/../d", "d"),
            ("a/b", "a/b"),
        ] {
            assert_eq!(without_dots(&parent.join(path)), parent.join(is), "{path}");
        }
        assert!(without_dots(Path::new("bmap-data")).is_absolute());
        assert_eq!(without_dots(Path::new("/../..")), Path::new("/"));
        fs::remove_dir_all(parent).unwrap();
    }

    #[test]
    fn a_folder_of_ones_own() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        prepare(&path).unwrap();
        prepare(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
        assert!(matches!(prepare(&path), Err(DataDirError::Open { mode: 0o750, .. })));
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(prepare(&file), Err(DataDirError::Io { .. })));
    }
}
