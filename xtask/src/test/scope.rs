//! What one run of the tests covers.

use std::collections::BTreeSet;
use std::error::Error;

use super::changed::Changes;
use super::options::Options;

/// How much a run covers.
pub(super) struct Scope {
    /// Every long matrix too (`--full`).
    pub(super) full: bool,
    changes: Option<Changes>,
}

impl Scope {
    /// # Errors
    /// Where changes are asked for and git does not know them.
    pub(super) fn of(options: &Options) -> Result<Self, Box<dyn Error>> {
        let changes = if options.changed { Some(Changes::found(options.since.as_deref())?) } else { None };
        Ok(Self { full: options.full, changes })
    }

    /// Whether a run covers everything, changed or not.
    pub(super) fn is_whole(&self) -> bool {
        self.changes.is_none()
    }

    /// Whether a file below one of these folders, or one of these files, changed.
    pub(super) fn touches(&self, paths: &[&str]) -> bool {
        self.changes.as_ref().is_none_or(|changes| changes.touch(paths))
    }

    /// Whether a crate changed, or one that it stands on.
    pub(super) fn affects(&self, package: &str) -> bool {
        self.changes.as_ref().is_none_or(|changes| changes.packages.contains(package))
    }

    /// Whether nothing but routes of the issuer and their tests changed.
    pub(super) fn is_routes_alone(&self) -> bool {
        self.changes.as_ref().is_some_and(Changes::are_routes_alone)
    }

    /// The paths of the routes that are all that changed; `None` where it may be any.
    pub(super) fn paths_of_routes(&self, router: &str) -> Option<BTreeSet<String>> {
        self.changes.as_ref().and_then(|changes| changes.paths_of_routes(router))
    }

    /// Whether any crate changed.
    pub(super) fn affects_rust(&self) -> bool {
        self.changes.as_ref().is_none_or(|changes| !changes.packages.is_empty())
    }

    /// The crates that a change can break; `None` for all.
    pub(super) fn packages(&self) -> Option<Vec<&str>> {
        self.changes.as_ref().map(|changes| changes.packages.iter().map(String::as_str).collect())
    }

    /// What the table says below itself.
    pub(super) fn left_out(&self) -> &'static str {
        match (self.full, self.is_whole()) {
            (true, _) => "everything, with the long matrices\n",
            (false, true) => {
                "everything but the long matrices of --full: 440 more rounds of killed processes on each database, larger bounds of the \
                 models, ten minutes for each fuzz target, the measurements' build\n"
            }
            (false, false) => "only what the change can break; CI runs everything\n",
        }
    }

    #[cfg(test)]
    pub(super) fn of_changes(changes: Changes) -> Self {
        Self { full: false, changes: Some(changes) }
    }
}
