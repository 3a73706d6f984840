//! The marks of a move from one database to another: a source that was moved away and a target that is half copied are served by no
//! process. They are settings, which are read before anything else is done with a database, and for each new connection.

use crate::{Result, StoreError};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use std::sync::Once;

/// In the source of a finished copy: [`Moved`].
pub(crate) const MOVED: &str = "moved_to";
/// In the target of an unfinished copy: [`super::target::Progress`].
pub(crate) const UNFINISHED: &str = "copy_unfinished";
/// In the target of a finished copy: [`Copied`].
pub(crate) const COPIED: &str = "copied_from";

/// Both marks that no process may serve with.
pub(crate) const ASK: &str = "SELECT name, value FROM settings WHERE name IN ('moved_to', 'copy_unfinished')";

/// Where an installation was moved to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The copy's id.
    pub copy: String,
    /// The target, without user and password.
    pub to: String,
}

/// Where an installation came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// The copy's id.
    pub copy: String,
    /// The source, without user and password.
    pub from: String,
}

/// Refuses a database with a mark among these rows of [`ASK`].
///
/// # Errors
/// [`StoreError::Moved`], [`StoreError::CopyUnfinished`]; also where the mark's value can't be read.
pub(crate) fn refuse(rows: &[AnyRow]) -> Result<()> {
    for row in rows {
        let (name, value): (String, String) = (row.try_get("name")?, row.try_get("value")?);
        if name == UNFINISHED {
            return Err(StoreError::CopyUnfinished);
        }
        if name == MOVED {
            let moved = serde_json::from_str(&value).map(|moved: Moved| moved.to);
            return Err(StoreError::Moved { to: moved.unwrap_or_else(|_| "another database".to_owned()) });
        }
    }
    Ok(())
}

/// Refuses a new connection to such a database: one of a process that was running when the marks were made.
pub(crate) async fn refuse_connection(connection: &mut AnyConnection) -> std::result::Result<(), sqlx::Error> {
    let rows = sqlx::query(ASK).fetch_all(connection).await?;
    refuse(&rows).map_err(|error| {
        // The pool tries again until its time is over, and says only that it was: so the reason is said here.
        static SAID: Once = Once::new();
        SAID.call_once(|| tracing::error!("{error}: stop this process"));
        sqlx::Error::Configuration(Box::new(error))
    })
}
