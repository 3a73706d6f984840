//! What tests of several crates stand on: folders and ports of their own, processes that end with their test, PostgreSQL, Redis and Valkey servers,
//! a proxy that does wrong, and network namespaces. No other crate of the house is used here, so every one of them can use it in its tests.
//!
//! Modules in reading order: [`folder`], [`port`], [`process`], [`postgres`], [`redis`], [`proxy`], [`netns`].

pub mod folder;
pub mod port;
pub mod process;

pub mod netns;
pub mod postgres;
pub mod proxy;
pub mod redis;
