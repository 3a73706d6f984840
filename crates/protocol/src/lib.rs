//! The bmap-1 wire profile as pure functions on borrowed data.
//!
//! Nothing in here reads a clock, draws randomness, does I/O or awaits: the time, the nonce and the bytes come in as
//! arguments, so every decision can be tested at its edges, and the same code runs natively and in WebAssembly.
//!
//! Modules in reading order:
//!
//! 1. [`code`]: the error codes that travel on the wire.
//! 2. [`ids`] and [`origin`]: the names of users, keys, tools, issuers and page origins, parsed once at the edge.
//! 3. [`time`]: a point in time.
//! 4. [`keys`]: the key schedule, from the root secret down to the key that signs one token's requests.
//! 5. [`api_key`] and [`seal`]: API-key material, and how it rests in a database.
//! 6. [`target`], [`digest`], [`signature_base`]: the text that a signature is computed over (RFC 9421 §2, RFC 9530).
//! 7. [`sign`]: the sending end.
//! 8. [`fields`], [`received`], [`token`], [`check`]: the receiving end, one function for each pure step of a verifier.
//!
//! 9. [`link`]: what an issuer tells the verifiers of its tools; [`tool_policy`]: what an operator asks of their requests.
//!
//! `sign` and `check` share [`signature_base`], so the two ends can't disagree.
//!
//! # Features
//!
//! `check` (default) is the receiving end, `ed25519` (default) the EdDSA keys, `seal` (default) the sealing of rows.
//! With none of them the crate holds the part that a page loads: the key schedule and [`sign`].
// The sending end has no standard library under it, which would double the bytes that a page loads.
#![cfg_attr(not(any(test, feature = "check", feature = "seal")), no_std)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

extern crate alloc;

pub mod code;
pub mod ids;
pub mod origin;
pub mod time;

pub mod keys;

pub mod api_key;
#[cfg(feature = "seal")]
pub mod seal;

pub mod digest;
pub mod signature_base;
pub mod target;

pub mod sign;

#[cfg(feature = "check")]
pub mod address_prefix;
#[cfg(feature = "check")]
mod byte_members;
#[cfg(feature = "check")]
pub mod capability;
#[cfg(feature = "check")]
pub mod check;
#[cfg(feature = "check")]
mod claims;
#[cfg(feature = "check")]
pub mod fields;
#[cfg(feature = "check")]
pub mod link;
#[cfg(feature = "check")]
pub mod object;
#[cfg(feature = "check")]
pub mod received;
#[cfg(feature = "check")]
pub mod refusal;
#[cfg(feature = "check")]
pub mod token;
#[cfg(feature = "check")]
pub mod tool_policy;

/// The tag that names this profile in `Signature-Input` (RFC 9421 §2.3).
pub const TAG: &str = "bmap-1";
/// The tag of a verifier's own requests to its issuer (profile §13).
pub const LINK_TAG: &str = "bmap-link-1";
/// The scheme of `Authorization` for a tool token (profile §4).
pub const SCHEME: &str = "HTTPSig";
