//! Tokens whose MAC and issuer's signature held: their key and claims, so that Ed25519 is checked once for each token.
//!
//! Keyed by the whole token, byte for byte: another tool's, a changed or a re-signed token is another entry (R17). A
//! remembered token decides nothing else; every other step runs for each request. It names the keys that it was proven by, so that it ends
//! with them. Bounded: the oldest entry of a shard makes room.

use crate::settings::Numbered;
use bmap_protocol::check::TokenMacKey;
use bmap_protocol::ids::ToolId;
use bmap_protocol::refusal::{Mismatch, Refusal};
use bmap_protocol::token::{Claims, TokenFault};
use hashbrown::HashTable;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A remembered token.
#[derive(Debug)]
pub struct KnownToken {
    pub(crate) token: Box<str>,
    pub(crate) tool: ToolId,
    pub(crate) epoch: u32,
    pub(crate) proven: Proven,
    /// The number of the settings by which the issuer's key and the epoch were last found to count.
    pub(crate) checked_by: AtomicU64,
    pub(crate) id: [u8; 16],
    pub(crate) claims: Claims,
    /// When the token's bucket will be full again, milliseconds since 1970; see [`KnownToken::take`].
    pub(crate) busy_until: AtomicU64,
}

/// What it was proven by, and what its requests are checked with.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are sessions, and each signed request would follow a pointer"
)]
pub(crate) enum Proven {
    /// A token: each request is signed.
    Session {
        /// The key of its requests.
        key: TokenMacKey,
        /// The issuer's key whose signature held.
        issuer_key: [u8; 32],
    },
    /// A capability (profile §10), whose MAC held; it is remembered in a cache of its own.
    Capability {
        /// The paths that it opens.
        path_prefix: Box<str>,
    },
}

/// The 16 bytes behind a verified `jti`, whose form the claims' parser checked.
pub(crate) fn jti_bytes(jti: &str) -> [u8; 16] {
    use base64ct::{Base64UrlUnpadded, Encoding};
    let mut bytes = [0; 16];
    match Base64UrlUnpadded::decode(jti, &mut bytes) {
        Ok(_) => bytes,
        Err(_) => [0; 16],
    }
}

impl KnownToken {
    /// Claims that no token has, for tests of a tool's handlers: never in a cache, and of no key.
    #[cfg(feature = "test")]
    pub(crate) fn for_test(claims: Claims) -> Self {
        let (tool, token) = (claims.audience.clone(), Box::default());
        let key = TokenMacKey::new(bmap_protocol::keys::MacKey::from_key_bytes(&[]), "");
        let (checked_by, busy_until) = (AtomicU64::new(u64::MAX), AtomicU64::new(0));
        let proven = Proven::Session { key, issuer_key: [0; 32] };
        Self { token, tool, epoch: 0, proven, checked_by, id: [0; 16], claims, busy_until }
    }

    /// The verified claims.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Whether the keys that the token was proven by still count: the issuer's key, and the epoch of the tool's.
    ///
    /// # Errors
    /// What the token would be refused with if it were new.
    pub(crate) fn holds_by(&self, settings: &Numbered) -> Result<(), Refusal> {
        if self.checked_by.load(Ordering::Relaxed) == settings.number {
            return Ok(());
        }
        if !settings.accepts_epoch(self.epoch) {
            return Err(Refusal::InvalidSignature(Mismatch::Mac));
        }
        // A capability has no signature of the issuer: its key follows from the tool's.
        if let Proven::Session { issuer_key, .. } = &self.proven
            && !settings.has_issuer_key(issuer_key)
        {
            return Err(TokenFault::UnknownKey.into());
        }
        self.checked_by.store(settings.number, Ordering::Relaxed);
        Ok(())
    }

    /// Takes one request out of the token's bucket (GCRA).
    ///
    /// # Errors
    /// The seconds to wait, at least 1.
    pub(crate) fn take(&self, rate: crate::policy::Rate, now_millis: u64) -> Result<(), u32> {
        let mut outcome = Ok(());
        // It always has a next state.
        let _ = self.busy_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |busy_until| {
            let (next, taken) = rate.next(busy_until, now_millis);
            outcome = taken;
            Some(next)
        });
        outcome
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
    oldest_first: VecDeque<Arc<KnownToken>>,
}

