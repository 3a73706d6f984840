//! Faults, with real processes: the issuer killed, its disk full or failing, its database gone, demoted or silent.
//!
//! `F…` in a test's name is a row of the threat list. How many rounds the kills take is in `KILL_ROUNDS`; `cargo xtask test` takes 500.

#[path = "../issuer/kit/postgres.rs"]
#[expect(dead_code, reason = "the issuer's tests use the rest of it")]
mod postgres;

mod away;
mod call;
mod chance;
mod client;
mod cluster;
mod disk;
mod kill;
mod person;
mod proxy;
mod server;
mod tls;
