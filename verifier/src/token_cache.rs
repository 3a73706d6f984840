//! Tokens whose MAC and issuer's signature held: their key and claims, so that Ed25519 is checked once for each token.
//!
//! Keyed by the SHA-256 of the whole token: another tool's, a changed or a re-signed token is another entry (R17). What
//! is remembered decides nothing else; every other step runs for each request. Bounded: the oldest entry of a shard
//! makes room.

use bmap_protocol::check::TokenMacKey;
use bmap_protocol::ids::ToolId;
use bmap_protocol::keys::TokenDigest;
use bmap_protocol::token::Claims;
use hashbrown::HashTable;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What is remembered of one token.
#[derive(Debug)]
pub struct KnownToken {
    pub(crate) digest: TokenDigest,
    pub(crate) tool: ToolId,
    pub(crate) epoch: u32,
    pub(crate) key: TokenMacKey,
    pub(crate) id: [u8; 16],
    pub(crate) claims: Claims,
    /// When the token's bucket will be full again, milliseconds since 1970; see [`KnownToken::take`].
    pub(crate) busy_until: AtomicU64,
}

impl KnownToken {
    /// The verified claims.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Takes one request out of the token's bucket (GCRA).
    ///
    /// # Errors
    /// The seconds to wait, at least 1.
    pub(crate) fn take(&self, rate: crate::policy::Rate, now_millis: u64) -> Result<(), u32> {
        let interval = 1000_u64.div_ceil(u64::from(rate.per_second.max(1)));
        let depth = interval.saturating_mul(u64::from(rate.burst.max(1)));
        let mut wait = 0;
        let taken = self.busy_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |busy_until| {
            let next = busy_until.max(now_millis).saturating_add(interval);
            wait = next.saturating_sub(now_millis.saturating_add(depth));
            (wait == 0).then_some(next)
        });
        match taken {
            Ok(_) => Ok(()),
            Err(_) => Err(u32::try_from(wait.div_ceil(1000)).unwrap_or(u32::MAX).max(1)),
        }
    }
}

const SHARDS: usize = 16;

/// The bounded cache.
#[derive(Debug)]
pub(crate) struct TokenCache {
    shards: [Mutex<Shard>; SHARDS],
    per_shard: usize,
}

#[derive(Debug, Default)]
struct Shard {
    tokens: HashTable<Arc<KnownToken>>,
    oldest_first: VecDeque<TokenDigest>,
}

impl TokenCache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { shards: Default::default(), per_shard: capacity.div_ceil(SHARDS).max(1) }
    }

    pub(crate) fn get(&self, digest: &TokenDigest) -> Option<Arc<KnownToken>> {
        let (shard, hash) = self.shard(digest);
        let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        shard.tokens.find(hash, |token| token.digest == *digest).map(Arc::clone)
    }

    /// Remembers a token, and returns the entry that counts: one that was there before wins, so that its bucket stays.
    pub(crate) fn insert(&self, token: Arc<KnownToken>) -> Arc<KnownToken> {
        let (shard, hash) = self.shard(&token.digest);
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let shard = &mut *shard;
        if let Some(first) = shard.tokens.find(hash, |known| known.digest == token.digest) {
            return Arc::clone(first);
        }
        if shard.tokens.len() >= self.per_shard
            && let Some(oldest) = shard.oldest_first.pop_front()
            && let Ok(entry) = shard.tokens.find_entry(hash_of(&oldest).1, |known| known.digest == oldest)
        {
            entry.remove();
        }
        shard.oldest_first.push_back(token.digest);
        shard.tokens.insert_unique(hash, Arc::clone(&token), |known| hash_of(&known.digest).1);
        token
    }

    fn shard(&self, digest: &TokenDigest) -> (&Mutex<Shard>, u64) {
        let (index, hash) = hash_of(digest);
        let [first, ..] = &self.shards;
        (self.shards.get(index).unwrap_or(first), hash)
    }
}

/// Shard and hash. Only tokens that the issuer signed are inserted, so the digest itself is a good hash: nobody outside
/// chooses what is in the table.
fn hash_of(digest: &TokenDigest) -> (usize, u64) {
    let [shard, _, _, _, _, _, _, _, hash @ ..] = digest.0;
    let [a, b, c, d, e, f, g, h, ..] = hash;
    (usize::from(shard) % SHARDS, u64::from_le_bytes([a, b, c, d, e, f, g, h]))
}
