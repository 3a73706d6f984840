//! The routes. A file mirrors its URL; `router.rs` lists them all.

pub mod api_keys;
pub mod audit;
pub mod auth;
#[cfg(feature = "docs-ui")]
pub mod docs;
pub mod health;
pub mod invitations;
pub mod oauth;
pub mod openapi;
pub mod tickets;
pub mod tools;
pub mod users;
pub mod well_known;

pub mod bearer;
pub mod body;
pub mod challenge;
pub mod credentials;
pub mod once;
pub mod problem;
pub mod step_up;
