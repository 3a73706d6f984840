//! The one file that draws random bytes.

/// Keys, `jti`s and nonces that no other test has.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "the one place that draws random bytes")]
pub(super) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    match getrandom::fill(&mut bytes) {
        Ok(()) => bytes,
        Err(error) => panic!("the system gives no random bytes: {error}"),
    }
}
