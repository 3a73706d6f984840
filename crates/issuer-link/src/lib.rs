//! The live link of a verifier to its issuer (profile §13): revocations within a second, and keys, epochs and policy as the operator sets them,
//! while the tool runs.
//!
//! Without a link a tool knows what its credential says, and a token works until it ends. With one, a user who is deactivated, a key that is
//! revoked or a session that is ended is refused within about a second; an exchanged key of the issuer needs no new credential.
//!
//! ```no_run
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! use bmap_issuer_link::Link;
//! use bmap_verifier::{MemoryReplayStore, Policy, ReplayLimits, SystemClock, ToolCredential, VerifyLayer};
//!
//! // `BMAP_LINK=on` beside `BMAP_TOOL_CREDENTIAL` switches it on. The issuer's URL is in the credential.
//! let link = Link::from_env(ToolCredential::from_env()?)?;
//! let policy = Policy::default();
//! let replay = MemoryReplayStore::new(ReplayLimits::default(), policy.window, SystemClock.now().seconds());
//! let layer = VerifyLayer::new(link.verifier(policy, replay));
//! // … and later, for a health page:
//! println!("{:?}", link.status());
//! # let _ = layer;
//! # Ok(())
//! # }
//! ```
//!
//! A request never waits for the link: it reads what is known from memory. The link runs in tasks of its own: one follows the feed, one loads
//! the state, one reports what is in force.
//!
//! A lost link changes nothing at first: the tool goes on with what it has, and tokens end by themselves, since their renewal needs the
//! issuer. A tool that must not rely on that sets `max_staleness`; past it requests are refused with 503 `issuer_unavailable`.
//!
//! Modules in reading order: [`Link`] in `link`, [`LinkOptions`], [`LinkStatus`]; what a verifier gets (`parts`); what is known (`shared`: `denials`,
//! `progress`, `issuer_time`, `wants`); the tasks (`feed` with `events`, `load`, `report`); how the issuer is asked (`ask`, `backoff`).
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

mod link;
mod options;
mod parts;
mod status;

mod running;
mod shared;

mod denials;
mod issuer_time;
mod progress;
mod wants;

mod events;
mod feed;
mod load;
mod report;

mod ask;
mod backoff;

mod clock;
mod lock;
mod rng;

pub use clock::{LinkClock, MachineClock};
pub use link::{Link, LinkedVerifier};
pub use options::{LinkError, LinkOptions, STALENESS_VARIABLE, VARIABLE};
pub use parts::{LinkKeys, LinkStanding};
pub use status::{LinkFault, LinkState, LinkStatus};
