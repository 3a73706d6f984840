//! The limit of bodies.

/// Most bytes of a body on the issuer's own routes.
pub const MAX_BODY: usize = 64 * 1024;
