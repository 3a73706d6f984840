//! The documents say what is so: every id in `docs/threats.md` that promises a test has one.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every source file that can hold a test.
fn sources(folder: &Path, found: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() && !["node_modules", "target", ".git", "dist"].contains(&name.as_str()) {
            sources(&path, found);
        } else if [".rs", ".mjs", ".ts"].iter().any(|end| name.ends_with(end)) {
            found.push_str(&std::fs::read_to_string(&path).unwrap().to_lowercase());
        }
    }
}

/// The ids of the rows of a document's section.
fn ids(document: &str, section: &str) -> Vec<String> {
    let (_, rest) = document.split_once(&format!("## {section}\n")).unwrap();
    let rows = rest.split("\n## ").next().unwrap().lines();
    rows.filter_map(|row| row.strip_prefix("| ")?.split(" |").next())
        .filter(|id| id.len() >= 2 && id[1..].bytes().all(|b| b.is_ascii_digit()))
        .map(str::to_lowercase)
        .collect()
}

#[test]
fn every_row_of_the_threats_has_a_test() {
    let document = std::fs::read_to_string(root().join("docs/threats.md")).unwrap();
    let mut code = String::new();
    sources(&root(), &mut code);
    let promised: Vec<String> =
        ["What peers got wrong", "Found from outside", "What users of peers reported", "Faults"]
            .iter()
            .flat_map(|section| ids(&document, section))
            .collect();
    assert!(promised.len() > 25, "{promised:?}");
    for id in promised {
        let named = [format!("fn {id}_"), format!("_{id}_"), format!("'{id}"), format!("{id}:"), format!("{id} ")];
        assert!(named.iter().any(|name| code.contains(name)), "{id} has no test that bears its name");
    }
}

/// Whether a document has a heading with that anchor, as the usual viewers make it of the heading's words.
fn has_heading(file: &std::path::Path, anchor: &str) -> bool {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().filter(|line| line.starts_with('#')).any(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>() == anchor
    })
}

#[test]
fn the_documents_point_at_files_that_are_there() {
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "docs/capabilities.md",
        "docs/operations.md",
        "docs/policy.md",
        "docs/replay.md",
        "docs/design.md",
        "docs/threats.md",
        "docs/tools.md",
        "docs/measurements.md",
        "npm/README.md",
    ] {
        let path = root().join(name);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !target.starts_with("http") && !target.starts_with('#') {
                let (file, heading) = target.split_once('#').unwrap_or((target, ""));
                let file = path.parent().unwrap().join(file);
                assert!(file.exists(), "{name} points at {target}");
                assert!(heading.is_empty() || has_heading(&file, heading), "{name} points at {target}");
            }
        }
    }
}
