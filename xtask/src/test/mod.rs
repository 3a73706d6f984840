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
    let (rows, took) = clock::timed(|| run_all(&steps, &scope, &passed));
    eprintln!("\n{}{}", table(&rows, took), scope.left_out());
    let failed = rows.iter().find_map(|row| Some(format!("{}: {}", row.name, row.fault.as_ref()?)));
    failed.map_or(Ok(()), |fault| Err(fault.into()))
}

/// Runs the steps in order. The first failure ends the run, because later steps build on it. The table names all steps nevertheless.
fn run_all(steps: &[&'static Step], scope: &Scope, passed: &Passed) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    std::thread::scope(|threads| {
        let mut beside = Vec::new();
        for step in steps {
            let without = if rows.iter().any(|row| row.fault.is_some()) {
                Some("not run")
            } else if !(step.wanted)(scope) {
                Some(if scope.is_whole() { "--full" } else { "no change" })
            } else if step.name != "setup" && passed.knows(step.name) {
                Some("as before")
            } else {
                None
            };
            if let Some(verdict) = without {
                rows.push(Row { name: step.name, verdict, took: None, fault: None });
                continue;
            }
            if step.is_beside {
                eprintln!("\n━━ {}, beside the next steps: {}", step.name, step.what);
                beside.push((rows.len(), threads.spawn(|| run_one(step, scope, passed))));
                rows.push(Row { name: step.name, verdict: "not run", took: None, fault: None });
            } else {
                eprintln!("\n━━ {}: {}", step.name, step.what);
                rows.push(run_one(step, scope, passed));
            }
        }
        for (at, running) in beside {
            rows[at] = running.join().expect("a step reports its failure and does not panic");
        }
    });
    rows
}

fn run_one(step: &Step, scope: &Scope, passed: &Passed) -> Row {
    let (result, took) = clock::timed(|| (step.run)(scope));
    // A part of a step says nothing about all of it.
    let kept = if result.is_ok() && scope.is_whole() { passed.keep(step.name) } else { Ok(()) };
    let result = result.and(kept).map_err(|fault| fault.to_string());
    let verdict = if result.is_ok() { "ok" } else { "FAILED" };
    Row { name: step.name, verdict, took: Some(took), fault: result.err() }
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
    fault: Option<String>,
}

/// The rows, and the time of all of them: less than their sum where some ran beside others.
fn table(rows: &[Row], total: Duration) -> String {
    let mut text = String::new();
    for row in rows {
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
            Row { name: "fmt", verdict: "ok", took: Some(Duration::from_millis(1250)), fault: None },
            Row { name: "build", verdict: "FAILED", took: Some(Duration::from_secs(2)), fault: Some("x".to_owned()) },
            Row { name: "rust", verdict: "not run", took: None, fault: None },
        ];
        let text = table(&rows, Duration::from_millis(3250));
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["fmt", "ok", "1.2", "s"]);
        assert_eq!(lines[2], ["rust", "not", "run", "–"]);
        assert_eq!(lines[3][..3], ["total", "3.2", "s"]);
    }
}
