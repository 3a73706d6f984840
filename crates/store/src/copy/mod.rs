//! An installation copied from one database to another, SQLite or PostgreSQL in either place: `bmap migrate --from … --to …`.
//!
//! Reading order: `cell` and `tables` (what is copied), `seals` (what is asked of a row), `connection`, `source` (locked), `target`
//! (marked), `run`. Every process looks at the marks (`mark`).

mod cell;
mod connection;
pub(crate) mod mark;
mod run;
mod seals;
mod source;
mod tables;
mod target;
#[cfg(test)]
mod tests;

pub use run::{Copy, CopyError, IfBroken, Outcome, Step, copy};
pub use source::Source;
pub use target::Target;
