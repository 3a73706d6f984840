//! Circles of files: files that import each other, straight or by way of others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;

/// Which file imports which, and the names that it takes.
#[derive(Debug, Default)]
pub(super) struct Imports {
    files: BTreeSet<PathBuf>,
    names: BTreeMap<(PathBuf, PathBuf), BTreeSet<String>>,
}

impl Imports {
    /// A file that was looked at, with imports or without.
    pub(super) fn add_file(&mut self, file: &Path) {
        self.files.insert(file.to_owned());
    }

    /// `importer` takes `name` from `imported`. A file's own names are no import.
    pub(super) fn add(&mut self, importer: &Path, imported: &Path, name: &str) {
        if importer != imported {
            let names = self.names.entry((importer.to_owned(), imported.to_owned())).or_default();
            names.insert(name.to_owned());
        }
    }

    /// How many files were looked at.
    pub(super) fn files(&self) -> usize {
        self.files.len()
    }

    /// Each circle in a paragraph: its files, and what ties them.
    pub(super) fn circles(&self, root: &Path) -> Vec<String> {
        let graph: DiGraphMap<&Path, ()> =
            self.names.keys().map(|(importer, imported)| (importer.as_path(), imported.as_path())).collect();
        let mut circles: Vec<String> = tarjan_scc(&graph)
            .into_iter()
            .filter(|files| files.len() > 1)
            .map(|files| {
                let files: BTreeSet<&Path> = files.into_iter().collect();
                let ties = self.names.iter().filter(|((importer, imported), _)| {
                    files.contains(importer.as_path()) && files.contains(imported.as_path())
                });
                let ties: Vec<String> = ties.map(|tie| line(tie, root)).collect();
                format!("a circle of {} files:\n      {}", files.len(), ties.join("\n      "))
            })
            .collect();
        circles.sort();
        circles
    }

    /// Imports from one folder into another that it must not know, a line each.
    pub(super) fn between(&self, importer: &Path, imported: &Path, root: &Path) -> Vec<String> {
        let ties = self.names.iter().filter(|((from, to), _)| from.starts_with(importer) && to.starts_with(imported));
        ties.map(|tie| line(tie, root)).collect()
    }

    /// Every import, a line each.
    #[cfg(test)]
    pub(super) fn shown(&self, root: &Path) -> Vec<String> {
        self.names.iter().map(|tie| line(tie, root)).collect()
    }
}

fn line(((importer, imported), names): (&(PathBuf, PathBuf), &BTreeSet<String>), root: &Path) -> String {
    let shown = |file: &Path| file.strip_prefix(root).unwrap_or(file).display().to_string();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    format!("{} > {}: {}", shown(importer), shown(imported), names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(ties: &[(&str, &str)]) -> Imports {
        let mut imports = Imports::default();
        ties.iter().for_each(|(from, to)| imports.add(Path::new(from), Path::new(to), "X"));
        imports
    }

    #[test]
    fn files_that_import_each_other_by_way_of_others_are_a_circle() {
        let found = imports(&[("/a", "/b"), ("/b", "/c"), ("/c", "/a"), ("/d", "/a")]).circles(Path::new("/"));
        assert_eq!(found, ["a circle of 3 files:\n      a > b: X\n      b > c: X\n      c > a: X"]);
    }

    #[test]
    fn a_tree_of_imports_is_none_and_neither_is_a_file_by_itself() {
        assert!(imports(&[("/a", "/b"), ("/a", "/c"), ("/b", "/c"), ("/c", "/c")]).circles(Path::new("/")).is_empty());
    }

    #[test]
    fn an_import_between_folders_is_found_by_whole_names() {
        let imports = imports(&[("/http/a", "/routes/b"), ("/http2/a", "/routes/b"), ("/routes/b", "/http/a")]);
        assert_eq!(imports.between(Path::new("/http"), Path::new("/routes"), Path::new("/")), ["http/a > routes/b: X"]);
    }
}
