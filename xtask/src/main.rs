//! cargo xtask: setup, demo, test, wasm, npm, bench, layers.

fn main() {}
