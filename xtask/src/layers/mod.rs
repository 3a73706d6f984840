//! `cargo xtask layers`: the arrows of the house, checked.
//!
//! Seven kinds of rule: which crate of the house may see which ([`arrows`], from `cargo metadata`), which foreign crates must not be in
//! a floor's tree ([`strangers`], from `cargo tree`, which resolves features per package), which feature for tests must not get
//! into a build ([`test_features`]), what a floor's source must not say ([`sources`]), which folder must not import from which ([`FOLDERS`]), that no files
//! import each other in a circle ([`circles`]), and that the types which a library's documentation begins with have an example ([`examples`]).

mod circles;
mod first_page;
mod rust_imports;
mod rust_modules;
mod sources;
mod test_features;
mod typescript_imports;

use std::collections::BTreeSet;
use std::error::Error;
use std::path::PathBuf;

use serde_json::Value;

use crate::shell::{Program, root};

/// Which crate may see which in a build. A crate of the house that is not listed here is a fault: its author decides its
/// place.
const ARROWS: &[(&str, &[&str])] = &[
    ("bmap-protocol", &[]),
    ("bmap-listener", &[]),
    ("bmap-outbound", &[]),
    ("bmap-verifier", &["bmap-protocol"]),
    ("bmap-issuer-link", &["bmap-outbound", "bmap-protocol", "bmap-verifier"]),
    ("bmap-replay-redis", &["bmap-protocol", "bmap-verifier"]),
    ("bmap-model", &["bmap-protocol"]),
    // Why a database server's certificate does not hold is `outbound`'s to say, as for every server that we connect to.
    ("bmap-store", &["bmap-model", "bmap-outbound", "bmap-protocol"]),
    ("bmap-issuer", &["bmap-model", "bmap-outbound", "bmap-protocol", "bmap-store", "bmap-verifier"]),
    ("bmap-server", LIBRARIES),
    ("bmap-sdk-wasm", &["bmap-protocol"]),
    ("xtask", &[]),
    // These may see everything that is a floor; nothing imports them.
    ("bmap-vectors", FLOORS),
    ("bmap-vectors-wasm", OUTSIDE),
    ("bmap-tests", OUTSIDE),
    ("bmap-models", FLOORS),
    // Every crate's tests may stand on it, so it stands on none.
    ("bmap-test-kit", &[]),
    ("bmap-benches", OUTSIDE),
    ("places-tool", FLOORS),
];
const LIBRARIES: &[&str] =
    &["bmap-issuer", "bmap-listener", "bmap-model", "bmap-outbound", "bmap-protocol", "bmap-store", "bmap-verifier"];
const FLOORS: &[&str] = &[
    "bmap-issuer",
    "bmap-issuer-link",
    "bmap-listener",
    "bmap-model",
    "bmap-outbound",
    "bmap-protocol",
    "bmap-replay-redis",
    "bmap-sdk-wasm",
    "bmap-server",
    "bmap-store",
    "bmap-verifier",
];
const OUTSIDE: &[&str] = &[
    "bmap-issuer",
    "bmap-issuer-link",
    "bmap-listener",
    "bmap-model",
    "bmap-outbound",
    "bmap-protocol",
    "bmap-replay-redis",
    "bmap-sdk-wasm",
    "bmap-server",
    "bmap-store",
    "bmap-test-kit",
    "bmap-vectors",
    "bmap-verifier",
    "places-tool",
];
/// The crates that the tests of a floor may see beyond its arrows: the known answers, and what tests stand on.
const FOR_TESTS: [&str; 2] = ["bmap-test-kit", "bmap-vectors"];

