//! The replay store that all verifiers of one tool share, in Redis (7.0 or later) or Valkey (7.2 or later): each (keyid, nonce) is accepted once by
//! all of them (profile §5, step 11).
//!
//! ```no_run
//! use bmap_replay_redis::{Options, RedisReplayStore};
//! use bmap_verifier::{Policy, ToolCredential, Verifier};
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let credential = ToolCredential::from_env()?;
//! let policy = Policy::of(&credential);
//! let options = Options::new("rediss://tool:secret@redis.internal/", credential.tool.clone(), policy.window)?;
//! // An error here ends the process: a tool without its replay store lets nothing in.
//! let replay = RedisReplayStore::connect(options).await?;
//! let status = replay.clone(); // for the tool's own readiness and metrics: `status.is_ready()`, `status.status()`
//! let verifier = Verifier::with_store(credential, policy, replay);
//! # Ok(())
//! # }
//! ```
//!
//! What is promised, and what it stands on:
//!
//! - **The server's clock decides, and no other.** A script reads it, and refuses a request that is over or too far ahead by it. Verifiers whose
//!   clocks differ decide alike.
//! - **A record is accepted only where the marker is as this connection saw it.** The marker is one key of the tool. It names the server's process
//!   (`run_id`), the second until which requests are refused, and the latest second that the store has seen. The script of a record compares it. A
//!   primary that took the place of another, a restart, and a store that was emptied have another marker or none. The first verifier to see that sets
//!   it anew, and every verifier refuses requests that were signed until then ([`bmap_verifier::ReplayStore::forgot_until`]).
//! - **A primary without replicas takes no record**, where [`Servers::Replicated`] is said: the settings are checked at the start and each minute.
//! - **Everything else is refused**, with 503: an answer that is late, lost or not understood.
//!
//! Modules in reading order: [`options`], [`store`] (what a verifier calls), `session` (one checked connection), `scripts`, `server` (what the server
//! says of itself), `keeper` (connects again, and checks), `recent`, [`fault`], [`status`].
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

// Only its feature is wanted: with one provider of cryptography in the tree, the client's TLS takes that one.
use rustls as _;

pub mod options;
pub mod store;

mod keeper;
mod recent;
mod scripts;
mod server;
mod session;

pub mod fault;
pub mod status;

pub use fault::{StartError, StoreFault};
pub use options::{Options, Servers};
pub use status::{State, Status};
pub use store::RedisReplayStore;
