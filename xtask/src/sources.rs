//! Rules on the text of a floor's source, where a dependency rule can't reach.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// The hard limit on a file's length: beyond it, it is more than one noun or verb.
const MAX_LINES: usize = 450;
const FLOORS: [&str; 9] =
    ["crates", "protocol", "verifier", "server", "sdk-wasm", "vectors", "examples", "tests", "xtask"];

/// A text that must not stand in the files of a folder.
struct Rule {
    folder: &'static str,
    except: &'static str,
    texts: &'static [&'static str],
    why: &'static str,
}

const RULES: [Rule; 3] = [
    Rule {
        folder: "server/src",
        except: "server/src/store",
        texts: &["sqlx::query", "SELECT ", "INSERT INTO", "DELETE FROM", "UPDATE SET", "CREATE TABLE"],
        why: "SQL stands in server/src/store only",
    },
    Rule {
        folder: "protocol/src",
        except: "",
        texts: &["async fn", "std::net::", "std::fs", "std::thread", "SystemTime", "Instant::"],
        why: "the wire profile has no I/O, clock or async",
    },
    Rule {
        folder: "sdk-wasm/src",
        except: "",
        texts: &["async fn", "fetch(", "set_timeout", "local_storage"],
        why: "the boundary is thin: fetch, timers and storage are npm's",
    },
];

/// All faults in the tree at `root`.
pub(crate) fn faults(root: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut faults = Vec::new();
    for rule in &RULES {
        for file in files(&root.join(rule.folder))? {
            let shown = shown(root, &file);
            if rule.except.is_empty() || !shown.starts_with(rule.except) {
                faults.extend(said(&shown, &fs::read_to_string(&file)?, rule));
            }
        }
    }
    for floor in FLOORS {
        for file in files(&root.join(floor))? {
            faults.extend(too_long(&shown(root, &file), &fs::read_to_string(&file)?));
        }
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
    fn a_folder_that_is_not_there_is_an_error_and_not_green() {
        assert!(faults(Path::new("/nonexistent")).is_err());
    }
}