/// One tree and the crates that must not be in it.
struct Ban {
    /// Arguments of `cargo tree`.
    tree: &'static str,
    crates: &'static [&'static str],
    why: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        tree: "-p bmap-protocol --all-features -e normal,build --target all",
        crates: &[
            "tokio",
            "async-std",
            "smol",
            "futures",
            "futures-util",
            "futures-executor",
            "mio",
            "hyper",
            "axum",
            "axum-core",
            "tower",
            "reqwest",
            "chrono",
            "jiff",
            "time",
            "web-time",
            "rand",
            "getrandom@0.2",
            "getrandom@0.3",
            "sqlx",
        ],
        why: "the wire profile has no I/O, clock, async or framework: they come in as arguments",
    },
    Ban {
        tree: "-p bmap-verifier --all-features -e normal,build --target all",
        crates: &["sqlx", "sqlx-core", "reqwest", "hyper", "hyper-util", "axum", "diesel", "rusqlite"],
        why: "a decision needs no database and no HTTP client; the extractor needs axum-core only",
    },
    Ban {
        tree: "-p bmap-issuer-link -e normal,build --target all",
        crates: &["sqlx", "sqlx-core", "axum", "bmap-model", "bmap-store", "bmap-issuer"],
        why: "a tool embeds it: it knows the issuer by the wire alone",
    },
    Ban {
        tree: "-p bmap-verifier --no-default-features -e normal,build --target all",
        crates: &["axum", "axum-core"],
        why: "axum is behind a feature",
    },
    Ban {
        tree: "-p bmap-replay-redis -e normal,build --target all",
        crates: &["sqlx", "reqwest", "hyper", "axum", "tower", "native-tls", "openssl"],
        why: "a store of nonces speaks one protocol, with one TLS",
    },
    Ban {
        tree: "-p bmap-model -e normal,build --target all",
        crates: &["sqlx", "sqlx-core", "tokio", "reqwest", "hyper", "axum", "tower"],
        why: "a type knows no storage and no HTTP",
    },
    Ban {
        tree: "-p bmap-issuer -e normal,build --target all",
        crates: &["axum", "axum-core", "clap", "toml", "metrics-exporter-prometheus"],
        why: "a use case knows neither the routes nor the command line nor the configuration",
    },
    Ban {
        tree: "-p bmap-sdk-wasm -e normal --target wasm32-unknown-unknown",
        crates: &["getrandom@0.2", "getrandom@0.3", "sfv", "tokio", "jsonwebtoken"],
        why: "getrandom 0.2 and 0.3 need switches that pages can't set; the rest has no place in what a page loads",
    },
    Ban {
        tree: "--workspace -e normal,build,dev --target all",
        crates: &["ring", "openssl", "openssl-sys", "native-tls", "rsa"],
        why: "one TLS and one set of primitives; rsa has an advisory without a patch (RUSTSEC-2023-0071)",
    },
];

/// Libraries whose first page of documentation has an example for each type.
const WITH_EXAMPLES: [&str; 5] =
    ["bmap-issuer-link", "bmap-listener", "bmap-protocol", "bmap-replay-redis", "bmap-verifier"];

/// Folders inside a crate: the first must not import from the second, and why.
const FOLDERS: &[(&str, &str, &str)] = &[
    ("server/src/config", "server/src/http", CONFIG),
    ("server/src/config", "server/src/routes", CONFIG),
    ("server/src/config", "server/src/cli", CONFIG),
    ("server/src/http", "server/src/routes", HTTP),
    ("server/src/http", "server/src/router.rs", HTTP),
    ("server/src/http", "server/src/cli", HTTP),
    ("server/src/routes", "server/src/router.rs", ROUTES),
    ("server/src/routes", "server/src/cli", ROUTES),
];
const CONFIG: &str = "what a process reads at its start knows no HTTP and no command";
const HTTP: &str = "what every route needs knows no route";
const ROUTES: &str = "a route does not know the list that it stands in";

pub(crate) fn run(_args: &[String]) -> Result<(), Box<dyn Error>> {
    let metadata = Program::new("cargo metadata --locked --no-deps --format-version 1").read()?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let mut faults = arrows(&metadata);
    report("arrows between the crates of the house", faults.len());
    let found = test_features::faults(&metadata);
    report("features for tests in dev-dependencies alone", found.len());
    faults.extend(found);
    for ban in BANS {
        let tree = Program::new("cargo tree --locked --prefix none --no-dedupe -f {p}").args(ban.tree).read()?;
        let found = strangers(&tree, ban);
        report(&format!("cargo tree {}: none of {}", ban.tree, ban.crates.join(", ")), found.len());
        faults.extend(found);
    }
    let found = sources::faults(&root())?;
    report("what the sources of a floor must not say", found.len());
    faults.extend(found);
    faults.extend(imports(&metadata)?);
    let found = examples(&metadata)?;
    report("an example for each type on the first page of the documentation", found.len());
    faults.extend(found);
    if faults.is_empty() { Ok(()) } else { Err(format!("{} faults\n  {}", faults.len(), faults.join("\n  ")).into()) }
}

