//! `cargo xtask bench`: the measurements, native and in Chromium.

use std::error::Error;

use crate::demo;
use crate::setup;
use crate::shell::Program;
use crate::wasm;

pub(crate) fn run(args: &[String]) -> Result<(), Box<dyn Error>> {
    setup::all()?;
    demo::build_package()?;
    wasm::run(&["vectors".to_owned()])?; // the bare MAC, which the package does not export
    Program::new("cargo build --release --locked -p bmap-server").run()?; // the issuer is measured as a process
    let mut native = Program::new("cargo run --release --locked -p bmap-benches --");
    for arg in args {
        native = native.arg(arg);
    }
    native.run()?;
    Program::new("node benches/browser/run.mjs").env("BMAP_CHROMIUM", setup::browser()?).run()
}
