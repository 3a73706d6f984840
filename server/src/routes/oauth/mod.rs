//! `/oauth/…`

pub(crate) mod token;

mod form;
