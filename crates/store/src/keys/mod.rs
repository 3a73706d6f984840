//! Rows of API keys, of what is made with them, and of the issuer's own keys.

pub(crate) mod api_keys;
pub(crate) mod idempotent_answers;
pub(crate) mod issuer_keys;
pub(crate) mod key_row;
pub(crate) mod managed_keys;
pub(crate) mod sessions;
pub(crate) mod tickets;
