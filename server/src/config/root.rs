//! Where the root secret comes from: `BMAP_ROOT_SECRET`, `BMAP_ROOT_SECRET_FILE`, systemd's credentials, or the data
//! folder, which is where a new one is made.

use super::{Config, Environment};
use crate::rng::{self, NoRandomness, Random};
use crate::store::root_file::{self, Readers, RootFileError};
use bmap_protocol::keys::{EpochKeys, RootSecret};
use std::path::Path;

/// The epoch of the first root secret.
const FIRST_EPOCH: u32 = 1;

/// The root secret can't be had.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// Its file can't be used.
    #[error(transparent)]
    File(#[from] RootFileError),
    /// The variable does not hold one.
    #[error("root_secret (BMAP_ROOT_SECRET): not 43 base64url characters")]
    Text,
    /// The file that was named is not there.
    #[error("root_secret_file: there is no file {0}")]
    Missing(String),
    /// A new one can't be made.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

/// Reads the root secret, and makes one in the data folder if there is none and no other place was named.
///
/// # Errors
/// [`RootError`].
pub fn load_root(config: &Config, environment: &Environment, random: &dyn Random) -> Result<EpochKeys, RootError> {
    Ok(secret(config, environment, random)?.epoch(FIRST_EPOCH))
}

fn secret(config: &Config, environment: &Environment, random: &dyn Random) -> Result<RootSecret, RootError> {
    if let Some(text) = &config.root_secret {
        // 32 characters would be 32 bytes of a file; in a variable only the text form counts.
        let text = Some(text.expose()).filter(|text| text.len() == 43);
        return text.and_then(|text| root_file::parse(text.as_bytes())).ok_or(RootError::Text);
    }
    if let Some(path) = &config.root_secret_file {
        let missing = || RootError::Missing(path.display().to_string());
        return root_file::read(path, Readers::OwnerOnly)?.ok_or_else(missing);
    }
    if let Some(folder) = environment.get("CREDENTIALS_DIRECTORY") {
        let path = Path::new(folder).join("bmap-root-secret");
        if let Some(secret) = root_file::read(&path, Readers::OwnerAndGroup)? {
            return Ok(secret);
        }
    }
    let path = config.data_dir.join(root_file::FILE_NAME);
    if let Some(secret) = root_file::read(&path, Readers::OwnerOnly)? {
        return Ok(secret);
    }
    match root_file::create(&path, &RootSecret::from_bytes(rng::bytes(random)?)) {
        Ok(()) => {}
        // Another process made it just now: that one counts.
        Err(RootFileError::Io { cause, .. }) if cause.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.into()),
    }
    root_file::read(&path, Readers::OwnerOnly)?.ok_or_else(|| RootError::Missing(path.display().to_string()))
}
