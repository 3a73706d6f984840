//! Faults, with real processes: the issuer killed, its disk full or failing, its database gone, demoted or silent.
//!
//! `F…` in a test's name is a row of the threat list. How many rounds the kills take is in `KILL_ROUNDS`; `cargo xtask test` takes 500.

use bmap_test_kit::postgres;

mod away;
mod call;
mod chance;
mod client;
mod disk;
mod kill;
mod moved;
mod person;
mod proxy;
mod server;
mod tls;
