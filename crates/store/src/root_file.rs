//! The root secret: 32 bytes in a file that only its owner may read. From it every key of an epoch is derived, so it is
//! never in the database, and losing it loses every API key and tool credential.

use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::keys::RootSecret;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The name of the file in the data folder.
pub const FILE_NAME: &str = "root.secret";

/// The root secret can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RootFileError {
    /// The file can't be read or written.
    #[error("root secret {}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Others may read it.
    #[error("root secret {} has mode {mode:04o}; make it 0600 or stricter (chmod 600)", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is not 32 bytes, nor their base64url text.
    #[error("root secret {} is neither 32 bytes nor 43 base64url characters", path.display())]
    Form {
        /// The file.
        path: PathBuf,
    },
}

/// Who may read the file besides its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// No other user: 0600 or stricter.
    OwnerOnly,
    /// The group too: systemd shows a service its credentials as 0440 with an access list.
    OwnerAndGroup,
}

impl Readers {
    const fn forbidden_bits(self) -> u32 {
        match self {
            Readers::OwnerOnly => 0o177,
            Readers::OwnerAndGroup => 0o137,
        }
    }
}

/// Reads the root secret; `None` if there is no such file.
///
/// # Errors
/// [`RootFileError`] for a file that others may read, or that is no root secret.
pub fn read(path: &Path, readers: Readers) -> Result<Option<RootSecret>, RootFileError> {
    let failed = |cause| RootFileError::Io { path: path.to_owned(), cause };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(failed(cause)),
    };
    // The mode of the file that is open, not of whatever the path names by now.
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
    if mode & readers.forbidden_bits() != 0 {
        return Err(RootFileError::Open { path: path.to_owned(), mode });
    }
    let mut content = Zeroizing::new(Vec::with_capacity(64));
    (&mut file).take(64).read_to_end(&mut content).map_err(failed)?;
    parse(&content).map(Some).ok_or_else(|| RootFileError::Form { path: path.to_owned() })
}

/// 32 bytes as they are, or their base64url text with or without a line end.
pub fn parse(content: &[u8]) -> Option<RootSecret> {
    if let Ok(bytes) = <[u8; 32]>::try_from(content) {
        return Some(RootSecret::from_bytes(bytes));
    }
    let text = std::str::from_utf8(content).ok()?.trim_end_matches(['\r', '\n']);
    let mut bytes = Zeroizing::new([0; 32]);
    let decoded = Base64UrlUnpadded::decode(text, bytes.as_mut_slice()).ok()?.len();
    (decoded == 32).then(|| RootSecret::from_bytes(*bytes))
}

/// Writes a new root secret of 32 random bytes, whole or not at all; a file that is already there stays.
///
/// # Errors
/// [`RootFileError`]; `AlreadyExists` if another process was first.
pub fn create(path: &Path, secret: &RootSecret) -> Result<(), RootFileError> {
    let failed = |cause| RootFileError::Io { path: path.to_owned(), cause };
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.new", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(secret.expose())?;
        file.sync_all()?;
        // `rename` would replace a root that another process made just now, and with it every key; a link does not.
        fs::hard_link(&temporary, path)
    };
    let written = write();
    let removed = fs::remove_file(&temporary);
    written.and(removed).map_err(failed)?;
    // The name is on the disk only when the folder is.
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_comes_back_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        assert!(read(&path, Readers::OwnerOnly).unwrap().is_none());
        create(&path, &RootSecret::from_bytes([7; 32])).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(create(&path, &RootSecret::from_bytes([8; 32])).is_err());
        assert_eq!(read(&path, Readers::OwnerOnly).unwrap().unwrap().expose(), &[7; 32]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_file_that_others_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        create(&path, &RootSecret::from_bytes([7; 32])).unwrap();
        for (mode, readers, good) in [
            (0o400, Readers::OwnerOnly, true),
            (0o640, Readers::OwnerOnly, false),
            (0o604, Readers::OwnerOnly, false),
            (0o700, Readers::OwnerOnly, false),
            (0o440, Readers::OwnerAndGroup, true),
            (0o444, Readers::OwnerAndGroup, false),
            (0o460, Readers::OwnerAndGroup, false),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&path, readers).is_ok(), good, "{mode:o}");
        }
    }

    #[test]
    fn other_lengths_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (name, content, good) in [
            ("empty", &b""[..], false),
            ("short", &[7; 31], false),
            ("long", &[7; 33], false),
            ("huge", &[7; 5000], false),
            ("text", b"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc\n", true),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let root = read(&path, Readers::OwnerOnly);
            assert_eq!(root.as_ref().is_ok_and(Option::is_some), good, "{name}");
            assert!(good || matches!(root, Err(RootFileError::Form { .. })), "{name}");
        }
    }
}
