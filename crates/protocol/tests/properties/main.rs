//! Properties over generated inputs: hostile bytes are refused with a code, both ends agree, and what is read is what was written.
//!
//! The inputs are new in each run; a failure prints the smallest one that it found.
#![cfg(all(feature = "check", feature = "ed25519", feature = "seal"))]

mod canonical;
mod dictionaries;
mod hostile;
mod names;
mod sealing;
mod signed;
mod tokens;

use proptest::test_runner::Config;

/// So many cases that a debug run of all properties takes seconds, and no files beside the sources.
fn cases(number: u32) -> Config {
    Config { cases: number, failure_persistence: None, ..Config::default() }
}
