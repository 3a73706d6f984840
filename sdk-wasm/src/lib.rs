//! The WebAssembly boundary of the SDK, thin: JavaScript's values in, calls to `bmap-protocol`, JavaScript's values out.
//!
//! Three modules are built from this crate. The default one is what every page loads: [`Signer`] and [`content_digest`]. With
//! feature `direct` it also signs with an API key, which no page has. With feature `inspect` it takes a signed request apart for
//! people to look at; the parsers that this needs weigh more than everything else together, so it is loaded only when asked for.
//!
//! The default module has no standard library under it on `wasm32`: formatting, and panics with messages, would weigh as much as
//! the cryptography. A panic there is a trap, and `npm/src/wasm.ts` throws the instance away after one. It must be built by itself, as
//! `cargo xtask wasm` does: beside a crate that turns on more of `bmap-protocol`, the standard library comes in and brings a second
//! panic handler.
#![cfg_attr(all(target_arch = "wasm32", not(feature = "inspect")), no_std)]

extern crate alloc;

#[cfg(all(target_arch = "wasm32", not(feature = "inspect")))]
mod bare;
mod digest;
#[cfg(feature = "direct")]
mod direct;
mod error;
#[cfg(feature = "inspect")]
mod inspect;
mod rng;
mod signer;

pub use digest::content_digest;
#[cfg(feature = "direct")]
pub use direct::api_key_signer;
#[cfg(feature = "inspect")]
pub use inspect::inspect;
pub use signer::Signer;
