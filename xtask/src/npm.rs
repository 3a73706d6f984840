//! `cargo xtask npm`: the package `@bmap/auth`, built, packed and checked.
//!
//! WebAssembly → types (tsc) → code (rolldown) → tarball (npm pack) → publint and attw look at the tarball → the tarball is
//! installed for the tests. `cargo xtask npm --test` runs them on what was installed, which is what people get.

use crate::shell::Program;
use std::error::Error;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Builds, packs and checks; with `--test`, tests too.
///
/// # Errors
/// The first step that fails.
pub(crate) fn run(args: &[String]) -> Result<()> {
    if let Some(unknown) = args.iter().find(|arg| arg.as_str() != "--test") {
        return Err(format!("cargo xtask npm: unknown argument {unknown}; there is --test").into());
    }
    crate::wasm::run(&["sdk", "direct", "inspect"].map(str::to_owned))?;
    for script in ["types", "bundle", "package", "check"] {
        Program::new("npm run --silent").arg(script).within("npm").run()?;
    }
    if args.is_empty() { Ok(()) } else { test() }
}

/// Tests the package that [`run`] installed for them, and the known answers in WebAssembly.
///
/// # Errors
/// The first step that fails.
pub(crate) fn test() -> Result<()> {
    crate::wasm::run(&["vectors".to_owned()])?;
    Program::new("npm run --silent test").within("npm").run()
}
