//! Root secrets as a text: one, or several as `1:…,2:…`.

use bmap_protocol::keys::EpochKeys;
use bmap_store::root_file;
use std::fmt;

/// The epoch of the first root secret.
pub(super) const FIRST_EPOCH: u32 = 1;

/// Roots at hand at once: the one that is used, the one before it and the one after it, and room for an operator's pace.
pub(super) const MAX_ROOTS: usize = 16;

/// The fault of a text that holds no root secret.
pub(super) const FORM: &str = "neither 43 base64url characters nor several of them as 1:…,2:…";

/// A text that is a secret or may hold one. Redacted in `Debug`, no `Display`, wiped on drop.
#[derive(Clone)]
pub struct SecretText(zeroize::Zeroizing<String>);

impl SecretText {
    /// A text, which is wiped when it is dropped.
    pub(super) fn new(text: String) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// Whether a text holds root secrets. The text itself is in no error.
pub(super) fn check_text(text: &str) -> Result<(), String> {
    several(text).map(drop).ok_or_else(|| FORM.to_owned())
}

/// One root, or several as `1:…,2:…`. In a variable only the text form counts: 32 characters would be 32 bytes of a file.
pub(super) fn several(text: &str) -> Option<Vec<EpochKeys>> {
    let one =
        |text: &str| Some(text).filter(|text| text.len() == 43).and_then(|text| root_file::parse(text.as_bytes()));
    if let Some(secret) = one(text) {
        return Some(vec![secret.epoch(FIRST_EPOCH)]);
    }
    let mut roots: Vec<EpochKeys> = Vec::new();
    for part in text.split(',').take(MAX_ROOTS + 1) {
        let (digits, secret) = part.split_once(':')?;
        let epoch = digits.parse::<u32>().ok().filter(|epoch| *epoch >= FIRST_EPOCH && epoch.to_string() == digits)?;
        if roots.iter().any(|root| root.epoch() == epoch) {
            return None;
        }
        roots.push(one(secret)?.epoch(epoch));
    }
    (roots.len() <= MAX_ROOTS).then_some(roots)
}
