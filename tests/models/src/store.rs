//! The store that the verifier has: the same source files, compiled over [`crate::sync`].

#[path = "../../../crates/verifier/src/replay/hash.rs"]
#[expect(dead_code, reason = "a random hash key and what saves it: a check has a key of its own and no file")]
mod hash;
#[path = "../../../crates/verifier/src/replay/key_shard.rs"]
mod key_shard;
#[path = "../../../crates/verifier/src/replay/key_shards.rs"]
mod key_shards;
#[path = "../../../crates/verifier/src/replay/nonce_shard.rs"]
mod nonce_shard;
#[path = "../../../crates/verifier/src/replay/nonces.rs"]
#[expect(dead_code, reason = "what saves it")]
mod nonces;
#[path = "../../../crates/verifier/src/replay/record.rs"]
mod record;
#[path = "../../../crates/verifier/src/replay/shards.rs"]
mod shards;

use bmap_protocol::check::Window;
use bmap_protocol::refusal::Refusal;
use hash::Seed;
use nonces::Nonces;

pub use record::{Record, ReplayLimits};

/// The operations that a check asks of a store.
pub trait Store: Send + Sync + Sized + 'static {
    /// An empty store.
    fn new(limits: ReplayLimits, window: Window, shards: u32) -> Self;

    /// Records a first use; `now` in seconds.
    ///
    /// # Errors
    /// Why it is not let in.
    fn record(&self, record: &Record, now: i64) -> Result<(), Refusal>;
}

/// The store that the verifier has.
#[derive(Debug)]
pub struct CurrentStore(Nonces);

impl Store for CurrentStore {
    fn new(limits: ReplayLimits, window: Window, shards: u32) -> Self {
        // One key for all runs: what a tool found, it finds again.
        Self(Nonces::new(limits, window, 0, Seed::from_bytes(*b"a key for checks"), shards))
    }

    fn record(&self, record: &Record, now: i64) -> Result<(), Refusal> {
        self.0.record(record, now)
    }
}

/// A record for a request that key number `key` signed with nonce number `nonce`.
pub fn record(key: u8, nonce: u8, until: i64) -> Record {
    Record { key: [key; 16], nonce: [nonce; 16], until }
}
