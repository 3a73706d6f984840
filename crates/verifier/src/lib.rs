//! One decision about one signed request, and the tower layer that puts it in front of a tool.
//!
//! A tool is protected in ten lines. `BMAP_TOOL_CREDENTIAL` holds the output of the issuer's `bmap tool credential`; beside this crate there are
//! `axum`, `tokio` (features `macros`, `net`, `rt-multi-thread`) and `tower` (feature `make`):
//!
//! ```no_run
//! # #[cfg(feature = "axum")] mod tool {
//! use axum::{Router, routing::get};
//! use bmap_verifier::{SystemClock, ToolCredential, Verified, Verifier, VerifyLayer};
//! use tower::{Layer, make::Shared};
//!
//! #[tokio::main]
//! # pub
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let verifier = Verifier::from_credential(ToolCredential::from_env()?, SystemClock.now());
//!     let hello = async |caller: Verified| format!("hello {}", caller.subject());
//!     let tool = VerifyLayer::new(verifier).layer(Router::new().route("/hello", get(hello)));
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:4001").await?;
//!     Ok(axum::serve(listener, Shared::new(tool)).await?)
//! }
//! # }
//! # #[cfg(feature = "axum")] use tool::main;
//! # #[cfg(not(feature = "axum"))] fn main() {}
//! ```
//!
//! `docs/tools.md` says where else the layer can stand, and how a tool is tested without an issuer: the feature `test`, which is for dev-dependencies alone.
//!
//! `axum::serve` waits for ever for the rest of a request's head. Where strangers reach the tool, and nothing in front of it has that limit,
//! serve it with the crate `bmap-listener`, as `examples/places-tool` does.
//!
//! A body that does not arrive is ended after 30 s, or sooner where less than 1 KiB/s comes, and 64 MiB of bodies are held at the
//! most: [`BodyLimits`] has these numbers. The layer's timer is tokio's; with the feature `tokio` off, a tool on another runtime
//! brings its own by a [`Clock`].
//!
//! # Restarts
//!
//! The replay store in memory ends with its process. The next one refuses requests that the former one may have let in, 503 with the seconds to
//! wait, 6 at most. With a folder of the process's own an orderly stop needs no such pause:
//!
//! ```no_run
//! # fn run(folder: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
//! use bmap_verifier::{SystemClock, ToolCredential, Verifier, VerifyLayer};
//!
//! // At the start. An error here, such as another process at the same folder, ends the process.
//! let verifier = Verifier::from_credential_with_state(ToolCredential::from_env()?, folder, &SystemClock)?;
//! let layer = VerifyLayer::new(verifier);
//! // … serve with a clone of the layer, until SIGTERM; close the listener, and let requests in flight finish. Then:
//! layer.verifier().save_state(SystemClock.now())?;
//! # Ok(())
//! # }
//! ```
//!
//! Bind the listener first, and make the verifier when the process before has ended: requests that it let in after this one's start are not
//! known here. The file is read once, and holds what it holds for one tool, one window and one set of limits; anything else is a plain start.
//! Processes that overlap, for a rolling deployment or for load, need a shared [`ReplayStore`]: the crate
//! `bmap-replay-redis`, and [`Verifier::with_store`].
//!
//! # Features
//!
//! | feature | default | |
//! |---|---|---|
//! | `axum` | on | `Verified` as an argument of a handler, and `VerifyLayer::in_stack`; of axum it takes `axum-core` alone |
//! | `tokio` | on | [`SystemClock`] as a [`Clock`] |
//! | `test` | off | an issuer for the tests of a tool, and `Verified::for_test`. For dev-dependencies alone |
//!
//! Modules in reading order: [`layer`], [`verify`] (the one file that an auditor must read), [`fresh`], [`verified`]; what it
//! stands on: `body`, `body_budget`, [`policy`], [`settings`], [`keys`], [`replay`], [`token_cache`], [`standing`], [`clock`], [`credential`]; what it answers:
//! [`problem`], [`cors`]; for places that are not outermost: `original_uri`, `stack`; for tests of tools: `test`.
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

pub mod layer;
pub mod verify;

mod body;
mod body_budget;

pub mod allowed_ips;
pub mod allowed_origins;
mod capability;
pub mod clock;
pub mod credential;
pub mod keys;
pub mod policy;
pub mod replay;
pub mod settings;
pub mod standing;
pub mod token_cache;

pub mod cors;
pub mod problem;

mod original_uri;
mod restart;
mod sync;
mod tool;

#[cfg(feature = "axum")]
mod extract;
#[cfg(feature = "axum")]
pub mod stack;

#[cfg(feature = "test")]
pub mod test;

#[cfg(doctest)]
mod documents;

pub use allowed_origins::AllowedOrigins;
pub use bmap_protocol as protocol;
pub use bmap_protocol::refusal::Refusal;
pub use clock::{Clock, SystemClock, UnixTime};
pub use credential::{CredentialError, ToolCredential};
#[cfg(feature = "axum")]
pub use extract::LayerMissing;
pub use keys::{ApiKeyGrant, ApiKeyProof, Keys, ToolKeys};
pub use layer::VerifyLayer;
pub use original_uri::FindOriginalUri;
pub use policy::file::{POLICY_FILE_VARIABLE, PolicyFileError};
pub use policy::{BodyLimits, PeerAddress, Policy, Rate, Rates};
pub use replay::{MemoryReplayStore, ReplayLimits, ReplayStore, Start, StateError};
pub use settings::{LiveSettings, Settings, SettingsRef};
#[cfg(feature = "axum")]
pub use stack::StackLayer;
pub use standing::{NoRevocations, Standing};
pub use verify::fresh::Fresh;
pub use verify::verified::{Principal, ProofKind, Verified};
pub use verify::{VerifiedBody, Verifier};