/// Faults in the imports between files, of every crate of the house and of the npm package.
fn imports(metadata: &Value) -> Result<Vec<String>, Box<dyn Error>> {
    let (mut files, mut faults) = (0, Vec::new());
    let mut of_folders = Vec::new();
    let mut all = vec![typescript_imports::of_folder(&root().join("npm/src"))?];
    for crate_root in crate_roots(metadata) {
        all.push(rust_imports::of_crate(&crate_root)?);
    }
    for imports in &all {
        files += imports.files();
        faults.extend(imports.circles(&root()));
        for (importer, imported, why) in FOLDERS {
            let found = imports.between(&root().join(importer), &root().join(imported), &root());
            of_folders.extend(found.into_iter().map(|tie| format!("{tie}: {why}")));
        }
    }
    report(&format!("no circle among {files} files"), faults.len());
    report("imports between folders", of_folders.len());
    faults.extend(of_folders);
    Ok(faults)
}

/// Types on the first page of a library's documentation that have no example.
fn examples(metadata: &Value) -> Result<Vec<String>, Box<dyn Error>> {
    let packages = metadata.get("packages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut faults = Vec::new();
    for package in packages.iter().filter(|package| WITH_EXAMPLES.iter().any(|with| name(package) == Some(*with))) {
        let manifest = package.get("manifest_path").and_then(Value::as_str).unwrap_or_default();
        let page = first_page::of_library(&PathBuf::from(manifest).with_file_name("src/lib.rs"))?;
        let without = page.into_iter().filter(|(_, has_example)| !has_example);
        faults.extend(without.map(|(listed, _)| {
            format!(
                "{}: {listed} is on the first page of the documentation and has no example",
                name(package).unwrap_or_default()
            )
        }));
    }
    Ok(faults)
}

/// The root files of the libraries and binaries.
fn crate_roots(metadata: &Value) -> Vec<PathBuf> {
    let packages = metadata.get("packages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let targets = packages.iter().filter_map(|package| package.get("targets")?.as_array()).flatten();
    let is_built = |target: &&Value| {
        let kinds = target.get("kind").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        kinds.iter().filter_map(Value::as_str).any(|kind| matches!(kind, "lib" | "rlib" | "cdylib" | "bin"))
    };
    targets.filter(is_built).filter_map(|target| target.get("src_path")?.as_str().map(PathBuf::from)).collect()
}

fn report(rule: &str, faults: usize) {
    let verdict = if faults == 0 { "ok " } else { "RED" };
    println!("layers: {verdict} {rule}");
}

/// Dependencies between crates that are not among the arrows, from `cargo metadata --no-deps`.
fn arrows(metadata: &Value) -> Vec<String> {
    let packages = metadata.get("packages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let house: BTreeSet<&str> = packages.iter().filter_map(name).collect();
    let mut faults = Vec::new();
    for package in packages {
        let importer = name(package).unwrap_or_default();
        let Some((_, allowed)) = ARROWS.iter().find(|(listed, _)| *listed == importer) else {
            faults.push(format!("{importer} is not listed in xtask/src/layers/mod.rs: decide which floor it is"));
            continue;
        };
        let dependencies = package.get("dependencies").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for dependency in dependencies {
            let imported = name(dependency).unwrap_or_default();
            let for_tests = dependency.get("kind").and_then(Value::as_str) == Some("dev");
            // A crate's own tests may need a feature of it that a build has not.
            let of_tests = for_tests && (imported == importer || FOR_TESTS.contains(&imported) && importer != "xtask");
            if house.contains(imported) && !allowed.contains(&imported) && !of_tests {
                faults.push(format!("{importer} must not depend on {imported}"));
            }
        }
    }
    if packages.is_empty() {
        faults.push("cargo metadata listed no package".to_owned());
    }
    faults
}

fn name(value: &Value) -> Option<&str> {
    value.get("name").and_then(Value::as_str)
}

/// Banned crates in what `cargo tree -f {p}` printed: lines of `name vVERSION …`.
fn strangers(tree: &str, ban: &Ban) -> Vec<String> {
    let present: BTreeSet<(&str, &str)> = tree.lines().filter_map(|line| line.split_once(" v")).collect();
    let mut faults = Vec::new();
    for banned in ban.crates {
        let (crate_name, version) = banned.split_once('@').unwrap_or((banned, ""));
        let is_hit = |(found, found_version): &&(&str, &str)| {
            *found == crate_name && (version.is_empty() || found_version.starts_with(&format!("{version}.")))
        };
        if let Some((found, found_version)) = present.iter().find(is_hit) {
            faults.push(format!("cargo tree {}: {found} {found_version}: {}", ban.tree, ban.why));
        }
    }
    if present.is_empty() {
        faults.push(format!("cargo tree {} listed no package", ban.tree));
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Value {
        let dependencies: Vec<_> =
            dependencies.iter().map(|(name, kind)| json!({ "name": name, "kind": kind })).collect();
        json!({ "name": name, "dependencies": dependencies })
    }

    fn house(changed: Value) -> Vec<String> {
        let mut packages: Vec<_> = ARROWS.iter().map(|(name, _)| package(name, &[])).collect();
        let name = changed.get("name").cloned();
        packages.retain(|package| package.get("name") != name.as_ref());
        packages.push(changed);
        arrows(&json!({ "packages": packages }))
    }

    #[test]
    fn every_arrow_that_points_up_is_red() {
        for (importer, imported, kind) in [
            ("bmap-protocol", "bmap-verifier", None),
            ("bmap-protocol", "bmap-verifier", Some("dev")),
            ("bmap-protocol", "bmap-vectors", None),
            ("bmap-verifier", "bmap-server", None),
            ("bmap-verifier", "bmap-replay-redis", Some("dev")),
            ("bmap-replay-redis", "bmap-issuer", None),
            ("bmap-replay-redis", "bmap-test-kit", None),
            ("bmap-test-kit", "bmap-protocol", None),
            ("xtask", "bmap-test-kit", Some("dev")),
            ("bmap-verifier", "bmap-server", Some("build")),
            ("bmap-sdk-wasm", "bmap-verifier", None),
            ("bmap-server", "bmap-tests", Some("dev")),
            ("bmap-server", "bmap-sdk-wasm", None),
            ("xtask", "bmap-protocol", None),
            ("xtask", "bmap-vectors", Some("dev")),
            ("places-tool", "bmap-benches", None),
        ] {
            let faults = house(package(importer, &[("serde", None), (imported, kind)]));
            assert_eq!(faults, [format!("{importer} must not depend on {imported}")], "{kind:?}");
        }
    }

    #[test]
    fn the_arrows_of_the_house_are_green() {
        let allowed = [
            package("bmap-verifier", &[("bmap-protocol", None), ("bmap-vectors", Some("dev"))]),
            package("bmap-verifier", &[("bmap-verifier", Some("dev"))]),
            package("bmap-server", &[("bmap-protocol", None), ("bmap-verifier", None)]),
            package("bmap-replay-redis", &[("bmap-verifier", None), ("bmap-test-kit", Some("dev"))]),
            package("bmap-sdk-wasm", &[("bmap-protocol", None)]),
            package("bmap-tests", &[("bmap-server", None), ("places-tool", Some("dev"))]),
        ];
        for package in allowed {
            assert_eq!(house(package), [""; 0]);
        }
    }

    #[test]
    fn a_crate_that_nobody_placed_and_an_empty_answer_are_red() {
        assert!(house(package("bmap-new", &[])).iter().any(|fault| fault.contains("bmap-new")));
        assert_eq!(arrows(&json!({})).len(), 1);
    }

    #[test]
    fn strangers_are_found_by_name_and_by_version() {
        let ban = Ban { tree: "-p x", crates: &["tokio", "getrandom@0.3"], why: "no" };
        let found = |tree| strangers(tree, &ban).len();
        assert_eq!(found("x v0.1.0 (/x)\nserde v1.0.1\n"), 0);
        assert_eq!(found("x v0.1.0\ntokio v1.54.1\n"), 1);
        assert_eq!(found("x v0.1.0\ntokio-util v0.7.1\n"), 0);
        assert_eq!(found("x v0.1.0\ngetrandom v0.3.4\ntokio v1.0.0"), 2);
        assert_eq!(found("x v0.1.0\ngetrandom v0.4.3\ngetrandom v0.31.0\n"), 0);
        assert_eq!(found(""), 1, "an empty tree proves nothing");
    }
}
