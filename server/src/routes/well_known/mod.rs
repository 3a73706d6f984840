//! `/.well-known/…`

pub(crate) mod jwks;
pub(crate) mod oauth_authorization_server;
