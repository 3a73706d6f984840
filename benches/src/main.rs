//! `bmap-bench`: measures, and prints. Nothing here asserts a time.
//!
//! Rounds of all variants are interleaved in one run on the same inputs, so that a busy machine slows all of them alike;
//! what counts is the ratio of two rows of one table, and the shorter the rounds are, that of each round.

mod decision;
mod floor;
mod inputs;
mod issuer;
mod issuer_process;
mod layer;
mod replay;
mod revocation;
mod signing;
mod stats;
mod today;

fn main() {
    let only = std::env::args().find_map(|arg| arg.strip_prefix("--only=").map(str::to_owned));
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let quick = std::env::args().any(|arg| arg == "--quick");
    let rounds = if quick { 20 } else { 200 };
    let machine = stats::MachineTime::now();
    if only.as_deref() == Some("profile") {
        decision::profile();
    }
    if wanted("decision") {
        decision::run(rounds);
    }
    if wanted("signing") {
        signing::run(rounds);
    }
    if wanted("replay") {
        replay::run();
    }
    if wanted("issuer") {
        issuer::run(quick);
    }
    if wanted("revocation") {
        revocation::run(quick);
    }
    if wanted("layer") {
        layer::run(if quick { 160 } else { 1280 });
    }
    if let Some(machine) = machine {
        machine.print_stolen();
    }
}
