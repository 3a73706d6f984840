//! `cargo xtask test`: everything that CI runs, cheapest faults first, with a table of times at the end.
//!
//! | file | is |
//! |---|---|
//! | [`options`] | the command line |
//! | [`scope`] | what a run covers: everything, more than everything, or what a change can break |
//! | [`changed`] | changed files, and the crates that stand on them |
//! | [`steps`] | the steps, in order |
//! | [`rust`] | build with lints, tests, the second database, killed processes |
//! | [`passed`] | verdicts that still hold |
//! | [`deny`] | licences and banned crates |
//!
//! Dependencies are compiled once: the lints run in the build that the tests use (`RUSTC_WORKSPACE_WRAPPER`, see
//! [`crate::shell::Program::cargo`]), and every native step names the same packages, so that all get one set of features.

mod changed;
mod deny;
mod options;
mod passed;
mod rust;
mod scope;
mod steps;

use std::error::Error;
use std::time::Duration;

use crate::clock;
use options::Options;
use passed::Passed;
use scope::Scope;
use steps::{STEPS, Step};

pub(crate) fn run(args: &[String]) -> Result<(), Box<dyn Error>> {
    let options = Options::parse(args)?;
    let steps = chosen(&options)?;
    if options.list {
        for step in steps {
            println!("{:<14} {}", step.name, step.what);
        }
        return Ok(());
    }
    let scope = Scope::of(&options)?;
    let is_kept = !options.again && !scope.full && std::env::var_os("CI").is_none();
    let passed = Passed::of_tree(is_kept)?;
    let mut rows: Vec<Row> = Vec::new();
    let mut failure = None;
    for step in steps {
        // The first failure ends the run, because later steps build on it. The table names all steps nevertheless.
        if failure.is_some() {
            rows.push(Row { name: step.name, verdict: "not run", took: None });
            continue;
        }
        if !(step.wanted)(&scope) {
            rows.push(Row { name: step.name, verdict: "no change", took: None });
            continue;
        }
        if step.name != "setup" && passed.knows(step.name) {
            rows.push(Row { name: step.name, verdict: "as before", took: None });
            continue;
        }
        eprintln!("\n━━ {}: {}", step.name, step.what);
        let (result, took) = clock::timed(|| (step.run)(&scope));
        // A part of a step says nothing about all of it.
        if result.is_ok() && scope.is_whole() {
            passed.keep(step.name)?;
        }
        rows.push(Row { name: step.name, verdict: if result.is_ok() { "ok" } else { "FAILED" }, took: Some(took) });
        failure = result.err().map(|fault| format!("{}: {fault}", step.name));
    }
    eprintln!("\n{}{}", table(&rows), scope.left_out());
    failure.map_or(Ok(()), |fault| Err(fault.into()))
}

fn chosen(options: &Options) -> Result<Vec<&'static Step>, String> {
    if options.only.is_empty() {
        return Ok(STEPS.iter().collect());
    }
    let find = |name: &String| {
        STEPS.iter().find(|step| step.name == name).ok_or_else(|| format!("no step {name:?}; --list prints them"))
    };
    options.only.iter().map(find).collect()
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
        text.push_str(&format!("{:<14} {:<9} {took:>10}\n", row.name, row.verdict));
    }
    let minutes = total.as_secs_f64() / 60.0;
    text.push_str(&format!(
        "{:<14} {:<9} {:>10}   ({minutes:.1} min)\n",
        "total",
        "",
        format!("{:.1} s", total.as_secs_f64())
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(args: &[&str]) -> Result<Vec<&'static str>, String> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        Ok(chosen(&Options::parse(&args)?)?.iter().map(|step| step.name).collect())
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
            Row { name: "build", verdict: "FAILED", took: Some(Duration::from_secs(2)) },
            Row { name: "rust", verdict: "not run", took: None },
        ];
        let text = table(&rows);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["fmt", "ok", "1.2", "s"]);
        assert_eq!(lines[2], ["rust", "not", "run", "–"]);
        assert_eq!(lines[3][..3], ["total", "3.2", "s"]);
    }
}
