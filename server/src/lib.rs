//! The issuer: accounts, API keys, tools, tickets and tokens.
//!
//! Modules in reading order: [`cli`] (what the binary does), [`config`], [`router`] (every route),
//! `routes` (the handlers), [`http`] (what every route needs, and the layers), [`issuer`] (every decision), [`store`] (all SQL), [`model`] (types).
//!
//! A decision about a signature is `bmap_verifier`'s; nothing in here makes one.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod cli;
pub mod config;

pub mod http;
pub mod router;
mod routes;

pub mod metrics;

pub use bmap_issuer::install_crypto_providers;
