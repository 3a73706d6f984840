//! `cargo xtask …`: everything that is done to this tree, by one command each.
//!
//! A subcommand is a file with `run(args)`; what they share (starting programs, the root folder) is in [`shell`]. This crate depends on
//! none of the floors that it builds and checks.

mod bench;
mod clock;
mod demo;
mod fuzz;
mod layers;
mod mutants;
mod node_modules;
mod npm;
mod setup;
mod shell;
mod test;
mod tool;
mod wasm;

use std::error::Error;
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <command>

  setup     get what the other commands need: wasm target, npm packages, browser
  demo      build everything, start issuer, tool and page on loopback, print the address, stay until Ctrl-C
              --smoke             drive the page in headless Chromium instead, exit 0 or 1
              --screenshot FILE   where --smoke puts its picture (default target/demo.png)
  test      everything that CI runs, with a table of times at the end
              --list              print the steps
              --only STEP         run this step (may be given more than once)
              --again             also the steps that passed with the tree as it is
              --changed           only what the uncommitted changes can break
              --since COMMIT      with --changed: what was committed after COMMIT too
              --full              every long matrix too
  wasm      build the WebAssembly modules into npm/src/wasm (names of modules: only these)
  npm       build, pack and check the package @bmap/auth
              --test              run its tests too, on what was packed
  layers    check which floor may see which, and what none may contain
  mutants   change the code of protocol and verifier a line at a time, and name the changes that no test sees
              --file FILE         only in these files (may be given more than once)
              --list              print the changes
              --again             forget what former runs found
  fuzz      run the fuzz targets, 20 s each (names of targets: only these)
              --seconds N         for so long each
  bench     run the measurements: native, then in Chromium
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let args: Vec<String> = args.collect();
    match dispatch(&command, &args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {command}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: &str, args: &[String]) -> Result<(), Box<dyn Error>> {
    match command {
        "setup" => setup::run(args),
        "demo" => demo::run(args),
        "test" => test::run(args),
        "layers" => layers::run(args),
        "fuzz" => fuzz::run(args),
        "mutants" => mutants::run(args),
        "bench" => bench::run(args),
        "wasm" => wasm::run(args),
        "npm" => npm::run(args),
        "" | "help" | "-h" | "--help" => {
            print!("{HELP}");
            Ok(())
        }
        unknown => Err(format!("no such command: {unknown:?}\n\n{HELP}").into()),
    }
}
