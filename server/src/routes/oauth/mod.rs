//! `/oauth/…`

pub(crate) mod introspect;
pub(crate) mod revoke;
pub(crate) mod token;

mod form;
