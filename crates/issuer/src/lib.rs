//! The use cases of the issuer: sign-in, API keys, tools, tickets, tokens, the audit log, mail, and sign-in with OpenID providers. Every
//! decision is here; SQL is in [`store`](bmap_store), types are in [`model`](bmap_model).
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

pub mod body_limit;
pub mod issuer;
pub mod mint;
pub mod self_test;
pub mod token_signer;

pub mod authenticate;
mod entitled;
mod field_hint;
pub mod grant;
pub mod grant_for_user;
pub mod nonces;
pub mod own_tools;
pub mod signed;
pub mod token;
pub mod tools;
pub mod users;

pub mod account;
pub mod keys;
pub mod limits;
pub mod link;
pub mod mail;
pub mod metrics;
pub mod openid;
pub mod request_limits;

pub mod audit;
pub mod clean_up;
pub mod grant_upgrade;

pub mod error;
pub mod reseal;
pub mod root_check;

/// Installs the process-wide cryptography of the JWT library and of TLS: aws-lc-rs for both. A second call changes
/// nothing.
pub fn install_crypto_providers() {
    // An error says that there is one already, which the self-test at the start then has to like.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
