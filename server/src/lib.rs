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

pub mod issuer;
pub mod model;
pub mod store;

pub mod metrics;
pub mod outbound;

/// Installs the process-wide cryptography of the JWT library and of TLS: aws-lc-rs for both. A second call changes
/// nothing.
pub fn install_crypto_providers() {
    // An error says that there is one already, which the self-test at the start then has to like.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
