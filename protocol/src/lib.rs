//! The bmap-1 wire profile as pure functions: key schedule, signature base, digest, token, sign, check.
