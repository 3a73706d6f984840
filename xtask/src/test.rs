//! `cargo xtask test`: everything that CI runs, in the order in which a fault is cheapest to find, with a table of times at the end.
//!
//! Nothing here builds the server in release mode, and all native steps share one set of features (`--workspace`), so that nothing is
//! compiled twice.

use std::error::Error;
use std::time::Duration;

use crate::shell::Program;
use crate::{clock, demo, layers, npm, setup, wasm};

struct Step {
    name: &'static str,
    what: &'static str,
    run: fn() -> Result<(), Box<dyn Error>>,
}

const STEPS: &[Step] = &[
    Step { name: "setup", what: "wasm target, npm packages, browser", run: setup::all },
    Step { name: "fmt", what: "cargo fmt --check", run: fmt },
    Step { name: "layers", what: "which floor may see which", run: || layers::run(&[]) },
    Step { name: "clippy", what: "cargo clippy, warnings denied", run: clippy },
    Step { name: "build", what: "everything that the next steps run", run: build },
    Step { name: "rust", what: "unit, property and whole-system tests; the issuer's on both databases", run: rust },
    Step { name: "models", what: "the replay store under loom and shuttle", run: models },
    Step { name: "kill", what: "the issuer killed 500 times on each database", run: kill },
    Step { name: "doc-tests", what: "examples in the documentation", run: doc_tests },
    Step { name: "protocol-wasm", what: "the wire profile builds for WebAssembly", run: protocol_wasm },
    Step { name: "package", what: "@bmap/auth is built and packed", run: demo::build_package },
    Step { name: "package-tests", what: "vectors and behaviour from TypeScript", run: npm::test },
    Step { name: "browser", what: "two origins, OpenID sign-in and vectors in Chromium; direct calls", run: browser },
    Step { name: "smoke", what: "cargo xtask demo --smoke", run: smoke },
    Step { name: "api", what: "the running issuer against its OpenAPI document", run: api },
    Step { name: "deny", what: "licences, banned crates, lowest versions, sources", run: deny },
];

pub(crate) fn run(args: &[String]) -> Result<(), Box<dyn Error>> {
    let steps = chosen(args)?;
    if args.iter().any(|arg| arg == "--list") {
        for step in steps {
            println!("{:<14} {}", step.name, step.what);
        }
        return Ok(());
    }
    let mut rows: Vec<Row> = Vec::new();
    let mut failure = None;
    for step in steps {
        // The first failure ends the run: what comes after builds on it. The table names all steps nevertheless.
        if failure.is_some() {
            rows.push(Row { name: step.name, verdict: "not run", took: None });
            continue;
        }
        eprintln!("\n━━ {}: {}", step.name, step.what);
        let (result, took) = clock::timed(step.run);
        rows.push(Row { name: step.name, verdict: if result.is_ok() { "ok" } else { "FAILED" }, took: Some(took) });
        failure = result.err().map(|fault| format!("{}: {fault}", step.name));
    }
    eprintln!("\n{}", table(&rows));
    failure.map_or(Ok(()), |fault| Err(fault.into()))
}

fn chosen(args: &[String]) -> Result<Vec<&'static Step>, String> {
    let mut only = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--list" => {}
            "--only" => {
                let name = args.next().ok_or("--only: name a step")?;
                let step = STEPS.iter().find(|step| step.name == name);
                only.push(step.ok_or_else(|| format!("no step {name:?}; --list prints them"))?);
            }
            unknown => return Err(format!("{unknown}: --list and --only STEP are known")),
        }
    }
    Ok(if only.is_empty() { STEPS.iter().collect() } else { only })
}

struct Row {
    name: &'static str,
    verdict: &'static str,
    took: Option<Duration>,
}

fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut total = Duration::ZERO;
    for row in rows {
        total += row.took.unwrap_or_default();
        let took = row.took.map_or_else(|| "–".to_owned(), |took| format!("{:.1} s", took.as_secs_f64()));
        text.push_str(&format!("{:<14} {:<8} {took:>10}\n", row.name, row.verdict));
    }
    text.push_str(&format!("{:<14} {:<8} {:>10}", "total", "", format!("{:.1} s", total.as_secs_f64())));
    text
}

fn fmt() -> Result<(), Box<dyn Error>> {
    Program::new("cargo fmt --all --check").run()
}

fn clippy() -> Result<(), Box<dyn Error>> {
    Program::new("cargo clippy --locked --workspace --all-targets -- -D warnings").run()
}

// All targets at once: the binaries that the whole-system and browser tests start get the features that the tests have, and no
// crate is built for a second set of them.
fn build() -> Result<(), Box<dyn Error>> {
    Program::new("cargo build --locked --workspace --all-targets").run()
}

