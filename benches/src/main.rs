//! `bmap-bench`: measures, and prints. Nothing here asserts a time.
//!
//! Rounds of all variants are interleaved in one run on the same inputs, so that a busy machine slows all of them alike;
//! what counts is the ratio of two rows of one table.

mod decision;
mod floor;
mod inputs;
mod layer;
mod replay;
mod signing;
mod stats;
mod today;

fn main() {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let rounds = if quick { 20 } else { 200 };
    decision::run(rounds);
    signing::run(rounds);
    replay::run();
    layer::run(if quick { 6 } else { 40 });
}
