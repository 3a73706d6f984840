//! The steps of `cargo xtask test`, in the order in which a fault is cheapest to find, and which changes each is for.

use std::error::Error;

use super::scope::Scope;
use super::{deny, rust};
use crate::shell::Program;
use crate::{demo, layers, npm, setup, wasm};

/// One step.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// Whether a change can break it; true for a run of everything.
    pub(super) wanted: fn(&Scope) -> bool,
    pub(super) run: fn(&Scope) -> Result<(), Box<dyn Error>>,
}

/// What the npm package is made of, and its tests.
const PACKAGE: [&str; 5] = ["npm/", "sdk-wasm/", "protocol/", "vectors/", "tests/vectors-wasm/"];
/// What a page sees of the issuer's storage and of the way there.
const STORAGE: [&str; 4] = ["server/src/store/", "server/migrations/", "server/tests/faults/", "server/build.rs"];

pub(super) const STEPS: &[Step] = &[
    Step { name: "setup", what: "wasm target, npm packages, browser", wanted: always, run: |_| setup::all() },
    Step { name: "fmt", what: "cargo fmt --check", wanted: Scope::affects_rust, run: fmt },
    Step { name: "layers", what: "which floor may see which", wanted: Scope::affects_rust, run: |_| layers::run(&[]) },
    Step {
        name: "build",
        what: "everything that the next steps run, with lints, warnings denied",
        wanted: always,
        run: rust::build,
    },
    Step {
        name: "rust",
        what: "unit, property and whole-system tests, on SQLite",
        wanted: Scope::affects_rust,
        run: rust::test,
    },
    Step {
        name: "postgresql",
        what: "the issuer's tests that touch storage or routes, on PostgreSQL",
        wanted: |scope| scope.touches(&STORAGE),
        run: rust::postgresql,
    },
    Step {
        name: "models",
        what: "the replay store under loom and shuttle",
        wanted: |scope| scope.touches(&["verifier/src/replay/", "verifier/src/replay.rs", "tests/models/"]),
        run: rust::models,
    },
    Step {
        name: "kill",
        what: "the issuer killed at random moments on each database, 60 times (--full: 500)",
        wanted: |scope| scope.touches(&STORAGE),
        run: rust::kill,
    },
    Step { name: "doc-tests", what: "examples in the documentation", wanted: documented, run: rust::doc_tests },
    Step {
        name: "protocol-wasm",
        what: "the wire profile builds for WebAssembly",
        wanted: |scope| scope.affects("bmap-protocol"),
        run: protocol_wasm,
    },
    Step {
        name: "package",
        what: "@bmap/auth is built and packed",
        wanted: |scope| scope.touches(&PACKAGE) || browsed(scope),
        run: |_| demo::build_package(),
    },
    Step {
        name: "package-tests",
        what: "vectors and behaviour from TypeScript",
        wanted: |scope| scope.touches(&PACKAGE),
        run: |_| npm::test(),
    },
    Step {
        name: "browser",
        what: "two origins, OpenID sign-in and vectors in Chromium; direct calls",
        wanted: browsed,
        run: browser,
    },
    Step { name: "smoke", what: "cargo xtask demo --smoke", wanted: browsed, run: |_| demo::smoke(None) },
    Step {
        name: "api",
        what: "the running issuer against its OpenAPI document",
        wanted: |scope| {
            scope.touches(&["server/src/routes/", "server/src/openapi/", "server/src/router.rs", "tests/api/"])
        },
        run: api,
    },
    Step {
        name: "deny",
        what: "licences, banned crates, lowest versions, sources",
        wanted: always,
        run: |_| deny::run(),
    },
];

fn always(_: &Scope) -> bool {
    true
}

/// The crates that have examples in their documentation.
fn documented(scope: &Scope) -> bool {
    scope.affects("bmap-protocol") || scope.affects("bmap-verifier")
}

/// What the browser tests walk through, beyond the issuer's own tests.
fn browsed(scope: &Scope) -> bool {
    scope.touches(&[
        "npm/",
        "sdk-wasm/",
        "protocol/",
        "verifier/",
        "examples/",
        "tests/e2e/",
        "tests/openid/",
        "server/src/cors.rs",
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

fn api(_: &Scope) -> Result<(), Box<dyn Error>> {
    Program::new(&format!("{}/bin/python tests/api/run.py", setup::PYTHON)).run()
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
        assert!(STEPS.iter().all(|step| (step.wanted)(&everything)));
    }
}
