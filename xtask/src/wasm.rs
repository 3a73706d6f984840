//! `cargo xtask wasm`: Rust → WebAssembly → `npm/src/wasm`.
//!
//! Four modules, each compiled, given its JavaScript half by wasm-bindgen, and made smaller by wasm-opt:
//!
//! | module | from | to |
//! |---|---|---|
//! | `sdk` | `bmap-sdk-wasm` | what every page loads |
//! | `direct` | the same with feature `direct` | loaded only where an API key is given |
//! | `inspect` | the same with feature `inspect` | loaded only by `@bmap/auth/inspect` |
//! | `vectors` | `bmap-vectors-wasm` | `target/vectors-wasm`, for tests |
//!
//! wasm-bindgen is linked as a library, so there is no tool of a second version to install, and wasm-opt comes from npm.

use crate::shell::{Program, root};
use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TARGET: &str = "wasm32-unknown-unknown";

/// One WebAssembly module to build.
struct Module {
    name: &'static str,
    package: &'static str,
    features: Option<&'static str>,
    out: &'static str,
}

const MODULES: [Module; 4] = [
    Module { name: "sdk", package: "bmap-sdk-wasm", features: None, out: "npm/src/wasm" },
    Module { name: "direct", package: "bmap-sdk-wasm", features: Some("direct"), out: "npm/src/wasm" },
    Module { name: "inspect", package: "bmap-sdk-wasm", features: Some("inspect"), out: "npm/src/wasm" },
    Module { name: "vectors", package: "bmap-vectors-wasm", features: None, out: "target/vectors-wasm" },
];

/// Builds every module, or those that are named in `args`.
///
/// # Errors
/// The first step that fails, with its name.
pub(crate) fn run(args: &[String]) -> Result<()> {
    if let Some(unknown) = args.iter().find(|arg| MODULES.iter().all(|module| module.name != arg.as_str())) {
        return Err(
            format!("cargo xtask wasm: no module named {unknown}; there are sdk, direct, inspect and vectors").into()
        );
    }
    let root = root();
    crate::node_modules::install(Path::new("npm"))?;
    one_getrandom()?;
    for module in MODULES.iter().filter(|module| args.is_empty() || args.iter().any(|arg| arg == module.name)) {
        build(&root, module)?;
    }
    Ok(())
}

/// getrandom 0.2 and 0.3 need other switches for the browser than 0.4, and fail there at run time: none may come in through
/// a dependency.
fn one_getrandom() -> Result<()> {
    let tree =
        Program::new("cargo tree --locked --package bmap-sdk-wasm --features inspect --edges normal --prefix none")
            .args("--format {p} --target")
            .arg(TARGET)
            .read()?;
    let mut found = tree.lines().filter(|line| line.starts_with("getrandom ")).peekable();
    if found.peek().is_none() {
        return Err("getrandom is not in the SDK's tree: has the check lost its subject?".into());
    }
    match found.find(|line| !line.starts_with("getrandom v0.4.")) {
        Some(other) => {
            Err(format!("the SDK's tree holds {other}; only getrandom 0.4 works in the browser here").into())
        }
        None => Ok(()),
    }
}

