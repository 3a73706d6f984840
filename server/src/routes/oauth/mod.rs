//! `/oauth/…`

pub mod token;

mod form;
