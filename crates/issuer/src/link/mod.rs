//! The live link (profile §13): verifiers of tools learn what was revoked and changed, within a second.
//!
//! Modules in reading order: [`caller`] (which verifier asks), [`state`] (all that holds), [`hub`] (the changes of the database, read once for
//! all feeds), [`feed`] (those of one verifier), [`applied`] (waiting until a change is in force everywhere).

pub mod applied;
pub mod caller;
pub mod feed;
pub mod hub;
pub mod state;