fn build(root: &Path, module: &Module) -> Result<()> {
    println!("wasm: {}", module.name);
    let compiled = compile(root, module)?;
    let work = root.join("target/xtask-wasm").join(module.name);
    fs::create_dir_all(&work)?;
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    bindgen
        .input_path(&compiled)
        .web(true)
        .map_err(|error| error.to_string())?
        .omit_default_module_path(true) // no `new URL(…)`, which bundlers and tight policies trip over: our loader has the bytes
        .typescript(true)
        .keep_debug(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .out_name(module.name);
    bindgen.generate(&work).map_err(|error| format!("wasm-bindgen: {error:?}"))?;

    let out = root.join(module.out);
    fs::create_dir_all(&out)?;
    let name = module.name;
    let bound = work.join(format!("{name}_bg.wasm"));
    let small = out.join(format!("{name}.wasm"));
    Program::new("npm/node_modules/.bin/wasm-opt -Oz").arg(&bound).arg("-o").arg(&small).run()?;

    let glue = fs::read_to_string(work.join(format!("{name}.js")))?;
    let types = fs::read_to_string(work.join(format!("{name}.d.ts")))?;
    fs::write(out.join(format!("{name}-glue.js")), as_factory(&glue)?)?;
    fs::write(out.join(format!("{name}-glue.d.ts")), factory_types(&types))?;
    let bytes = fs::read(&small)?;
    fs::write(out.join(format!("{name}-bytes.js")), format!("export default '{}';\n", hex(&bytes)))?;
    fs::write(out.join(format!("{name}-bytes.d.ts")), "declare const hex: string;\nexport default hex;\n")?;
    println!("wasm: {} is {} bytes", small.strip_prefix(root).unwrap_or(&small).display(), bytes.len());
    Ok(())
}

/// Compiles to a `.wasm` file without a path of this machine in it.
fn compile(root: &Path, module: &Module) -> Result<PathBuf> {
    let home = env::var_os("CARGO_HOME").map_or_else(
        || {
            Ok::<_, Box<dyn Error>>(
                PathBuf::from(env::var_os("HOME").ok_or("neither CARGO_HOME nor HOME is set")?).join(".cargo"),
            )
        },
        |home| Ok(PathBuf::from(home)),
    )?;
    // Each flag stands for itself, so that a folder with a blank in its name is no trouble.
    let flags = [
        format!("--remap-path-prefix={}=/cargo", home.join("registry/src").display()),
        format!("--remap-path-prefix={}=/src", root.display()),
        "-Ctarget-feature=+simd128".into(),
    ];
    let mut cargo =
        Program::new("cargo build --locked --profile wasm --target").arg(TARGET).arg("--package").arg(module.package);
    if let Some(features) = module.features {
        cargo = cargo.arg("--features").arg(features);
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}")).run()?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join(TARGET).join("wasm").join(format!("{}.wasm", module.package.replace('-', "_"))))
}

/// Wraps wasm-bindgen's module into a function that makes a fresh copy of it.
///
/// wasm-bindgen's JavaScript keeps its instance, and views on that instance's memory, in variables of the module: one instance
/// for ever. After a trap the instance can't be trusted any more, and its successor must not share those variables.
fn as_factory(glue: &str) -> Result<String> {
    const LAST: &str = "export { initSync, __wbg_init as default };";
    let body = glue
        .strip_suffix('\n')
        .unwrap_or(glue)
        .strip_suffix(LAST)
        .ok_or("wasm-bindgen's module does not end as it used to")?;
    let mut names = Vec::new();
    let mut inner = String::with_capacity(glue.len());
    for line in body.lines() {
        let Some(item) = line.strip_prefix("export ") else {
            inner.extend([line, "\n"]);
            continue;
        };
        let name = item.strip_prefix("class ").or_else(|| item.strip_prefix("function "));
        let name = name
            .and_then(|rest| rest.split(['(', ' ', '{']).next())
            .ok_or_else(|| format!("wasm-bindgen exports {line:?}"))?;
        names.push(name);
        inner.extend([item, "\n"]);
    }
    // Its own loader is not ours: without it neither `fetch` nor a synchronous compile is left in the file.
    let start = inner.find("async function __wbg_load(").ok_or("wasm-bindgen's loader is not where it used to be")?;
    inner.truncate(start);
    if inner.contains("import.meta")
        || inner.contains("new URL(")
        || inner.lines().any(|line| line.starts_with("import "))
    {
        return Err("wasm-bindgen's module reaches for files".into());
    }
    names.push("imports: __wbg_get_imports");
    names.push("finish: __wbg_finalize_init");
    Ok(format!("export function glue() {{\n{inner}\nreturn {{ {} }};\n}}\n", names.join(", ")))
}

/// The types of [`as_factory`]'s result, from wasm-bindgen's own.
fn factory_types(types: &str) -> String {
    let body = types.split("export type InitInput").next().unwrap_or(types);
    let names: BTreeSet<&str> = body
        .lines()
        .filter_map(|line| {
            let item = line.strip_prefix("export ")?;
            let name = item.strip_prefix("class ").or_else(|| item.strip_prefix("function "))?;
            name.split(['(', ' ', '{']).next()
        })
        .collect();
    let members: String = names.iter().map(|name| format!("  {name}: typeof {name};\n")).collect();
    format!(
        "{body}\nexport interface Glue {{\n{members}  imports(): WebAssembly.Imports;\n  finish(instance: WebAssembly.Instance, module: WebAssembly.Module): unknown;\n}}\nexport function glue(): Glue;\n"
    )
}

/// The bytes as text for a JavaScript chunk. Hexadecimal and not base64: a compressor finds the module's bytes again in it, and in
/// base64 it does not. Brotli makes of 37 kB of WebAssembly 13.4 kB, of its hexadecimal 14.5 kB, of its base64 18.8 kB.
fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(if value < 10 { b'0' + value } else { b'a' + value - 10 });
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_two_digits_a_byte() {
        assert_eq!(hex(&[0x00, 0x61, 0x73, 0x6d, 0xff]), "0061736dff");
    }

    #[test]
    fn the_glue_becomes_a_function_without_its_loader() {
        let glue = "export class Signer {\n}\nexport function contentDigest(b) {\n}\nfunction __wbg_get_imports() {\n}\nasync function __wbg_load(m) { fetch(m) }\nexport { initSync, __wbg_init as default };\n";
        let made = as_factory(glue).unwrap();
        assert!(
            made.contains("return { Signer, contentDigest, imports: __wbg_get_imports, finish: __wbg_finalize_init };"),
            "{made}"
        );
        assert!(!made.contains("fetch") && made.matches("export ").count() == 1, "{made}");
        assert!(as_factory("something else").is_err());
    }
}
