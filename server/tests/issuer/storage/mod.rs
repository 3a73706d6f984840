//! The store by itself: what its functions keep, in which statements, and how a database of a former version becomes one of today.

pub(crate) mod accounts;
pub(crate) mod audit;
mod clean_up;
mod grant_upgrade;
pub(crate) mod mail;
mod migrate;
mod query_plans;
pub(crate) mod store;
mod used_nonces;
