//! What the store's threads share: the standard library's, or that of the tool that tries the orders.

#[cfg(feature = "loom")]
mod chosen {
    pub(crate) use loom::sync::atomic::{AtomicI64, Ordering};
    pub(crate) use loom::sync::{Mutex, MutexGuard};
}

#[cfg(all(feature = "shuttle", not(feature = "loom")))]
mod chosen {
    pub(crate) use shuttle::sync::atomic::{AtomicI64, Ordering};
    pub(crate) use shuttle::sync::{Mutex, MutexGuard};
}

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod chosen {
    pub(crate) use std::sync::atomic::{AtomicI64, Ordering};
    pub(crate) use std::sync::{Mutex, MutexGuard};
}

pub(crate) use chosen::*;
pub(crate) use std::sync::PoisonError;
