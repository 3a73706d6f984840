//! Files with a secret that every user of the machine can read.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The file's mode, where users besides its owner and its group may read or write it. `None` where it can't be looked at: whatever reads
/// it says why.
pub fn readable_by_others(path: &Path) -> Option<u32> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    (mode & 0o006 != 0).then_some(mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_and_not_the_group() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "x").unwrap();
        for (mode, found) in [(0o600, None), (0o640, None), (0o644, Some(0o644)), (0o602, Some(0o602))] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(readable_by_others(&path), found);
        }
        assert_eq!(readable_by_others(&folder.path().join("none")), None);
    }
}
