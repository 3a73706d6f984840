//! The live link from outside: an issuer on loopback that follows a script, a network that fails, a tool that verifies.

mod actors;
mod issuer;
mod proxy;
mod serve;

mod bounds;
mod denials;
mod exchange;
mod feed;
mod staleness;
mod start;
