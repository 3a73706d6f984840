//! The steps of `cargo xtask test`, in the order in which a fault is cheapest to find, and which changes each is for.

use std::error::Error;
use std::fs;

use super::scope::Scope;
use super::{deny, rust};
use crate::shell::{Program, root};
use crate::{demo, fuzz, layers, npm, setup, wasm};

/// One step.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// Whether a change can break it; true for a run of everything.
    pub(super) wanted: fn(&Scope) -> bool,
    pub(super) run: fn(&Scope) -> Result<(), Box<dyn Error>>,
    /// Whether the steps after it run at the same time: it depends on none of them, and they mostly wait.
    pub(super) is_beside: bool,
}

impl Step {
    /// A step that the next ones wait for.
    const fn new(
        name: &'static str,
        what: &'static str,
        wanted: fn(&Scope) -> bool,
        run: fn(&Scope) -> Result<(), Box<dyn Error>>,
    ) -> Self {
        Self { name, what, wanted, run, is_beside: false }
    }

    /// A step that the next ones do not wait for.
    const fn beside(self) -> Self {
        Self { is_beside: true, ..self }
    }
}

/// What the npm package is made of, and its tests.
const PACKAGE: [&str; 5] = ["npm/", "sdk-wasm/", "crates/protocol/", "vectors/", "tests/vectors-wasm/"];
/// What the fuzz targets call.
const FUZZED: [&str; 3] = ["crates/protocol/", "crates/verifier/", "fuzz/"];
/// What a page sees of the issuer's storage and of the way there.
const STORAGE: [&str; 4] = ["crates/store/", "crates/model/", "crates/issuer/", "server/tests/faults/"];

pub(super) const STEPS: &[Step] = &[
    Step::new("setup", "wasm target, npm packages, Valkey, Redis, browser", always, |_| setup::all()),
    Step::new("fmt", "cargo fmt --check", Scope::affects_rust, fmt),
    Step::new("layers", "which floor may see which", Scope::affects_rust, |_| layers::run(&[])),
    Step::new("build", "everything that the next steps run, with lints, warnings denied", always, rust::build),
    Step::new("rust", "unit, property and whole-system tests, on SQLite", Scope::affects_rust, rust::test),
    Step::new(
        "postgresql",
        "the issuer's tests that touch storage or routes, on PostgreSQL",
        |scope| scope.touches(&STORAGE),
        rust::postgresql,
    ),
    Step::new(
        "models",
        "the replay store under loom and shuttle",
        |scope| scope.touches(&["crates/verifier/src/replay/", "crates/verifier/src/replay.rs", "tests/models/"]),
        rust::models,
    ),
    Step::new(
        "fuzz",
        "random inputs for each fuzz target, 20 s (--full: ten minutes)",
        |scope| scope.touches(&FUZZED),
        |scope| fuzz::step(scope.full),
    ),
    Step::new(
        "kill",
        "the issuer killed at random moments on each database, 60 times (--full: 500)",
        |scope| scope.touches(&STORAGE),
        rust::kill,
    ),
    Step::new("doc-tests", "examples in the documentation", documented, rust::doc_tests),
    Step::new(
        "protocol-wasm",
        "the wire profile builds for WebAssembly",
        |scope| scope.affects("bmap-protocol"),
        protocol_wasm,
    ),
    Step::new(
        "package",
        "@bmap/auth is built and packed",
        |scope| scope.touches(&PACKAGE) || browsed(scope),
        |_| demo::build_package(),
    ),
    Step::new(
        "package-tests",
        "vectors and behaviour from TypeScript",
        |scope| scope.touches(&PACKAGE),
        |_| npm::test(),
    ),
    Step::new("deny", "licences, banned crates, lowest versions, sources", always, |_| deny::run()).beside(),
    Step::new("browser", "two origins, OpenID sign-in and vectors in Chromium; direct calls", browsed, browser),
    Step::new("smoke", "cargo xtask demo --smoke", browsed, |_| demo::smoke(None)),
    Step::new(
        "api",
        "the running issuer against its OpenAPI document",
        |scope| scope.touches(&["server/src/routes/", "server/src/http/", "server/src/router.rs", "tests/api/"]),
        api,
    ),
];

fn always(_: &Scope) -> bool {
    true
}

/// The crates, folders and documents that have examples which are compiled.
fn documented(scope: &Scope) -> bool {
    scope.touches(&["crates/", "server/src/http/", "README.md", "docs/tools.md"])
}

/// What the browser tests walk through, beyond the issuer's own tests.
fn browsed(scope: &Scope) -> bool {
    scope.touches(&[
        "npm/",
        "sdk-wasm/",
        "crates/protocol/",
        "crates/verifier/",
        "examples/",
        "tests/e2e/",
        "tests/openid/",
        "server/src/http/layers/cors.rs",
    ])
}

fn fmt(_: &Scope) -> Result<(), Box<dyn Error>> {
    Program::new("cargo fmt --all --check").run()
}

fn protocol_wasm(_: &Scope) -> Result<(), Box<dyn Error>> {
    Program::new("cargo check --locked -p bmap-protocol --all-features --target wasm32-unknown-unknown").run()
}

fn browser(_: &Scope) -> Result<(), Box<dyn Error>> {
    wasm::run(&["vectors".to_owned()])?; // the known answers run in Chromium too
    Program::new("npm test").within("tests/e2e").env("BMAP_CHROMIUM", setup::browser()?).run()
}

fn api(scope: &Scope) -> Result<(), Box<dyn Error>> {
    let calls = Program::new(&format!("{}/bin/python tests/api/run.py", setup::PYTHON));
    let router = fs::read_to_string(root().join("server/src/router.rs"))?;
    let Some(paths) = scope.paths_of_routes(&router) else { return calls.run() };
    let paths = paths.into_iter().collect::<Vec<_>>().join("|");
    calls.arg("--include-path-regex").arg(format!("^({paths})")).run()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::changed::Changes;

    #[test]
    fn without_changes_named_every_step_runs_and_with_none_only_the_cheap_ones() {
        let nothing = Scope::of_changes(Changes::default());
        let wanted: Vec<_> = STEPS.iter().filter(|step| (step.wanted)(&nothing)).map(|step| step.name).collect();
        assert_eq!(wanted, ["setup", "build", "deny"]);
        let everything = Scope::of(&Default::default()).unwrap();
        let unwanted: Vec<_> = STEPS.iter().filter(|step| !(step.wanted)(&everything)).map(|step| step.name).collect();
        assert_eq!(unwanted, [""; 0]);
    }
}
