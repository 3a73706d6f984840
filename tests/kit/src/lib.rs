//! What tests of several crates stand on: folders and ports of their own, processes that end with their test, Redis and Valkey servers, and a
//! proxy that does wrong. No other crate of the house is used here, so every one of them can use it in its tests.
//!
//! Modules in reading order: [`folder`], [`port`], [`process`], [`redis`], [`proxy`].

pub mod folder;
pub mod port;
pub mod process;

pub mod proxy;
pub mod redis;
