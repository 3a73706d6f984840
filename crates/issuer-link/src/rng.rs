//! The one place of the crate that draws randomness: the node's id, nonces, and the jitter of waits.

/// `N` random bytes; `None` where the operating system gives none, and then nothing is sent.
#[expect(clippy::disallowed_methods, reason = "this is the file that draws randomness")]
pub(crate) fn bytes<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).ok().map(|()| bytes)
}
