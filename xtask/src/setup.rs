//! `cargo xtask setup`: what the other commands need, got once. Nothing is done twice; what needs root is named, and done only where
//! that is the way of the place (as root, or in CI).

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use crate::node_modules;
use crate::shell::{Program, root};

const WASM_TARGET: &str = "wasm32-unknown-unknown";
const MIN_NODE: u32 = 20;
/// Where the second implementation of RFC 9421, what tests the API, both in Python, and Valkey's server are installed, and what they are.
pub(crate) const PYTHON: &str = "target/python";
const REQUIREMENTS: &str = "tests/interop/requirements.txt";
const BROWSERS: [&str; 4] =
    ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/snap/bin/chromium"];

pub(crate) fn run(_args: &[String]) -> Result<(), Box<dyn Error>> {
    all()
}

/// Everything, for `setup`, `demo` and `test`.
pub(crate) fn all() -> Result<(), Box<dyn Error>> {
    node()?;
    wasm_target()?;
    npm_packages()?;
    python_packages()?;
    redis()?;
    let browser = browser()?;
    eprintln!("setup: complete (browser: {browser})");
    Ok(())
}

fn node() -> Result<(), Box<dyn Error>> {
    if !Program::new("node --version").succeeds() || !Program::new("npm --version").succeeds() {
        install("Node.js and npm", "nodejs npm")?;
    }
    let version = Program::new("node --version").read()?;
    match major(&version) {
        Some(found) if found >= MIN_NODE => Ok(()),
        _ => Err(format!("node {} is too old: {MIN_NODE} or later is needed", version.trim()).into()),
    }
}

fn wasm_target() -> Result<(), Box<dyn Error>> {
    let sysroot = Program::new("rustc --print sysroot").read()?;
    if Path::new(sysroot.trim()).join("lib/rustlib").join(WASM_TARGET).is_dir() {
        return Ok(());
    }
    if !Program::new("rustup --version").succeeds() {
        return Err(format!(
            "the target {WASM_TARGET} is missing, and so is rustup, which would add it: rustup target add {WASM_TARGET}"
        )
        .into());
    }
    Program::new("rustup target add").arg(WASM_TARGET).run()
}

fn npm_packages() -> Result<(), Box<dyn Error>> {
    for folder in npm_folders(&root())? {
        node_modules::install(&folder)?;
    }
    Ok(())
}

/// Every folder with a lock: `npm ci` is run in each.
fn npm_folders(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    if folder.join("package-lock.json").is_file() {
        found.push(folder.to_owned());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let skipped = path.file_name().is_some_and(|name| name == "node_modules" || name == "target" || name == ".git");
        if path.is_dir() && !path.is_symlink() && !skipped {
            found.extend(npm_folders(&path)?);
        }
    }
    found.sort();
    Ok(found)
}

fn python_packages() -> Result<(), Box<dyn Error>> {
    let wanted = fs::read(root().join(REQUIREMENTS))?;
    let installed = root().join(PYTHON).join(".requirements");
    if fs::read(&installed).is_ok_and(|known| known == wanted) {
        return Ok(());
    }
    // Debian leaves this module out of python3 itself, and a venv without it has no pip.
    if !Program::new("python3 -c").arg("import ensurepip").succeeds() {
        install("Python with venv", "python3 python3-venv")?;
    }
    Program::new("python3 -m venv").arg(PYTHON).run()?;
    Program::new(&format!("{PYTHON}/bin/python -m pip install --quiet --disable-pip-version-check -r {REQUIREMENTS}"))
        .run()?;
    fs::write(installed, wanted)?;
    Ok(())
}

/// The server that the tests of the shared replay store start, each on a port of its own. The package's own service is not used.
fn redis() -> Result<(), Box<dyn Error>> {
    if Program::new("redis-server --version").succeeds() { Ok(()) } else { install("Redis", "redis-server") }
}

/// The browser that the tests drive: `BMAP_CHROMIUM`, or Debian's, or one of its usual places.
pub(crate) fn browser() -> Result<String, Box<dyn Error>> {
    if let Ok(named) = std::env::var("BMAP_CHROMIUM") {
        return if Path::new(&named).is_file() {
            Ok(named)
        } else {
            Err(format!("BMAP_CHROMIUM={named}: no such file").into())
        };
    }
    let find = || BROWSERS.iter().find(|path| Path::new(path).is_file());
    if find().is_none() {
        install("Chromium", "chromium")?;
    }
    find().map(ToString::to_string).ok_or_else(|| "no Chromium; name one in BMAP_CHROMIUM".into())
}

fn install(what: &str, packages: &str) -> Result<(), Box<dyn Error>> {
    let line = format!("apt-get install -y --no-install-recommends {packages}");
    let is_root = Program::new("id -u").read().is_ok_and(|id| id.trim() == "0");
    let in_ci = std::env::var_os("CI").is_some();
    if !Program::new("apt-get --version").succeeds() || !(is_root || in_ci) {
        return Err(format!("{what} is missing, and installing it needs root. I would run:\n    sudo {line}").into());
    }
    let sudo = if is_root { "" } else { "sudo " };
    Program::new(&format!("{sudo}{line}")).env("DEBIAN_FRONTEND", "noninteractive").run()
}

fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_by_number_and_not_by_letter() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major("v9.1.0"), Some(9));
        assert_eq!(major("20"), None);
        assert_eq!(major(""), None);
    }

    #[test]
    fn every_npm_folder_leaves_addresses_out_of_its_lock() {
        // A lock with `resolved` addresses would bind every user to one registry.
        let folders = npm_folders(&root()).unwrap();
        assert!(folders.contains(&root().join("tests/e2e")), "{folders:?}");
        for folder in folders {
            let lock = fs::read_to_string(folder.join("package-lock.json")).unwrap();
            assert!(!lock.contains("\"resolved\": \"http"), "{}", folder.display());
        }
    }
}
