//! Rules on the text of a floor's source, where a dependency rule can't reach.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// The hard limit on a file's length: beyond it, it is more than one noun or verb.
const MAX_LINES: usize = 450;
/// The hard limit on the files of a folder: beyond it, they are several groups.
const MAX_FILES: usize = 25;
const FLOORS: [&str; 7] = ["crates", "server", "sdk-wasm", "vectors", "examples", "tests", "xtask"];
/// Folders with sources in other languages.
const OTHERS: [&str; 2] = ["npm", "benches"];
/// Folders that are installed or built.
const NOT_OURS: [&str; 4] = ["node_modules", "dist", "target", "wasm"];
/// What counts as a file of a folder.
const SOURCES: [&str; 4] = ["rs", "ts", "mjs", "py"];

/// A text that must not stand in the files of a folder.
struct Rule {
    folders: &'static [&'static str],
    texts: &'static [&'static str],
    why: &'static str,
}

const RULES: [Rule; 3] = [
    Rule {
        folders: &[
            "server/src",
            "crates/model/src",
            "crates/issuer/src",
            "crates/outbound/src",
            "crates/verifier/src",
            "crates/issuer-link/src",
        ],
        texts: &["sqlx::query", "SELECT ", "INSERT INTO", "DELETE FROM", "UPDATE SET", "CREATE TABLE"],
        why: "SQL stands in crates/store only",
    },
    Rule {
        folders: &["crates/protocol/src"],
        texts: &["async fn", "std::net::", "std::fs", "std::thread", "SystemTime", "Instant::"],
        why: "the wire profile has no I/O, clock or async",
    },
    Rule {
        folders: &["sdk-wasm/src"],
        texts: &["async fn", "fetch(", "set_timeout", "local_storage"],
        why: "the boundary is thin: fetch, timers and storage are npm's",
    },
];

/// All faults in the tree at `root`.
pub(crate) fn faults(root: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut faults = Vec::new();
    for rule in &RULES {
        for folder in rule.folders {
            for file in files(&root.join(folder))? {
                faults.extend(said(&shown(root, &file), &fs::read_to_string(&file)?, rule));
            }
        }
    }
    for floor in FLOORS {
        for file in files(&root.join(floor))? {
            faults.extend(too_long(&shown(root, &file), &fs::read_to_string(&file)?));
        }
    }
    for folder in FLOORS.iter().chain(&OTHERS) {
        faults.extend(too_many(root, &root.join(folder))?);
    }
    Ok(faults)
}

/// The folders below this one that have too many files of their own.
fn too_many(root: &Path, folder: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let (mut faults, mut own) = (Vec::new(), 0);
    for entry in fs::read_dir(folder).map_err(|fault| format!("{}: {fault}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            if !NOT_OURS.iter().any(|name| path.ends_with(name)) {
                faults.extend(too_many(root, &path)?);
            }
        } else if path.extension().is_some_and(|extension| SOURCES.iter().any(|source| extension == *source)) {
            own += 1;
        }
    }
    if own > MAX_FILES {
        faults.push(format!("{}: {own} files; {MAX_FILES} is the limit", shown(root, folder)));
    }
    Ok(faults)
}

fn said(file: &str, text: &str, rule: &Rule) -> Vec<String> {
    // A comment may name a thing that the code must not do.
    let code = |line: &&str| !line.trim_start().starts_with("//");
    let hit = |line: &str| rule.texts.iter().find(|text| line.contains(**text));
    text.lines()
        .enumerate()
        .filter(|(_, line)| code(line))
        .filter_map(|(at, line)| Some(format!("{file}:{}: {:?}: {}", at + 1, hit(line)?, rule.why)))
        .collect()
}

fn too_long(file: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > MAX_LINES).then(|| format!("{file}: {lines} lines; {MAX_LINES} is the limit"))
}

fn shown(root: &Path, file: &Path) -> String {
    file.strip_prefix(root).unwrap_or(file).to_string_lossy().replace('\\', "/")
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|fault| format!("{}: {fault}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("node_modules") {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &Rule = &RULES[0];
    const PROTOCOL: &Rule = &RULES[1];

    #[test]
    fn sql_outside_the_store_is_red_and_named_by_line() {
        let found = said("server/src/routes/a.rs", "fn a() {\n    sqlx::query(\"x\");\n}\n", SQL);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("server/src/routes/a.rs:2: "), "{found:?}");
        assert_eq!(said("a.rs", "let text = \"SELECT id FROM users\";", SQL).len(), 1);
    }

    #[test]
    fn a_clock_in_the_profile_is_red() {
        assert_eq!(said("a.rs", "let now = SystemTime::now();", PROTOCOL).len(), 1);
        assert_eq!(said("a.rs", "pub async fn check() {}", PROTOCOL).len(), 1);
    }

    #[test]
    fn comments_may_name_it() {
        assert!(said("a.rs", "    // no SystemTime here\n/// nor async fn\nlet x = 1;", PROTOCOL).is_empty());
    }

    #[test]
    fn the_limit_on_length_is_exact() {
        assert_eq!(too_long("a.rs", &"x\n".repeat(MAX_LINES)), None);
        assert!(too_long("a.rs", &"x\n".repeat(MAX_LINES + 1)).is_some());
    }

    #[test]
    fn a_folder_of_too_many_files_is_red_and_those_in_it_count_by_themselves() {
        let folder = std::env::temp_dir().join(format!("xtask-folder-{}", std::process::id()));
        fs::create_dir_all(folder.join("in/node_modules")).unwrap();
        let fill = |below: &str, names: std::ops::Range<usize>| {
            names.for_each(|at| fs::write(folder.join(below).join(format!("{at}.rs")), "").unwrap());
        };
        fill("", 0..MAX_FILES);
        fill("in", 0..MAX_FILES);
        fill("in/node_modules", 0..MAX_FILES + 1);
        fs::write(folder.join("notes.md"), "").unwrap();
        assert_eq!(too_many(&folder, &folder).unwrap(), [""; 0]);
        fill("in", 0..MAX_FILES + 1);
        assert_eq!(too_many(&folder, &folder).unwrap(), ["in: 26 files; 25 is the limit"]);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_and_not_green() {
        assert!(faults(Path::new("/nonexistent")).is_err());
    }
}
