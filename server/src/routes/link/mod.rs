//! `/link/…`: for verifiers of tools (profile §13).

pub(crate) mod applied;
pub(crate) mod feed;
pub(crate) mod state;
