//! Where the root secrets come from: `BMAP_ROOT_SECRET`, `BMAP_ROOT_SECRET_FILE`, systemd's credentials, or the data
//! folder, which is where a new one is made.
//!
//! The file that is named holds epoch 1. The root of a later epoch stands beside it, in a file of the same name with `.2`,
//! `.3` and so on; the variable holds them as `1:…,2:…`.

use super::Config;
use super::environment::Environment;
use super::root_text::{FIRST_EPOCH, FORM, MAX_ROOTS, SecretText, several};
use bmap_model::rng::{self, NoRandomness, Random};
use bmap_model::roots::{NoRoot, Roots};
use bmap_protocol::keys::{EpochKeys, RootSecret};
use bmap_store::root_file::{self, Readers, RootFileError};
use std::path::{Path, PathBuf};

/// The root secret can't be had.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// Its file can't be used.
    #[error(transparent)]
    File(#[from] RootFileError),
    /// The variable does not hold one.
    #[error("root_secret: {FORM}")]
    Text,
    /// The file that was named is not there.
    #[error("root_secret_file: there is no file {0}")]
    Missing(String),
    /// More roots than are ever in use.
    #[error("{0} has more than {MAX_ROOTS} root secrets beside it: retire those that nothing needs (bmap root retire)")]
    TooMany(String),
    /// Roots that come from a variable can't be changed here.
    #[error(
        "the root secret is in root_secret (BMAP_ROOT_SECRET or the configuration file): add the next one there yourself, as 1:…,2:… with 43 base64url characters each"
    )]
    NotInFiles,
    /// The folder of the roots can't be read.
    #[error("{}: {cause}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A new one can't be made.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// None is there.
    #[error(transparent)]
    None(#[from] NoRoot),
}

/// The place of the root secrets, to be read again when there may be another one.
#[derive(Clone, Debug)]
pub enum RootPlace {
    /// The configuration itself.
    Text(SecretText),
    /// Files.
    Files {
        /// The file of epoch 1; the others stand beside it.
        first: PathBuf,
        /// Who may read them.
        readers: Readers,
    },
}

/// Reads the root secrets, and makes one in the data folder if there is none and no other place was named.
///
/// # Errors
/// [`RootError`].
pub fn load_root(config: &Config, environment: &Environment, random: &dyn Random) -> Result<Roots, RootError> {
    let place = RootPlace::find(config, environment)?;
    if let RootPlace::Files { first, .. } = &place
        && place.is_to_be_made(config)?
    {
        match root_file::create(first, &RootSecret::from_bytes(rng::bytes(random)?)) {
            Ok(()) => {}
            // Another process made it just now: that one counts.
            Err(RootFileError::Io { cause, .. }) if cause.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Roots::new(place.read()?)?)
}

impl std::fmt::Display for RootPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RootPlace::Text(_) => f.write_str("root_secret, or BMAP_ROOT_SECRET"),
            RootPlace::Files { first, .. } => write!(f, "{}", first.display()),
        }
    }
}

impl RootPlace {
    /// Where they are: the variable, the named file, systemd's credentials if they hold one, else the data folder.
    ///
    /// # Errors
    /// [`RootError`].
    pub fn find(config: &Config, environment: &Environment) -> Result<Self, RootError> {
        if let Some(text) = &config.root_secret {
            return Ok(RootPlace::Text(text.clone()));
        }
        let files = |first: PathBuf, readers| RootPlace::Files { first, readers };
        if let Some(path) = &config.root_secret_file {
            return Ok(files(path.clone(), Readers::OwnerOnly));
        }
        if let Some(folder) = environment.get("CREDENTIALS_DIRECTORY") {
            let place = files(Path::new(folder).join("bmap-root-secret"), Readers::OwnerAndGroup);
            if !place.epochs()?.is_empty() {
                return Ok(place);
            }
        }
        Ok(files(config.data_dir.join(root_file::FILE_NAME), Readers::OwnerOnly))
    }

    /// Whether there is none, and no place was named where one would have to be.
    ///
    /// # Errors
    /// [`RootError`] where that can't be seen.
    pub fn is_to_be_made(&self, config: &Config) -> Result<bool, RootError> {
        let is_in_files = matches!(self, RootPlace::Files { .. });
        Ok(is_in_files && config.root_secret_file.is_none() && self.epochs()?.is_empty())
    }

    /// Reads every root that is there.
    ///
    /// # Errors
    /// [`RootError`]; a file that can't be used is an error and is not passed over.
    pub fn read(&self) -> Result<Vec<EpochKeys>, RootError> {
        match self {
            RootPlace::Text(text) => several(text.expose()).ok_or(RootError::Text),
            RootPlace::Files { first, readers } => {
                let epochs = self.epochs()?;
                if epochs.is_empty() {
                    return Err(RootError::Missing(first.display().to_string()));
                }
                let read = |epoch: u32| {
                    let path = file_of(first, epoch);
                    let secret = root_file::read(&path, *readers)?;
                    Ok(secret.ok_or_else(|| RootError::Missing(path.display().to_string()))?.epoch(epoch))
                };
                epochs.into_iter().map(read).collect()
            }
        }
    }

