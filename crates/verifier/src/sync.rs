//! The lock and the atomic integer that the replay store's threads share: the standard library's.
//!
//! The store names them through this module alone. `tests/models` compiles the same source over loom's and shuttle's, which try every
//! order of the threads' steps, or many.

pub(crate) use std::sync::atomic::{AtomicI64, Ordering};
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};
