//! What changed, and which crates stand on it: the crate graph of `cargo metadata`, and for tests that start binaries the crates
//! of those binaries.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use serde_json::Value;

use crate::shell::{Program, root};

/// Tests that run another crate's binary: an edge that the crate graph does not have.
const STARTS: [(&str, &[&str]); 1] = [("bmap-tests", &["bmap-server", "places-tool"])];

/// Files that every crate stands on.
const FOR_ALL: [&str; 5] = ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "clippy.toml", ".cargo/"];

/// Changed files, and the crates that they can break.
#[derive(Debug, Default)]
pub(super) struct Changes {
    files: Vec<String>,
    /// Names of crates.
    pub(super) packages: BTreeSet<String>,
}

impl Changes {
    /// The uncommitted changes, new files among them; with `since`, also what was committed after that commit.
    ///
    /// # Errors
    /// What git or cargo says.
    pub(super) fn found(since: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let mut files = Program::new("git diff --name-only").arg(since.unwrap_or("HEAD")).read()?;
        files.push_str(&Program::new("git ls-files --others --exclude-standard").read()?);
        let metadata = Program::new("cargo metadata --locked --no-deps --format-version 1").read()?;
        let changes = Self::of(files.lines(), &Graph::of(&serde_json::from_str(&metadata)?, &root().to_string_lossy()));
        eprintln!("changed: {} files; crates: {}", changes.files.len(), list(&changes.packages));
        Ok(changes)
    }

    fn of<'a>(files: impl Iterator<Item = &'a str>, graph: &Graph) -> Self {
        let files: Vec<String> = files.map(str::to_owned).collect();
        let mut packages = BTreeSet::new();
        for file in &files {
            packages.extend(graph.affected_by(file));
        }
        Self { files, packages }
    }

    /// Whether nothing but routes of the issuer and their tests changed.
    pub(super) fn are_routes_alone(&self) -> bool {
        const ROUTES: [&str; 2] = ["server/src/routes/", "server/tests/issuer/routes/"];
        !self.files.is_empty() && self.files.iter().all(|file| ROUTES.iter().any(|folder| is_at(file, folder)))
    }

    /// The paths of routes whose files are all that changed: what comes before `{`, as the issuer's list has it. `None` where another file changed
    /// or a file has no path of its own.
    pub(super) fn paths_of_routes(&self, router: &str) -> Option<BTreeSet<String>> {
        let routes = self.files.iter().filter(|file| !file.starts_with("server/tests/issuer/routes/"));
        routes
            .map(|file| path_of_route(file, router))
            .collect::<Option<BTreeSet<_>>>()
            .filter(|paths| !paths.is_empty())
    }

    /// Whether a file below one of these folders, or one of these files, changed. A folder ends with `/`.
    pub(super) fn touch(&self, paths: &[&str]) -> bool {
        self.files.iter().any(|file| paths.iter().any(|path| is_at(file, path)))
    }
}

/// `server/src/routes/auth/step_up.rs` has `/auth/step-up`; a file whose name is a parameter has the path before it.
fn path_of_route(file: &str, router: &str) -> Option<String> {
    let names = file.strip_prefix("server/src/routes/")?.strip_suffix(".rs")?.replace('_', "-");
    let listed = |path: &str| ['"', '/'].iter().any(|end| router.contains(&format!("\"/{path}{end}")));
    let mut path = names.trim_end_matches("/mod");
    while !listed(path) {
        path = path.rsplit_once('/')?.0;
    }
    Some(format!("/{path}"))
}

fn is_at(file: &str, path: &str) -> bool {
    if path.ends_with('/') { file.starts_with(path) } else { file == path }
}

fn list(packages: &BTreeSet<String>) -> String {
    if packages.is_empty() { "none".to_owned() } else { packages.iter().cloned().collect::<Vec<_>>().join(", ") }
}