fn rust() -> Result<(), Box<dyn Error>> {
    build()?;
    let runner = if Program::new("cargo nextest --version").succeeds() {
        Program::new("cargo nextest run --locked --workspace --no-fail-fast")
    } else {
        Program::new("cargo test --locked --workspace --lib --bins --tests --no-fail-fast")
    };
    // Not a `BMAP_` name: the issuer refuses to start with one that it doesn't know.
    runner.env("XTASK_BINARIES_ARE_BUILT", "1").run()?;
    if !has_postgresql() {
        eprintln!("PostgreSQL is not installed (Debian: postgresql): the issuer's tests were run on SQLite alone");
        return Ok(());
    }
    // The issuer's tests once more, on the other database. Not by nextest: there each test would start a server of its own.
    Program::new("cargo test --locked --workspace --test issuer --no-fail-fast")
        .env("TEST_DATABASE", "postgresql")
        .run()
}

// The model of the promise and the histories run with the other tests. These two put their own locks into the store, so each is a build of its own.
fn models() -> Result<(), Box<dyn Error>> {
    for tool in ["loom", "shuttle"] {
        Program::new(&format!("cargo test --locked -p bmap-models --features {tool} --test {tool} -- --nocapture"))
            .run()?;
    }
    Ok(())
}

fn kill() -> Result<(), Box<dyn Error>> {
    let rounds = std::env::var("KILL_ROUNDS").unwrap_or_else(|_| "500".to_owned());
    Program::new("cargo test --locked --workspace --test faults f01_ -- --nocapture").env("KILL_ROUNDS", rounds).run()
}

/// Whether PostgreSQL is here. CI runs without a look, and fails where it is not.
fn has_postgresql() -> bool {
    std::env::var_os("CI").is_some() || std::path::Path::new("/usr/lib/postgresql").is_dir()
}

fn doc_tests() -> Result<(), Box<dyn Error>> {
    Program::new("cargo test --locked --workspace --doc").run()
}

fn protocol_wasm() -> Result<(), Box<dyn Error>> {
    Program::new("cargo check --locked -p bmap-protocol --all-features --target wasm32-unknown-unknown").run()
}

fn browser() -> Result<(), Box<dyn Error>> {
    wasm::run(&["vectors".to_owned()])?; // the known answers run in Chromium too
    Program::new("npm test").within("tests/e2e").env("BMAP_CHROMIUM", setup::browser()?).run()
}

fn api() -> Result<(), Box<dyn Error>> {
    Program::new(&format!("{}/bin/python tests/api/run.py", setup::PYTHON)).run()
}

fn smoke() -> Result<(), Box<dyn Error>> {
    demo::smoke(None)
}

// cargo-deny is a program and not a library, so it is installed where it is missing: once, beside what else is built.
fn deny() -> Result<(), Box<dyn Error>> {
    const VERSION: &str = "0.20.2";
    const CHECK: &str = "--locked check licenses bans sources";
    if Program::new("cargo deny --version").succeeds() {
        return Program::new("cargo deny").args(CHECK).run();
    }
    if !Program::new("target/tools/bin/cargo-deny --version").succeeds() {
        Program::new("cargo install cargo-deny --locked --root target/tools --version")
            .arg(VERSION)
            // It runs for a second: a fast build is worth more than fast code.
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_TARGET_DIR", "target/tools/build")
            .run()?;
    }
    Program::new("target/tools/bin/cargo-deny").args(CHECK).run()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(args: &[&str]) -> Result<Vec<&'static str>, String> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        Ok(chosen(&args)?.iter().map(|step| step.name).collect())
    }

    #[test]
    fn steps_are_chosen_by_name_and_unknown_ones_refused() {
        assert_eq!(names(&[]).unwrap().len(), STEPS.len());
        assert_eq!(names(&["--only", "fmt", "--only", "layers"]).unwrap(), ["fmt", "layers"]);
        for wrong in [&["--only"][..], &["--only", "fnt"], &["fmt"]] {
            assert!(names(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_table_names_what_was_not_run() {
        let rows = [
            Row { name: "fmt", verdict: "ok", took: Some(Duration::from_millis(1250)) },
            Row { name: "clippy", verdict: "FAILED", took: Some(Duration::from_secs(2)) },
            Row { name: "rust", verdict: "not run", took: None },
        ];
        let text = table(&rows);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["fmt", "ok", "1.2", "s"]);
        assert_eq!(lines[2], ["rust", "not", "run", "–"]);
        assert_eq!(lines[3], ["total", "3.2", "s"]);
    }
}
