//! A store as bytes: the file that a process that ends in order leaves to the next one.
//!
//! All numbers are little-endian. A MAC over everything stands at the end; its key is public, so it tells damage, other owners and other
//! versions apart from a good file, and not the inventions of a writer of the folder.

use super::hash::{Print, Seed};
use super::nonce_shard::{SavedBucket, WAYS};
use super::nonces::{Nonces, SHARDS};
use super::record::ReplayLimits;
use bmap_protocol::check::Window;
use bmap_protocol::keys::MacKey;

const MAGIC: &[u8; 24] = b"bmap-replay-state-1\n\0\0\0\0";
const MAC_LEN: usize = 32;
/// Magic, seed, three times, window, shape.
const HEAD_LEN: usize = 24 + 16 + 3 * 8 + 2 * 4 + 2 * 4;
/// Shard, index, the end of what went past, and four times print and end.
const BUCKET_LEN: usize = 4 + 4 + 4 + WAYS * 10;

/// Why a state file is not believed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Cut, changed, written by another version, or for another owner.
    #[error("it is damaged, or of another tool or version")]
    Damaged,
    /// Written with other limits or another window, for which its places and ends do not hold.
    #[error("it was written with other limits or another window")]
    OtherLimits,
    /// Everything in it ended before the start. A folder that was restored from a copy looks like this.
    #[error("it is older than any record in it could be")]
    TooOld,
}

/// A store from a file.
#[derive(Debug)]
pub(super) struct State {
    pub(super) nonces: Nonces,
    pub(super) forgot_until: i64,
}

/// The most bytes of a file with these limits.
pub(super) fn max_bytes(limits: ReplayLimits) -> usize {
    // A store has a bucket for each three entries, with those that it has in reserve: fewer than entries, but for the smallest
    // stores.
    let buckets = usize::try_from(limits.entries).unwrap_or(usize::MAX).saturating_add(1 << 10);
    buckets.saturating_mul(BUCKET_LEN).saturating_add(HEAD_LEN + MAC_LEN)
}

/// Closes a store and writes it: the bytes, and how many records are in them.
pub(super) fn write(nonces: &Nonces, owner: &str, window: Window, forgot_until: i64, now: i64) -> (Vec<u8>, usize) {
    let (mut buckets, mut records) = (Vec::new(), 0_usize);
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
    nonces.close(now, |shard, index, bucket| {
        buckets.extend([number(shard), number(index), bucket.passed.to_le_bytes()].as_flattened());
        for (print, until) in bucket.records {
            buckets.extend_from_slice(&print.low.to_le_bytes());
            buckets.extend_from_slice(&print.high.to_le_bytes());
            buckets.extend_from_slice(&until.to_le_bytes());
            records = records.saturating_add(usize::from(until != 0));
        }
    });
    let mut bytes = Vec::with_capacity(buckets.len().saturating_add(HEAD_LEN + MAC_LEN));
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&nonces.seed().bytes());
    // The latest time is read after every shard was closed: no record can be later.
    bytes.extend([nonces.base(), nonces.latest(), forgot_until].map(i64::to_le_bytes).as_flattened());
    bytes.extend([window.past, window.future].map(u32::to_le_bytes).as_flattened());
    let (shards, size) = nonces.shape();
    bytes.extend([number(shards), number(size)].as_flattened());
    bytes.append(&mut buckets);
    let mac = mac_key(owner).mac(&bytes);
    bytes.extend_from_slice(&mac);
    (bytes, records)
}

impl State {
    /// Reads a file, all of it or nothing. `now` is in seconds since 1970.
    pub(super) fn read(
        bytes: &[u8],
        owner: &str,
        limits: ReplayLimits,
        window: Window,
        now: i64,
    ) -> Result<Self, Unusable> {
        let (content, mac) = bytes.split_last_chunk::<MAC_LEN>().ok_or(Unusable::Damaged)?;
        let mut check = mac_key(owner).begin();
        check.update(content);
        if !check.verify(mac) {
            return Err(Unusable::Damaged);
        }
        let mut content = Reader(content);
        if content.take() != Some(*MAGIC) {
            return Err(Unusable::Damaged);
        }
        Self::read_content(&mut content, limits, window, now).unwrap_or(Err(Unusable::Damaged))
    }

    /// `None` where the bytes end too early or hold values that no store has.
    fn read_content(
        content: &mut Reader<'_>,
        limits: ReplayLimits,
        window: Window,
        now: i64,
    ) -> Option<Result<Self, Unusable>> {
        let seed = Seed::from_bytes(content.take()?);
        let (base, latest, forgot_until) = (content.time()?, content.time()?, content.time()?);
        let written_for = Window { past: content.number()?, future: content.number()? };
        let (shards, size) = (content.number()?, content.number()?);
        let nonces = Nonces::new(limits, window, base, seed, SHARDS);
        let shape = (usize::try_from(shards).ok()?, usize::try_from(size).ok()?);
        if written_for != window || nonces.shape() != shape {
            return Some(Err(Unusable::OtherLimits));
        }
        let last_end = window.record_until(latest.saturating_add(window.future.into()));
        if now >= last_end {
            return Some(Err(Unusable::TooOld));
        }
        nonces.set_latest(latest);
        while !content.0.is_empty() {
            let (shard, index) = (content.number()?, content.number()?);
            let mut bucket = SavedBucket { passed: content.number()?, records: [(Print { low: 0, high: 0 }, 0); WAYS] };
            for (print, until) in &mut bucket.records {
                (print.low, print.high, *until) =
                    (content.number()?, u16::from_le_bytes(content.take()?), content.number()?);
            }
            if !nonces.restore(usize::try_from(shard).ok()?, usize::try_from(index).ok()?, &bucket) {
                return None;
            }
        }
        Some(Ok(Self { nonces, forgot_until }))
    }
}

fn mac_key(owner: &str) -> MacKey {
    MacKey::from_key_bytes(owner.as_bytes())
}

/// Bytes that are read from the front.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn time(&mut self) -> Option<i64> {
        self.take().map(i64::from_le_bytes)
    }
}
