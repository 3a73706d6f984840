//! The issuer: accounts, API keys, tools, tickets and tokens.
//!
//! Modules in reading order: [`cli`] (what the binary does), [`config`], [`router`] (every route),
//! [`middleware`] (every layer), [`routes`], [`domain`] (every decision), [`mail`], [`store`] (all SQL).
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

pub mod beneath;
pub mod bodies;
pub mod cors;
pub mod host;
pub mod middleware;
pub mod openapi;
pub mod rate_limit;
pub mod router;
pub mod routes;

pub mod domain;
pub mod mail;
pub mod store;

pub mod clock;
pub mod metrics;
pub mod outbound;
pub mod rng;
pub mod trace_id;
pub mod unbelieved;
pub mod utc;

mod certificate;

/// Installs the process-wide cryptography of the JWT library and of TLS: aws-lc-rs for both. A second call changes
/// nothing.
pub fn install_crypto_providers() {
    // An error says that there is one already, which the self-test at the start then has to like.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
