//! Rows of the audit log.

pub(crate) mod filter;
pub(crate) mod log;
