//! Which database a data folder belongs to. Without it, a server that is started without its `database_url` would begin a second, empty
//! installation beside the root secret of the first.

use super::address::{Address, Engine};
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The name of the file in the data folder.
pub const FILE_NAME: &str = "installation.json";

/// The file's content. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstallationFile {
    /// The kind of database: `sqlite` or `postgresql`.
    pub database: Kind,
    /// The installation's id, which the database holds too.
    pub installation: String,
}

/// The kind of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An SQLite file.
    Sqlite,
    /// A PostgreSQL server.
    Postgresql,
}

impl From<Engine> for Kind {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => Kind::Sqlite,
            Engine::Postgres => Kind::Postgresql,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Kind::Sqlite => "SQLite",
            Kind::Postgresql => "PostgreSQL",
        })
    }
}

/// The database is not the one that the data folder belongs to, or that can't be seen.
#[derive(Debug, thiserror::Error)]
pub enum InstallationFileError {
    /// The file can't be read or written.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// It is not what `bmap` writes.
    #[error("{} is not what bmap writes: remove it, and it is written anew", path.display())]
    Form {
        /// The file.
        path: PathBuf,
    },
    /// The configuration names a database of another kind.
    #[error(
        "this data folder belongs to a {belongs} database (installation {installation}), and the configuration names {named}: \
         set database_url (BMAP_DATABASE_URL); after a move to another database remove {}", path.display()
    )]
    OtherKind {
        /// The file.
        path: PathBuf,
        /// The kind of database that the folder belongs to.
        belongs: Kind,
        /// The kind that the configuration names.
        named: Kind,
        /// The installation's id.
        installation: String,
    },
    /// The database of the folder's installation is gone.
    #[error(
        "this data folder belongs to installation {belongs}, and its database {} is missing: restore it from its backup \
         (docs/storage.md), or name the database (BMAP_DATABASE_URL); only for a fresh start move the folder {} away",
        file.display(), folder.display()
    )]
    Lost {
        /// The database's file.
        file: PathBuf,
        /// The data folder.
        folder: PathBuf,
        /// The folder's installation.
        belongs: String,
    },
    /// The database is that of another installation, or a new one.
    #[error(
        "this data folder belongs to installation {belongs}, and the database to {}: set database_url (BMAP_DATABASE_URL); after a \
         move to another database remove {}", found.as_deref().unwrap_or("none, since it is new"), path.display()
    )]
    OtherInstallation {
        /// The file.
        path: PathBuf,
        /// The folder's installation.
        belongs: String,
        /// The database's.
        found: Option<String>,
    },
}

impl InstallationFile {
    /// Reads it; `None` if there is none.
    ///
    /// # Errors
    /// [`InstallationFileError`].
    pub fn read(data_dir: &Path) -> Result<Option<Self>, InstallationFileError> {
        let path = data_dir.join(FILE_NAME);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(cause) => return Err(InstallationFileError::Io { path, cause }),
        };
        serde_json::from_slice(&text).map(Some).map_err(|_| InstallationFileError::Form { path })
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// [`InstallationFileError`].
    pub fn write(&self, data_dir: &Path) -> Result<(), InstallationFileError> {
        let path = data_dir.join(FILE_NAME);
        let temporary = data_dir.join(format!("{FILE_NAME}.{}.new", std::process::id()));
        let write = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&temporary, &path)
        };
        write().map_err(|cause| {
            let _ = fs::remove_file(&temporary);
            InstallationFileError::Io { path: path.clone(), cause }
        })
    }

    /// Refuses a database of another kind.
    ///
    /// # Errors
    /// [`InstallationFileError::OtherKind`].
    pub fn must_be(&self, engine: Engine, data_dir: &Path) -> Result<(), InstallationFileError> {
        let named = Kind::from(engine);
        if self.database == named {
            return Ok(());
        }
        let (belongs, installation) = (self.database, self.installation.clone());
        Err(InstallationFileError::OtherKind { path: data_dir.join(FILE_NAME), belongs, named, installation })
    }

    /// Refuses a database that is not there: another one in its place would be a second, empty installation.
    ///
    /// # Errors
    /// [`InstallationFileError::Lost`].
    pub fn must_be_there(&self, address: &Address, data_dir: &Path) -> Result<(), InstallationFileError> {
        let Some(file) = address.missing_file() else { return Ok(()) };
        let belongs = self.installation.clone();
        Err(InstallationFileError::Lost { file: file.to_owned(), folder: data_dir.to_owned(), belongs })
    }

    /// Refuses the database of another installation; `found` is the id that the database holds.
    ///
    /// # Errors
    /// [`InstallationFileError::OtherInstallation`].
    pub fn must_be_of(&self, found: Option<&str>, data_dir: &Path) -> Result<(), InstallationFileError> {
        if found == Some(self.installation.as_str()) {
            return Ok(());
        }
        let (belongs, found) = (self.installation.clone(), found.map(str::to_owned));
        Err(InstallationFileError::OtherInstallation { path: data_dir.join(FILE_NAME), belongs, found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_knows_its_database() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert_eq!(InstallationFile::read(path).unwrap(), None);
        let file = InstallationFile { database: Kind::Postgresql, installation: "ins_1".to_owned() };
        file.write(path).unwrap();
        assert_eq!(InstallationFile::read(path).unwrap(), Some(file.clone()));
        assert_eq!(fs::read_dir(path).unwrap().count(), 1);
        file.must_be(Engine::Postgres, path).unwrap();
        file.must_be_of(Some("ins_1"), path).unwrap();
        let says = |error: InstallationFileError| error.to_string();
        assert!(says(file.must_be(Engine::Sqlite, path).unwrap_err()).contains("belongs to a PostgreSQL database"));
        assert!(says(file.must_be_of(Some("ins_2"), path).unwrap_err()).contains("the database to ins_2"));
        assert!(says(file.must_be_of(None, path).unwrap_err()).contains("since it is new"));
        for other in ["", "{}", "{\"database\":\"mysql\",\"installation\":\"x\"}"] {
            fs::write(path.join(FILE_NAME), other).unwrap();
            assert!(matches!(InstallationFile::read(path), Err(InstallationFileError::Form { .. })), "{other}");
        }
    }
}
