//! Whether a signature holds.

use super::known::Known;
use super::side::Side;

/// Whether a signature holds over a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Holds,
    Fails,
    /// No key is known here.
    Unknown,
}

/// Whether the signature holds over a side's base, with the keys that are known here.
pub(super) fn verdict(known: &Known, side: &Side, signature: Option<&Vec<u8>>) -> Verdict {
    if known.public_key().is_some() {
        return match side.ed25519 {
            Some(true) => Verdict::Holds,
            Some(false) => Verdict::Fails,
            None => Verdict::Unknown,
        };
    }
    let Some(signature) = signature.filter(|_| !known.keys.is_empty()) else { return Verdict::Unknown };
    let holds = known.keys.iter().any(|key| {
        let mut mac = key.begin();
        mac.update(&side.base);
        mac.verify(signature)
    });
    if holds { Verdict::Holds } else { Verdict::Fails }
}
