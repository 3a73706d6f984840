//! `/.well-known/…`

pub mod jwks;
pub mod oauth_authorization_server;
