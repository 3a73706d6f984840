//! Rows as they lie in the database: sealed, edited by hand, of a former spelling, under a new root.

mod dump;
mod edited_accounts;
mod edited_sessions;
mod forgotten_passwords;
mod former_origins;
mod reseal;
pub(crate) mod root_rotation;
pub(crate) mod sealed_rows;
