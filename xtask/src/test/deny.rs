//! Licences, banned crates, lowest versions and sources of the dependencies: `cargo deny`.

use std::error::Error;
use std::fs;

use crate::shell::{Program, root};

const VERSION: &str = "0.20.2";
const CHECK: &str = "--locked check licenses bans sources";
/// What was checked last: the answer depends on these files and on nothing else.
const CHECKED: &str = "target/tools/deny-checked";

/// Checks what changed since the last check.
pub(super) fn run() -> Result<(), Box<dyn Error>> {
    let subject = format!(
        "{}\n{}\n{VERSION}",
        fs::read_to_string(root().join("Cargo.lock"))?,
        fs::read_to_string(root().join("deny.toml"))?
    );
    let checked = root().join(CHECKED);
    if fs::read_to_string(&checked).is_ok_and(|known| known == subject) {
        eprintln!("deny: Cargo.lock and deny.toml are as they were when they were checked");
        return Ok(());
    }
    check()?;
    fs::create_dir_all(root().join("target/tools"))?;
    fs::write(checked, subject)?;
    Ok(())
}

// cargo-deny is a program and not a library, so it is installed where it is missing: once, beside what else is built.
fn check() -> Result<(), Box<dyn Error>> {
    if Program::new("cargo deny --version").succeeds() {
        return Program::new("cargo deny").args(CHECK).run();
    }
    if !Program::new("target/tools/bin/cargo-deny --version").succeeds() {
        crate::tool::install("cargo-deny", VERSION)?;
    }
    Program::new("target/tools/bin/cargo-deny").args(CHECK).run()
}
