//! `cargo xtask mutants`: cargo-mutants over the wire profile and the verifier. Each run changes one line at a time in a copy of the
//! tree, and asks whether a test turns red.
//!
//! A mutant that is left standing is listed in `.cargo/mutants.toml` with the reason why no test can see it. A run that was
//! interrupted goes on where it was: mutants that a test caught are not tried again until the line changes. `--again` begins anew.

use std::error::Error;
use std::fs;

use crate::shell::{Program, root};
use crate::tool;

const VERSION: &str = "27.1.0";
const PACKAGES: [&str; 2] = ["bmap-protocol", "bmap-verifier"];
/// The crates whose tests see the behaviour of the two: their own, and the known answers.
const TESTED_BY: [&str; 3] = ["bmap-protocol", "bmap-verifier", "bmap-vectors"];
/// Beside what cargo-mutants keeps in the folder: `mutants.out/missed.txt`, `caught.txt`, a log for each mutant.
const OUT: &str = "target/mutants";

pub(crate) fn run(args: &[String]) -> Result<(), Box<dyn Error>> {
    let options = Options::parse(args)?;
    if !Program::new("target/tools/bin/cargo-mutants --version").succeeds() {
        tool::install("cargo-mutants", VERSION)?;
    }
    if options.list {
        return command("--list").run();
    }
    if options.again && root().join(OUT).exists() {
        fs::remove_dir_all(root().join(OUT))?;
    }
    // First by the tests of the crate that is changed, which are built fastest. The mutants that they let stand are tried again by the
    // tests of those that use it.
    let mut missed = pass(&options, &[])?;
    if !missed.is_empty() {
        missed = pass(&options, &TESTED_BY)?;
    }
    if missed.is_empty() { Ok(()) } else { Err(format!("no test sees these changes:\n{missed}").into()) }
}

/// One run over the mutants that no earlier run caught; those that are still missed.
fn pass(options: &Options, tested_by: &[&str]) -> Result<String, Box<dyn Error>> {
    let mut mutants = command("--no-shuffle --iterate --output").arg(OUT);
    for file in &options.files {
        mutants = mutants.arg("--file").arg(file);
    }
    for package in tested_by {
        mutants = mutants.arg("--test-package").arg(package);
    }
    let ended = mutants.run();
    let missed = fs::read_to_string(root().join(OUT).join("mutants.out/missed.txt")).unwrap_or_default();
    // It ends with an error where something was missed, which is said here.
    if missed.is_empty() {
        ended?;
    }
    Ok(missed)
}

fn command(options: &str) -> Program {
    let command = Program::new("target/tools/bin/cargo-mutants mutants").args(options);
    let command = PACKAGES.iter().fold(command, |command, package| command.arg("--package").arg(package));
    // Generated inputs: fewer of them, since hundreds of mutants meet each.
    command.env("PROPTEST_CASES", "64")
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    list: bool,
    again: bool,
    files: Vec<String>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--list" => options.list = true,
                "--again" => options.again = true,
                "--file" => options.files.push(args.next().ok_or("--file: name a file")?.clone()),
                unknown => return Err(format!("{unknown}: --list, --again and --file FILE are known")),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() {
        let parse = |args: &[&str]| Options::parse(&args.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(parse(&[]), Ok(Options::default()));
        assert_eq!(parse(&["--file", "a.rs", "--file", "b.rs"]).unwrap().files, ["a.rs", "b.rs"]);
        assert!(parse(&["--list"]).unwrap().list && parse(&["--again"]).unwrap().again);
        for wrong in [&["--file"][..], &["verifier"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
