//! Programs of the Rust world that are no libraries: installed into `target/tools` where they are missing, once.

use std::error::Error;

use crate::shell::Program;

/// Installs a program of crates.io at one version.
///
/// # Errors
/// Cargo's error.
pub(crate) fn install(name: &str, version: &str) -> Result<(), Box<dyn Error>> {
    Program::new("cargo install --debug --locked --root target/tools --version")
        .arg(version)
        .arg(name)
        // These programs wait for others most of the time: a fast build is worth more than fast code.
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_TARGET_DIR", "target/tools/build")
        .run()
}
