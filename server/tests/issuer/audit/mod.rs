//! The audit log: what is recorded, its chain, and the task that writes it.

mod chain;
pub(crate) mod recorded;
mod writer;
