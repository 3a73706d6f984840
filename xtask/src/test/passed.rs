//! Which steps passed with the tree as it is: they are not run again until a file changes.
//!
//! A step's verdict is kept with the whole tree (names and contents of all files that git does not ignore) and the versions of the programs
//! that run it. Any change makes it void. CI and `--full` run everything, and `--again` does so once.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use crate::shell::{Program, root};

/// The tree and the programs, as text; `None` where nothing is kept.
pub(super) struct Passed {
    state: Option<String>,
}

impl Passed {
    /// What is known of the tree as it is now.
    ///
    /// # Errors
    /// What git says.
    pub(super) fn of_tree(is_kept: bool) -> Result<Self, Box<dyn Error>> {
        Ok(Self { state: if is_kept { Some(state()?) } else { None } })
    }

    /// Whether the step passed with this tree.
    pub(super) fn knows(&self, step: &str) -> bool {
        let kept = |state: &String| fs::read_to_string(file(step)).is_ok_and(|kept| kept == *state);
        self.state.as_ref().is_some_and(kept)
    }

    /// Keeps that the step passed.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn keep(&self, step: &str) -> Result<(), Box<dyn Error>> {
        let Some(state) = &self.state else { return Ok(()) };
        let file = file(step);
        fs::create_dir_all(file.parent().unwrap_or(&file))?;
        Ok(fs::write(file, state)?)
    }
}

fn file(step: &str) -> PathBuf {
    root().join("target/xtask-passed").join(step)
}

fn state() -> Result<String, Box<dyn Error>> {
    let mut state = String::new();
    for version in ["rustc --version", "node --version", "python3 --version"] {
        state.push_str(&Program::new(version).read().unwrap_or_default());
    }
    // A deleted file is listed still, and has no content.
    let listed = Program::new("git ls-files --cached --others --exclude-standard").read()?;
    let files: Vec<&str> = listed.lines().filter(|file| root().join(file).is_file()).collect();
    let contents = Program::new("git hash-object --stdin-paths").read_with(&(files.join("\n") + "\n"))?;
    for (file, content) in files.iter().zip(contents.lines()) {
        state.push_str(&format!("{content} {file}\n"));
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_good_for_one_tree() {
        let passed = |state: &str| Passed { state: Some(state.to_owned()) };
        passed("a tree").keep("a-step-of-tests").unwrap();
        assert!(passed("a tree").knows("a-step-of-tests"));
        assert!(!passed("another tree").knows("a-step-of-tests"));
        assert!(!passed("a tree").knows("another-step-of-tests"));
        assert!(!Passed { state: None }.knows("a-step-of-tests"));
        fs::remove_file(file("a-step-of-tests")).unwrap();
    }

    #[test]
    fn the_tree_is_names_and_contents() {
        let state = state().unwrap();
        assert!(state.lines().any(|line| line.ends_with(" xtask/src/test/passed.rs")), "{state}");
        assert!(state.lines().all(|line| !line.ends_with("target/READY")));
    }
}