impl TokenCache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { shards: Default::default(), per_shard: capacity.div_ceil(SHARDS).max(1) }
    }

    pub(crate) fn get(&self, token: &[u8]) -> Option<Arc<KnownToken>> {
        let (shard, hash) = self.shard(token);
        let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        shard.tokens.find(hash, |known| known.token.as_bytes() == token).map(Arc::clone)
    }

    /// Remembers a token, and returns the entry that counts: one that was there before wins, so that its bucket stays.
    pub(crate) fn insert(&self, token: Arc<KnownToken>) -> Arc<KnownToken> {
        let (shard, hash) = self.shard(token.token.as_bytes());
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let shard = &mut *shard;
        if let Some(first) = shard.tokens.find(hash, |known| known.token == token.token) {
            return Arc::clone(first);
        }
        if shard.tokens.len() >= self.per_shard
            && let Some(oldest) = shard.oldest_first.pop_front()
            && let Ok(entry) =
                shard.tokens.find_entry(hash_of(oldest.token.as_bytes()).1, |known| Arc::ptr_eq(known, &oldest))
        {
            entry.remove();
        }
        shard.oldest_first.push_back(Arc::clone(&token));
        shard.tokens.insert_unique(hash, Arc::clone(&token), |known| hash_of(known.token.as_bytes()).1);
        token
    }

    fn shard(&self, token: &[u8]) -> (&Mutex<Shard>, u64) {
        let (index, hash) = hash_of(token);
        let [first, ..] = &self.shards;
        (self.shards.get(index).unwrap_or(first), hash)
    }
}

/// Shard and hash: the end of a token is the issuer's signature, which is as good as random. Only tokens that the issuer
/// signed are inserted, so no attacker chooses what is in the table; a forged token that ends like a known one costs a
/// comparison.
fn hash_of(token: &[u8]) -> (usize, u64) {
    let [a, b] = token.last_chunk::<16>().map_or([[0; 8]; 2], |end| {
        let (words, _) = end.as_chunks::<8>();
        [words.first().copied().unwrap_or_default(), words.last().copied().unwrap_or_default()]
    });
    // Base64url has six bits in each byte: multiplying spreads them over the word (Fibonacci hashing).
    let mixed = u64::from_le_bytes(a).rotate_left(32) ^ u64::from_le_bytes(b);
    let hash = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let hash = hash ^ hash >> 32;
    (usize::try_from(hash >> 20).unwrap_or(0) % SHARDS, hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bmap_protocol::ids::{ApiKeyId, Issuer};
    use bmap_protocol::keys::MacKey;
    use bmap_protocol::token::{Assurance, Confirmation, Subject};

    fn token(number: u32) -> Arc<KnownToken> {
        let tool = ToolId::parse("places").unwrap();
        let text = format!("{number:086}");
        Arc::new(KnownToken {
            proven: Proven::Session {
                key: TokenMacKey::new(MacKey::from_key_bytes(&[7; 32]), &text),
                issuer_key: [0; 32],
            },
            token: text.into(),
            epoch: 1,
            checked_by: 0.into(),
            id: [0; 16],
            claims: Claims {
                issuer: Issuer::parse("https://auth.example").unwrap(),
                audience: tool.clone(),
                subject: Subject::Anonymous,
                client_id: ApiKeyId::from_uuid([0; 16]),
                issued_at: 0,
                expires_at: 300,
                not_before: None,
                id: "".into(),
                scope: "".into(),
                origin: None,
                embed_origin: None,
                end_user: None,
                assurance: Assurance::Origin,
                confirmation: Confirmation::Session { tool: tool.clone(), epoch: 1 },
                session: None,
                address: None,
            },
            tool,
            busy_until: 0.into(),
        })
    }

    #[test]
    fn t25_the_oldest_token_makes_room_and_the_cache_does_not_grow() {
        let cache = TokenCache::new(64);
        for number in 0..5_000 {
            cache.insert(token(number));
        }
        assert!(cache.get(token(0).token.as_bytes()).is_none() && cache.get(token(4_999).token.as_bytes()).is_some());
        for shard in &cache.shards {
            let shard = shard.lock().unwrap();
            assert_eq!((shard.tokens.len(), shard.oldest_first.len()), (4, 4));
        }
        // Remembered twice it is one entry, the first, so that its bucket stays.
        let first = cache.get(token(4_999).token.as_bytes()).unwrap();
        assert!(Arc::ptr_eq(&cache.insert(token(4_999)), &first));
    }

    #[test]
    fn tokens_spread_over_the_shards() {
        use base64ct::{Base64UrlUnpadded, Encoding};
        let mut counts = [0_u32; SHARDS];
        for number in 0..16_000_u64 {
            // Any bytes that differ a little stand for signatures at their worst.
            let mut signature = [0; 64];
            signature[56..].copy_from_slice(&number.to_be_bytes());
            counts[hash_of(Base64UrlUnpadded::encode_string(&signature).as_bytes()).0] += 1;
        }
        assert!(counts.iter().all(|count| (500..2000).contains(count)), "{counts:?}");
    }
}
