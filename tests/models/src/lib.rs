//! Machine checks of one promise: each (keyid, nonce) is accepted once (profile §5, T7).
//!
//! | check | what is real | what is tried |
//! |---|---|---|
//! | `tests/promise.rs` | nothing: [`promise`] is a model of verifiers, stores, clocks and restarts | every order of events within bounds (stateright) |
//! | `tests/loom.rs` | the store's source, one shard, two threads | every order of their steps with at most three preemptions (loom) |
//! | `tests/shuttle.rs` | the store's source, 16 shards, three threads | 100,000 random orders of their steps (shuttle) |
//! | `tests/histories.rs` | the store's source, one thread | random histories beside a map (proptest) |
//!
//! Each runs on the former design too, which [`former`] keeps a small copy of, and has to find its double acceptance there.

pub mod former;
pub mod promise;
pub mod store;

mod sync;
