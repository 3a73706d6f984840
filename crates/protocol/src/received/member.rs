//! One member of `Signature-Input` while it is being read.

use super::covered::Covered;
use super::fault::SignatureFault;
use crate::signature_base::Component;
use sfv::BareItemFromInput;
use std::borrow::Cow;

/// One member while it is being read. Faults are kept until its tag, which stands last, says whether it is ours.
pub(super) struct Member<'a> {
    pub(super) label: &'a str,
    /// The tag that makes it ours.
    tag: &'static str,
    pub(super) params: &'a str,
    pub(super) covered: Covered,
    pub(super) created: Option<i64>,
    pub(super) expires: Option<i64>,
    pub(super) nonce: Option<&'a str>,
    /// Not checked against its grammar here: its reader does that.
    pub(super) key_id: Option<&'a str>,
    pub(super) ours: bool,
    pub(super) fault: Option<SignatureFault>,
}

impl<'a> Member<'a> {
    pub(super) fn new(label: &'a str, tag: &'static str) -> Self {
        Self {
            label,
            tag,
            params: "",
            covered: Covered::NONE,
            created: None,
            expires: None,
            nonce: None,
            key_id: None,
            ours: false,
            fault: None,
        }
    }

    pub(super) fn spoil(&mut self, fault: SignatureFault) {
        self.fault.get_or_insert(fault);
    }

    pub(super) fn cover(&mut self, item: &BareItemFromInput<'a>) {
        let pushed = match item {
            BareItemFromInput::String(Cow::Borrowed(name)) => {
                let name = name.as_str();
                let params = self.label.as_ptr().addr().saturating_add(self.label.len()).saturating_add(1);
                let start = name.as_ptr().addr().saturating_sub(params);
                Component::from_name(name).and_then(|component| self.covered.push(component, start))
            }
            _ => None,
        };
        if pushed.is_none() {
            self.spoil(SignatureFault::Component);
        }
    }

    pub(super) fn parameter(&mut self, name: &str, value: &BareItemFromInput<'a>) {
        let number = || if let BareItemFromInput::Integer(value) = value { Some(i64::from(*value)) } else { None };
        let text =
            || if let BareItemFromInput::String(Cow::Borrowed(text)) = value { Some(text.as_str()) } else { None };
        let taken = match name {
            "created" => number().map(|value| ("created", self.created.replace(value).is_none())),
            "expires" => number().map(|value| ("expires", self.expires.replace(value).is_none())),
            "nonce" => text().map(|value| ("nonce", self.nonce.replace(value).is_none())),
            "keyid" => text().filter(|id| is_key_id(id)).map(|value| ("keyid", self.key_id.replace(value).is_none())),
            "tag" => text().map(|value| {
                let first = !self.ours;
                self.ours |= value == self.tag;
                ("tag", first)
            }),
            "alg" => return self.spoil(SignatureFault::Algorithm),
            _ => return, // Not ours to know (RFC 9421 §2.3); its bytes are in the base all the same.
        };
        match taken {
            Some((_, true)) => {}
            Some((name, false)) => self.spoil(SignatureFault::Parameter(name)),
            None => self.spoil(SignatureFault::Parameter("created, expires, nonce, keyid or tag")),
        }
    }
}

/// 1 to 80 of `A-Z a-z 0-9 . _ -`: never a path, a URL or SQL (R07).
fn is_key_id(id: &str) -> bool {
    KEY_ID_LENGTH.contains(&id.len()) && id.bytes().all(is_key_id_byte)
}

pub(super) const KEY_ID_LENGTH: std::ops::RangeInclusive<usize> = 1..=80;

/// One of `A-Z a-z 0-9 . _ -`, by a table: a request has some fifty of them.
#[inline]
pub(super) fn is_key_id_byte(byte: u8) -> bool {
    #[expect(clippy::indexing_slicing, reason = "a fault here would not compile")]
    const TABLE: [bool; 256] = {
        let mut table = [false; 256];
        let bytes = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
        let mut at = 0;
        while at < bytes.len() {
            table[bytes[at] as usize] = true;
            at += 1;
        }
        table
    };
    TABLE.get(usize::from(byte)).copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r07_a_key_id_is_short_and_plain() {
        let longest = "k".repeat(80);
        for id in ["k", "bmk_0192f0c1a7e27c3c9f60b2b4b1c7a0ff", "bt1.geo.1", "A-Z_a.9", &longest] {
            assert!(is_key_id(id), "{id}");
        }
        for id in ["", "k k", "../k", "k/1", "k'", "k\u{e4}", "k\0", "k:", &format!("{longest}k")] {
            assert!(!is_key_id(id), "{id}");
        }
    }
}
