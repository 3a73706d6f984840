//! One use of a nonce, and how many a store takes.

/// One use of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The 16 bytes behind a token's `jti` or an API key's id.
    pub key: [u8; 16],
    /// The signature's `nonce`.
    pub nonce: [u8; 16],
    /// Until when the record must live, seconds since 1970; see `Window::record_until`.
    pub until: i64,
}

/// Bounds of a store in memory.
///
/// ```
/// use bmap_verifier::ReplayLimits;
///
/// // 100 requests a second over all: each is remembered for 66 s.
/// let limits = ReplayLimits { entries: 6_600, per_key: 660 };
/// assert!(limits.entries < ReplayLimits::default().entries);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayLimits {
    /// Most live records. At most 51 bytes each with the keys they belong to, taken at the start.
    pub entries: u32,
    /// Most live records of one key.
    pub per_key: u32,
}

impl Default for ReplayLimits {
    /// 262,144 records in at most 13 MiB, of which one key may have 16,384: about 4,000 requests/s over all, 250 for
    /// one token.
    fn default() -> Self {
        Self { entries: 1 << 18, per_key: 1 << 14 }
    }
}
