//! The routes. A file mirrors its URL; `router.rs` lists them all.

pub(crate) mod api_keys;
pub(crate) mod audit;
pub(crate) mod auth;
#[cfg(feature = "docs-ui")]
pub(crate) mod docs;
pub(crate) mod health;
pub(crate) mod invitations;
pub(crate) mod link;
pub(crate) mod oauth;
pub(crate) mod openapi;
pub(crate) mod tickets;
pub(crate) mod tools;
pub(crate) mod users;
pub(crate) mod well_known;
