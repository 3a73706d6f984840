//! `cargo xtask fuzz`: the fuzz targets of `fuzz/`, each for a bounded time, with its coverage.
//!
//! The crates that are fuzzed forbid `unsafe`, so no sanitizer is asked for, and the toolchain of the project builds the targets.

use std::error::Error;
use std::fs;
use std::path::Path;

use crate::shell::{Program, root};
use crate::tool;

const VERSION: &str = "0.13.2";
const TARGETS: [&str; 6] = ["head", "token", "fields", "fast_paths", "seal", "capability"];
/// Seconds for each target where none are named.
const SECONDS: u32 = 20;

/// Seconds for each target in a run of the long matrices.
const SECONDS_IN_FULL: u32 = 600;

pub(crate) fn run(args: &[String]) -> Result<(), Box<dyn Error>> {
    fuzz(&Options::parse(args)?)
}

/// Every target, as a step of the tests: for a short time, or for a long one with the long matrices.
pub(crate) fn step(is_full: bool) -> Result<(), Box<dyn Error>> {
    let seconds = if is_full { SECONDS_IN_FULL } else { SECONDS };
    fuzz(&Options { seconds, targets: Vec::new() })
}

fn fuzz(options: &Options) -> Result<(), Box<dyn Error>> {
    if !Program::new("target/tools/bin/cargo-fuzz --version").succeeds() {
        tool::install("cargo-fuzz", VERSION)?;
    }
    // The first inputs, made of the known answers.
    Program::new("cargo run --locked --release --bin seeds").within("fuzz").run()?;
    let targets =
        if options.targets.is_empty() { TARGETS.map(str::to_owned).to_vec() } else { options.targets.clone() };
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", root().join("target/tools/bin").display());
    // Built before several of them run at the same time; by name, since `seeds` is no fuzz target.
    for target in &targets {
        cargo_fuzz("build --sanitizer none", &path).arg(target).run()?;
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    for at_once in targets.chunks(cores) {
        let found: Vec<Result<(), String>> = std::thread::scope(|threads| {
            let running: Vec<_> = at_once
                .iter()
                .map(|target| {
                    threads.spawn(|| run_one(target, options.seconds, &path).map_err(|fault| fault.to_string()))
                })
                .collect();
            running.into_iter().map(|run| run.join().expect("a run reports its failure and does not panic")).collect()
        });
        found.into_iter().collect::<Result<(), String>>()?;
    }
    Ok(())
}

fn run_one(target: &str, seconds: u32, path: &str) -> Result<(), Box<dyn Error>> {
    cargo_fuzz("run --sanitizer none", path)
        .arg(target)
        .args("-- -print_final_stats=1 -timeout=10 -rss_limit_mb=2048")
        .arg(format!("-max_total_time={seconds}"))
        .run()?;
    let inputs = count(&root().join("fuzz/corpus").join(target))?;
    eprintln!("fuzz: {target}: no finding in {seconds} s; {inputs} inputs that each reach something new");
    Ok(())
}

fn cargo_fuzz(arguments: &str, path: &str) -> Program {
    Program::new("cargo-fuzz fuzz").args(arguments).within("fuzz").env("PATH", path)
}

fn count(folder: &Path) -> Result<usize, Box<dyn Error>> {
    Ok(fs::read_dir(folder).map_err(|fault| format!("{}: {fault}", folder.display()))?.count())
}

#[derive(Debug, PartialEq, Eq)]
struct Options {
    seconds: u32,
    targets: Vec<String>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self, String> {
        let mut options = Self { seconds: SECONDS, targets: Vec::new() };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--seconds" => {
                    let seconds = args.next().and_then(|text| text.parse().ok()).filter(|seconds| *seconds > 0);
                    options.seconds = seconds.ok_or("--seconds: how many for each target?")?;
                }
                target if TARGETS.contains(&target) => options.targets.push(target.to_owned()),
                unknown => return Err(format!("{unknown}: --seconds N and {} are known", TARGETS.join(", "))),
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
        assert_eq!(parse(&[]).unwrap().seconds, SECONDS);
        assert_eq!(parse(&["--seconds", "5", "seal"]), Ok(Options { seconds: 5, targets: vec!["seal".to_owned()] }));
        for wrong in [&["--seconds"][..], &["--seconds", "0"], &["--seconds", "x"], &["heads"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn every_target_of_the_folder_is_run() {
        let mut files: Vec<String> = fs::read_dir(root().join("fuzz/fuzz_targets"))
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        files.sort();
        let mut targets = TARGETS.map(str::to_owned).to_vec();
        targets.sort();
        assert_eq!(files, targets);
    }
}