/// The crates of the workspace: where each lies, and who stands on it.
struct Graph {
    /// Folder of a crate, with a `/` at its end, and its name. Longer folders first.
    folders: Vec<(String, String)>,
    /// A crate, and those that depend on it or start its binaries.
    users: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn of(metadata: &Value, root: &str) -> Self {
        let packages = metadata.get("packages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut folders = Vec::new();
        let mut users: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for package in packages {
            let name = text(package, "name");
            let manifest = text(package, "manifest_path");
            let folder = manifest.strip_prefix(root).unwrap_or(&manifest).trim_start_matches('/');
            folders.push((folder.trim_end_matches("Cargo.toml").to_owned(), name.clone()));
            let dependencies =
                package.get("dependencies").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            for dependency in dependencies {
                users.entry(text(dependency, "name")).or_default().insert(name.clone());
            }
        }
        for (tests, started) in STARTS {
            for binary in started {
                users.entry((*binary).to_owned()).or_default().insert(tests.to_owned());
            }
        }
        folders.sort_by_key(|(folder, _)| std::cmp::Reverse(folder.len()));
        Self { folders, users }
    }

    /// The crate of a file, and all that stand on it.
    fn affected_by(&self, file: &str) -> BTreeSet<String> {
        if FOR_ALL.iter().any(|path| is_at(file, path)) {
            return self.folders.iter().map(|(_, name)| name.clone()).collect();
        }
        // Prose beside the code is checked by the whole-system tests alone.
        if file.ends_with(".md") {
            return BTreeSet::from(["bmap-tests".to_owned(), "bmap-server".to_owned()]);
        }
        let mut affected = BTreeSet::new();
        let mut waiting: Vec<String> = self
            .folders
            .iter()
            .find(|(folder, _)| file.starts_with(folder))
            .map(|(_, name)| name.clone())
            .into_iter()
            .collect();
        while let Some(name) = waiting.pop() {
            waiting
                .extend(self.users.get(&name).into_iter().flatten().filter(|user| !affected.contains(*user)).cloned());
            affected.insert(name);
        }
        affected
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn graph() -> Graph {
        let package = |name: &str, folder: &str, dependencies: &[&str]| {
            let dependencies: Vec<_> = dependencies.iter().map(|name| json!({ "name": name })).collect();
            json!({ "name": name, "manifest_path": format!("/house/{folder}/Cargo.toml"), "dependencies": dependencies })
        };
        let packages = [
            package("bmap-protocol", "crates/protocol", &["sfv"]),
            package("bmap-verifier", "crates/verifier", &["bmap-protocol"]),
            package("bmap-server", "server", &["bmap-verifier"]),
            package("places-tool", "examples/places-tool", &["bmap-verifier"]),
            package("bmap-tests", "tests", &[]),
            package("bmap-vectors-wasm", "tests/vectors-wasm", &["bmap-protocol"]),
            package("xtask", "xtask", &[]),
        ];
        Graph::of(&json!({ "packages": packages }), "/house")
    }

    fn affected(files: &[&str]) -> Vec<String> {
        Changes::of(files.iter().copied(), &graph()).packages.into_iter().collect()
    }

    #[test]
    fn a_change_affects_its_crate_and_what_stands_on_it() {
        assert_eq!(affected(&["server/src/routes/tickets.rs"]), ["bmap-server", "bmap-tests"]);
        assert_eq!(affected(&["xtask/src/main.rs"]), ["xtask"]);
        assert_eq!(affected(&["tests/vectors-wasm/src/lib.rs"]), ["bmap-vectors-wasm"]);
        assert_eq!(
            affected(&["crates/verifier/src/verify.rs"]),
            ["bmap-server", "bmap-tests", "bmap-verifier", "places-tool"]
        );
        assert_eq!(affected(&["crates/protocol/src/keys.rs"]).len(), 6);
        assert_eq!(affected(&["Cargo.lock"]).len(), 7);
        assert_eq!(affected(&["npm/src/fetch.ts"]), [""; 0]);
        assert_eq!(affected(&["docs/tokens.md"]), ["bmap-server", "bmap-tests"]);
    }

    #[test]
    fn routes_alone_are_told_from_routes_with_something_else() {
        let alone = |files: &[&str]| Changes::of(files.iter().copied(), &graph()).are_routes_alone();
        assert!(alone(&["server/src/routes/tickets.rs", "server/tests/issuer/routes/tickets.rs"]));
        assert!(!alone(&["server/src/routes/tickets.rs", "server/src/router.rs"]) && !alone(&[]));
    }

    #[test]
    fn a_changed_route_has_its_path() {
        const ROUTER: &str = r#""/auth/step-up" "/tools" "/tools/{id}/grants" "/oauth/token""#;
        let paths = |files: &[&str]| {
            let paths = Changes::of(files.iter().copied(), &graph()).paths_of_routes(ROUTER)?;
            Some(paths.into_iter().collect::<Vec<_>>().join(" "))
        };
        let routes = ["server/src/routes/auth/step_up.rs", "server/tests/issuer/routes/step_up.rs"];
        assert_eq!(paths(&routes).as_deref(), Some("/auth/step-up"));
        assert_eq!(paths(&["server/src/routes/tools/mod.rs"]).as_deref(), Some("/tools"));
        assert_eq!(
            paths(&["server/src/routes/tools/id/grants.rs", routes[0]]).as_deref(),
            Some("/auth/step-up /tools")
        );
        for whole in [&["server/src/http/problem.rs"][..], &[routes[0], "server/src/router.rs"], &[]] {
            assert_eq!(paths(whole), None);
        }
    }

    #[test]
    fn folders_are_compared_whole() {
        let changes = Changes::of(["npm/src/fetch.ts", "deny.toml"].into_iter(), &graph());
        assert!(changes.touch(&["npm/"]) && changes.touch(&["docs/", "deny.toml"]));
        assert!(!changes.touch(&["np"]) && !changes.touch(&["deny"]) && !changes.touch(&["src/"]));
    }
}
