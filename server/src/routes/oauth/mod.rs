//! `/oauth/…`

pub mod token;
