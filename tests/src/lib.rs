//! Whole-system tests: the issuer and a tool as real processes, callers over real sockets.
//!
//! Modules in reading order: [`stack`] is the place where a story happens, and [`fleet`] where one needs several machines; [`program`] starts and ends its processes; [`wire`] is
//! HTTP down to the byte; [`caller`] has a token and signs; [`oracle`] is an independent implementation.

pub mod stack;

pub mod fleet;

pub mod caller;
pub mod oracle;
pub mod program;
pub mod wire;

pub mod clock;
