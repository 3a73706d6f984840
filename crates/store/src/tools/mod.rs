//! Rows of tools and their grants.

pub(crate) mod grants;
pub(crate) mod grants_upgrade;
pub(crate) mod tool;
