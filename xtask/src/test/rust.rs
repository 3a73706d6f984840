//! The native side: built with lints, tested, tested again on the second database, killed.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::scope::Scope;
use crate::clock;
use crate::shell::{Program, root};

/// The packages of every native step: one choice, so that all of them build with one set of features.
///
/// Two crates of the workspace are not among them. The measurements bring crates that only they use, and are built with `--full`.
/// This one was built to run at all: with the others it would get other features, and its dependencies would be compiled twice.
const WORKSPACE: &str = "--locked --workspace --exclude bmap-benches --exclude xtask";
const XTASK: &str = "--locked --package xtask";
const BENCHES: &str = "--locked --package bmap-benches";

/// Everything that the next steps run, with lints, warnings denied.
pub(super) fn build(scope: &Scope) -> Result<(), Box<dyn Error>> {
    if scope.affects("xtask") {
        Program::cargo("build --all-targets").args(XTASK).run()?;
    }
    if scope.full {
        Program::cargo("build --all-targets").args(BENCHES).run()?;
    }
    Program::cargo("build --all-targets").args(WORKSPACE).run()
}

/// Unit, property and whole-system tests, on SQLite.
pub(super) fn test(scope: &Scope) -> Result<(), Box<dyn Error>> {
    build(scope)?;
    if scope.affects("xtask") {
        Program::cargo("test --quiet").args(XTASK).run()?;
    }
    if Program::new("cargo nextest --version").succeeds() {
        let tests = Program::cargo("nextest run --no-fail-fast --no-tests=pass").args(WORKSPACE);
        let tests = tests.arg("--test-threads").arg(slots().to_string());
        let filter =
            if scope.is_routes_alone() { OF_ROUTES.to_owned() } else { nextest_filter(scope.packages().as_deref()) };
        let tests = tests.arg("-E").arg(filter);
        let folder = MemoryFolder::new();
        return folder.used_by(tests.env("XTASK_BINARIES_ARE_BUILT", "1")).run();
    }
    let mut failed = Vec::new();
    let folder = MemoryFolder::new();
    for binary in binaries()?.iter().filter(|binary| scope.affects(&binary.package)) {
        let threads = threads().to_string();
        let tests = binary.run(&["--skip".to_owned(), KILL.to_owned()]).env("RUST_TEST_THREADS", threads);
        if folder.used_by(tests).run().is_err() {
            failed.push(binary.shown());
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", ")).into()) }
}

/// A folder for the tests' files in memory, where the system has one: hundreds of issuers start with a new database, and wait for the disk at
/// each commit. What the disk does wrong is tried by tests with a disk of their own, and by [`kill`]. It is removed at the end.
struct MemoryFolder(Option<PathBuf>);

impl MemoryFolder {
    /// Linux's file system in memory (tmpfs).
    const PARENT: &str = "/dev/shm";
    /// Least room there, in KiB: containers often have 64 MiB.
    const ROOM: u64 = 1 << 20;

    fn new() -> Self {
        let free = Program::new("df --output=avail -k").arg(Self::PARENT).read().unwrap_or_default();
        if !free.lines().last().is_some_and(|line| line.trim().parse().is_ok_and(|free: u64| free >= Self::ROOM)) {
            return Self(None);
        }
        let folder = Path::new(Self::PARENT).join(format!("bmap-tests-{}", std::process::id()));
        Self(fs::create_dir(&folder).is_ok().then_some(folder))
    }

    fn used_by(&self, tests: Program) -> Program {
        match &self.0 {
            Some(folder) => tests.env("TMPDIR", folder),
            None => tests,
        }
    }
}