    /// Makes the root of an epoch, whole or not at all; its file.
    ///
    /// # Errors
    /// [`RootError`], also where there is one already.
    pub fn create(&self, epoch: u32, random: &dyn Random) -> Result<PathBuf, RootError> {
        let path = self.file(epoch)?;
        root_file::create(&path, &RootSecret::from_bytes(rng::bytes(random)?))?;
        Ok(path)
    }

    /// Deletes the root of an epoch; its file.
    ///
    /// # Errors
    /// [`RootError`].
    pub fn delete(&self, epoch: u32) -> Result<PathBuf, RootError> {
        let path = self.file(epoch)?;
        std::fs::remove_file(&path).map_err(|cause| RootError::Folder { path: path.clone(), cause })?;
        Ok(path)
    }

    fn file(&self, epoch: u32) -> Result<PathBuf, RootError> {
        match self {
            RootPlace::Text(_) => Err(RootError::NotInFiles),
            RootPlace::Files { first, .. } => Ok(file_of(first, epoch)),
        }
    }

    /// The epochs that there are files of, oldest first.
    fn epochs(&self) -> Result<Vec<u32>, RootError> {
        let RootPlace::Files { first, .. } = self else { return Ok(Vec::new()) };
        let folder = first.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = |cause| RootError::Folder { path: folder.to_owned(), cause };
        let name = first.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut epochs = Vec::new();
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(epochs),
            Err(cause) => return Err(failed(cause)),
        };
        for entry in entries {
            let entry = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            epochs.extend(entry.strip_prefix(&name).and_then(epoch_of));
        }
        if epochs.len() > MAX_ROOTS {
            return Err(RootError::TooMany(first.display().to_string()));
        }
        epochs.sort_unstable();
        Ok(epochs)
    }
}

/// The file of an epoch beside that of the first.
fn file_of(first: &Path, epoch: u32) -> PathBuf {
    if epoch == FIRST_EPOCH {
        return first.to_owned();
    }
    let mut path = first.as_os_str().to_owned();
    path.push(format!(".{epoch}"));
    PathBuf::from(path)
}

/// The epoch that the end of a file's name says: nothing, or `.2` and up without leading zeros.
fn epoch_of(ending: &str) -> Option<u32> {
    if ending.is_empty() {
        return Some(FIRST_EPOCH);
    }
    let digits = ending.strip_prefix('.')?;
    digits.parse().ok().filter(|epoch: &u32| *epoch > FIRST_EPOCH && epoch.to_string() == digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bmap_model::rng::SystemRandom;

    #[test]
    fn later_epochs_stand_beside_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let place = RootPlace::Files { first: folder.path().join("root.secret"), readers: Readers::OwnerOnly };
        assert!(matches!(place.read(), Err(RootError::Missing(_))));
        for epoch in [1, 3, 2] {
            place.create(epoch, &SystemRandom).unwrap();
        }
        assert!(place.create(2, &SystemRandom).is_err(), "a root is never written over");
        for other in ["root.secret.1", "root.secret.02", "root.secret.4.123.new", "root.secret.x", "other.5"] {
            std::fs::write(folder.path().join(other), "none").unwrap();
        }
        let epochs = |place: &RootPlace| place.read().unwrap().iter().map(EpochKeys::epoch).collect::<Vec<_>>();
        assert_eq!(epochs(&place), [1, 2, 3]);
        place.delete(1).unwrap();
        assert_eq!(epochs(&place), [2, 3], "the first may be gone");
        std::fs::write(folder.path().join("root.secret.7"), "none").unwrap();
        assert!(matches!(place.read(), Err(RootError::File(_))), "a broken one is not passed over");
    }

    #[test]
    fn a_variable_holds_one_or_several() {
        let text = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
        let epochs = |text: &str| several(text).map(|roots| roots.iter().map(EpochKeys::epoch).collect::<Vec<_>>());
        assert_eq!(epochs(text), Some(vec![1]));
        assert_eq!(epochs(&format!("1:{text},2:{text}")), Some(vec![1, 2]));
        assert_eq!(epochs(&format!("5:{text}")), Some(vec![5]));
        for bad in
            ["", ":", "1:", &format!("0:{text}"), &format!("1:{text},1:{text}"), &format!("01:{text}"), &text[1..]]
        {
            assert_eq!(epochs(bad), None, "{bad}");
        }
        assert!(matches!(
            RootPlace::Text(SecretText::new(text.to_owned())).create(2, &SystemRandom),
            Err(RootError::NotInFiles)
        ));
    }
}