impl Drop for MemoryFolder {
    fn drop(&mut self) {
        if let Some(folder) = &self.0 {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// What a change of routes alone can break: the issuer's tests that call them, its unit tests, and the whole-system tests but those of a tool
/// that is held open for a minute.
const OF_ROUTES: &str = "(package(=bmap-tests) - binary(=held_open)) + (package(=bmap-server) & (kind(=lib) + kind(=bin) + (binary(=issuer) & \
     test(/^(audit|cli|cors|docs|metrics|openapi|problems|rate_limit|router|routes|secrets)::/))))";

/// Tests that run as a step of their own: [`kill`].
const KILL: &str = "f01_killed_";

/// Tests at once. Many wait for a deadline, so there are more of them than cores.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(4, |cores| cores.get() * 2)
}

/// Places for tests under nextest, where a test of the issuer takes two (`.config/nextest.toml`): it computes, and most others wait.
fn slots() -> usize {
    threads().saturating_add(threads() / 2)
}

fn nextest_filter(packages: Option<&[&str]>) -> String {
    let chosen = match packages {
        None => "all()".to_owned(),
        Some([]) => "none()".to_owned(),
        Some(packages) => {
            let filters: Vec<String> = packages.iter().map(|package| format!("package(={package})")).collect();
            filters.join(" + ")
        }
    };
    format!("({chosen}) - (binary(=faults) & test({KILL}))")
}

/// The issuer's tests that touch storage or routes once more, on PostgreSQL, by the binary that [`build`] made. All in one
/// process, which has one database server: under nextest each test would start its own.
pub(super) fn postgresql(_: &Scope) -> Result<(), Box<dyn Error>> {
    if !has_postgresql() {
        eprintln!("PostgreSQL is not installed (Debian: postgresql): the issuer's tests were run on SQLite alone");
        return Ok(());
    }
    let binaries = binaries()?;
    let issuer = binaries.iter().find(|binary| binary.package == "bmap-server" && binary.target == "issuer");
    let issuer = issuer.ok_or("the build has no test binary `issuer`")?;
    let skipped: Vec<String> =
        NOT_OF_THE_DATABASE.iter().flat_map(|module| ["--skip".to_owned(), (*module).to_owned()]).collect();
    issuer.run(&skipped).env("TEST_DATABASE", "postgresql").env("RUST_TEST_THREADS", threads().to_string()).run()
}

/// Modules of the issuer's tests that touch neither storage nor routes: sockets, times, texts, and what other servers do wrong.
const NOT_OF_THE_DATABASE: [&str; 9] = [
    "cors::",
    "listener::",
    "mail::tls::",
    "openapi::",
    "openid::provider_faults::",
    "overload::",
    "problems::",
    "secrets::",
    "timing::",
];

/// Whether PostgreSQL is here. CI runs without a look, and fails where it is not.
fn has_postgresql() -> bool {
    std::env::var_os("CI").is_some() || Path::new("/usr/lib/postgresql").is_dir()
}

/// The replay store under loom and shuttle. The model of the promise and the histories run with the other tests. These two put
/// locks of their own into the store, so each is a build of its own.
///
/// With `--full`, the model looks through a larger world and more histories and schedules are tried: some ten minutes.
pub(super) fn models(scope: &Scope) -> Result<(), Box<dyn Error>> {
    let larger = |program: Program| {
        let bounds = [("MODEL_BOUND", "full"), ("HISTORIES", "300000"), ("SCHEDULES", "1000000")];
        bounds.into_iter().filter(|_| scope.full).fold(program, |program, (name, bound)| program.env(name, bound))
    };
    for tool in ["loom", "shuttle"] {
        let program = Program::new("cargo test --locked --package bmap-models --features");
        larger(program.args(&format!("{tool} --test {tool} -- --nocapture"))).run()?;
    }
    if scope.full {
        let program = Program::cargo("test --test promise --test histories").args("--locked --package bmap-models");
        larger(program.args("-- --nocapture")).run()?;
    }
    Ok(())
}

/// Rounds of killed processes on each database.
const ROUNDS: &str = "60";
const ROUNDS_IN_FULL: &str = "500";

/// The issuer killed at random moments.
pub(super) fn kill(scope: &Scope) -> Result<(), Box<dyn Error>> {
    let usual = if scope.full { ROUNDS_IN_FULL } else { ROUNDS };
    let rounds = std::env::var("KILL_ROUNDS").unwrap_or_else(|_| usual.to_owned());
    let binaries = binaries()?;
    let faults = binaries.iter().find(|binary| binary.package == "bmap-server" && binary.target == "faults");
    let faults = faults.ok_or("the build has no test binary `faults`")?;
    faults.run(&[KILL.to_owned(), "--nocapture".to_owned()]).env("KILL_ROUNDS", rounds).run()
}

/// Examples in the documentation. Files of the verifier are among the sources of the models, and their examples are run in the verifier.
pub(super) fn doc_tests(_: &Scope) -> Result<(), Box<dyn Error>> {
    Program::cargo("test --doc").args(WORKSPACE).args("--exclude bmap-models").run()
}

/// One test binary.
struct TestBinary {
    package: String,
    target: String,
    executable: String,
    folder: String,
}

impl TestBinary {
    /// The binary with these arguments, as cargo would start it.
    fn run(&self, args: &[String]) -> Program {
        let program = Program::new(&self.executable).within(&self.folder).env("XTASK_BINARIES_ARE_BUILT", "1");
        args.iter().fold(program, Program::arg)
    }

    fn shown(&self) -> String {
        format!("{} {}", self.package, self.target)
    }
}

/// The test binaries of the build, built where they are not.
fn binaries() -> Result<Vec<TestBinary>, Box<dyn Error>> {
    let (messages, took) = clock::timed(|| {
        Program::cargo("test --lib --bins --tests --no-run --message-format json").args(WORKSPACE).read()
    });
    if took > Duration::from_secs(60) {
        eprintln!("the test binaries were built again ({} s): has a step another set of features?", took.as_secs());
    }
    Ok(test_binaries(&messages?, &root().to_string_lossy()))
}

/// The test binaries in what cargo printed as JSON, a message a line.
fn test_binaries(messages: &str, root: &str) -> Vec<TestBinary> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let text = |value: &Value, at: &str| value.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
    messages
        .filter(|message| text(message, "/reason") == "compiler-artifact")
        .filter(|message| message.pointer("/profile/test").and_then(Value::as_bool) == Some(true))
        .filter_map(|message| {
            let executable = message.get("executable")?.as_str()?.to_owned();
            let manifest = text(&message, "/manifest_path");
            let folder = manifest.trim_end_matches("/Cargo.toml").trim_start_matches(root).trim_start_matches('/');
            // `path+file:///house/server#bmap-server@0.1.0`, or `…/xtask#0.1.0` where folder and crate have one name.
            let id = text(&message, "/package_id");
            let named = id.rsplit_once('#').map_or("", |(_, name)| name);
            let package =
                named.split_once('@').map_or_else(|| folder.rsplit('/').next().unwrap_or_default(), |(name, _)| name);
            Some(TestBinary {
                package: package.to_owned(),
                target: text(&message, "/target/name"),
                executable,
                folder: folder.to_owned(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_binaries_are_found_among_cargos_messages() {
        let line = |id: &str, folder: &str, target: &str, test: bool, executable: Option<&str>| {
            serde_json::json!({
                "reason": "compiler-artifact", "package_id": id, "manifest_path": format!("/house/{folder}/Cargo.toml"),
                "target": { "name": target }, "profile": { "test": test }, "executable": executable,
            })
            .to_string()
        };
        let messages = [
            line("path+file:///house/server#bmap-server@0.1.0", "server", "issuer", true, Some("/t/issuer-1")),
            line("path+file:///house/server#bmap-server@0.1.0", "server", "bmap", false, Some("/t/bmap")),
            line("path+file:///house/xtask#0.1.0", "xtask", "xtask", true, Some("/t/xtask-1")),
            line("registry+x#serde@1.0.0", "serde", "serde", false, None),
            "not JSON".to_owned(),
        ]
        .join("\n");
        let found = test_binaries(&messages, "/house");
        let found: Vec<_> =
            found.iter().map(|b| [&b.package, &b.target, &b.executable, &b.folder].map(String::as_str)).collect();
        assert_eq!(
            found,
            [["bmap-server", "issuer", "/t/issuer-1", "server"], ["xtask", "xtask", "/t/xtask-1", "xtask"]]
        );
    }

    #[test]
    fn crates_are_named_whole_to_nextest() {
        let without_kill = " - (binary(=faults) & test(f01_killed_))";
        let filter = nextest_filter(Some(&["bmap-server", "xtask"]));
        assert_eq!(filter, format!("(package(=bmap-server) + package(=xtask)){without_kill}"));
        assert_eq!(nextest_filter(Some(&[])), format!("(none()){without_kill}"));
        assert_eq!(nextest_filter(None), format!("(all()){without_kill}"));
    }
}
