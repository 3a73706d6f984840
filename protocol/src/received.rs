//! `Signature-Input` and `Signature` as received (RFC 9421 §4), held to the profile (§4).
//!
//! The grammar is `sfv`'s (RFC 9651). It can't give the member's own bytes, which are the value of `@signature-params`:
//! they are cut out between this label and the next, and go into the base as received.

use crate::TAG;
use crate::byte_members::ByteMembers;
use crate::fields::{Field, Fields};
use crate::refusal::Refusal;
use crate::signature_base::Component;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sfv::BareItemFromInput;
use std::borrow::Cow;

mod canonical;
mod covered;
mod dictionary;

use covered::Covered;

/// Most components that one signature may cover.
pub const MAX_COMPONENTS: usize = 16;
/// Most members of `Signature-Input`: ours and three foreign ones.
pub const MAX_SIGNATURES: usize = 4;
/// Most bytes of all `Signature-Input` lines, and of all `Signature` lines.
pub const MAX_SIGNATURE_HEADER: usize = 4096;

/// Why the signature headers are outside the profile.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// Over [`MAX_SIGNATURE_HEADER`] bytes or [`MAX_SIGNATURES`] members.
    #[error("too large, or too many signatures")]
    TooLarge,
    /// Not a dictionary of the right members (RFC 9651 §3.2), or a repeated label.
    #[error("not a dictionary of signatures")]
    Dictionary,
    /// More than one member has our tag.
    #[error("more than one signature with our tag")]
    SecondSignature,
    /// `Signature` has no byte sequence of at most 64 bytes for our label.
    #[error("no usable signature for our label")]
    NoSignature,
    /// A covered component that is repeated, has parameters, or is not in the profile.
    #[error("a covered component is outside the profile")]
    Component,
    /// A parameter that is missing, repeated, of another type, or outside its grammar.
    #[error("parameter {0} is missing, repeated or outside its grammar")]
    Parameter(&'static str),
    /// `alg` is refused: the key says the algorithm.
    #[error("the alg parameter is refused")]
    Algorithm,
}

/// Our member of `Signature-Input` with its signature: parsed, not yet believed.
#[derive(Debug)]
pub struct UnverifiedSignature<'a> {
    /// The member's value as received: what `@signature-params` is.
    pub params: &'a str,
    /// `created`, seconds since 1970; any integer.
    pub created: i64,
    /// `expires`, seconds since 1970; any integer.
    pub expires: Option<i64>,
    /// `nonce`: 16 bytes.
    pub nonce: [u8; 16],
    /// `keyid`: 1 to 80 of `A-Z a-z 0-9 . _ -`.
    pub key_id: &'a str,
    covered: Covered,
    signature: [u8; 64],
    signature_length: usize,
}

impl<'a> UnverifiedSignature<'a> {
    /// Reads the one signature with our tag.
    ///
    /// # Errors
    /// [`Refusal::Unsigned`] where there is none, [`Refusal::Signature`] for one that is outside the profile.
    pub fn parse(fields: &Fields<'a>) -> Result<Self, Refusal> {
        // The one form that our own SDK sends needs no dictionary parser.
        if let Field::Once(line) = fields.signature_input
            && let Some(member) = canonical::member(line.as_bytes())
        {
            return Ok(member.finish(fields, true)?);
        }
        Self::parse_dictionary(fields, true)
    }

    /// As [`UnverifiedSignature::parse`] with its fast paths switched off: to compare with.
    ///
    /// # Errors
    /// As [`UnverifiedSignature::parse`].
    pub fn parse_slowly(fields: &Fields<'a>) -> Result<Self, Refusal> {
        Self::parse_dictionary(fields, false)
    }

    fn parse_dictionary(fields: &Fields<'a>, fast: bool) -> Result<Self, Refusal> {
        let member = dictionary::member(fields)?.ok_or(Refusal::Unsigned)?;
        Ok(member.finish(fields, fast)?)
    }

    /// The covered components, in the sender's order.
    pub fn components(&self) -> impl Iterator<Item = Component<'a>> {
        self.covered.components(self.params)
    }

    /// Whether a component is covered.
    #[inline(always)] // so that nothing but a bit is left of a component of the profile
    pub fn covers(&self, component: Component<'_>) -> bool {
        self.covered.contains(component, self.params)
    }

    /// The signature's bytes: a MAC has 32, an Ed25519 signature 64.
    pub fn signature(&self) -> &[u8] {
        self.signature.get(..self.signature_length).unwrap_or_default()
    }
}

/// One member while it is being read. Faults are kept until its tag, which stands last, says whether it is ours.
struct Member<'a> {
    label: &'a str,
    params: &'a str,
    covered: Covered,
    created: Option<i64>,
    expires: Option<i64>,
    nonce: Option<&'a str>,
    /// Not checked against its grammar here: its reader does that.
    key_id: Option<&'a str>,
    ours: bool,
    fault: Option<SignatureFault>,
}

impl<'a> Member<'a> {
    fn new(label: &'a str) -> Self {
        Self {
            label,
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

    fn spoil(&mut self, fault: SignatureFault) {
        self.fault.get_or_insert(fault);
    }

    fn cover(&mut self, item: &BareItemFromInput<'a>) {
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

    fn parameter(&mut self, name: &str, value: &BareItemFromInput<'a>) {
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
                self.ours |= value == TAG;
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

    /// Holds our member to the profile, and finds its signature.
    fn finish(self, fields: &Fields<'a>, fast: bool) -> Result<UnverifiedSignature<'a>, SignatureFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if !self.covered.distinct(self.params) {
            return Err(SignatureFault::Component);
        }
        let key_id = self.key_id.ok_or(SignatureFault::Parameter("keyid"))?;
        // A nonce and a received signature are no secrets, so decoding them may take a time that depends on them.
        let mut nonce = [0; 18];
        let encoded = self.nonce.unwrap_or_default();
        let length = URL_SAFE_NO_PAD.decode_slice(encoded, &mut nonce).unwrap_or_default();
        let nonce = nonce.get(..length).and_then(|nonce| nonce.try_into().ok());
        let nonce = nonce.ok_or(SignatureFault::Parameter("nonce"))?;
        let mut signature = [0; 64];
        let signature_length = find_signature(fields, self.label, fast, &mut signature)?;
        Ok(UnverifiedSignature {
            params: self.params,
            created: self.created.ok_or(SignatureFault::Parameter("created"))?,
            expires: self.expires,
            nonce,
            key_id,
            covered: self.covered,
            signature,
            signature_length,
        })
    }
}

/// 1 to 80 of `A-Z a-z 0-9 . _ -`: never a path, a URL or SQL (R07).
fn is_key_id(id: &str) -> bool {
    KEY_ID_LENGTH.contains(&id.len()) && id.bytes().all(is_key_id_byte)
}

const KEY_ID_LENGTH: std::ops::RangeInclusive<usize> = 1..=80;

/// One of `A-Z a-z 0-9 . _ -`, by a table: a request has some fifty of them.
#[inline]
fn is_key_id_byte(byte: u8) -> bool {
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

/// Finds the signature of `label`; its length in `into`.
fn find_signature(fields: &Fields<'_>, label: &str, fast: bool, into: &mut [u8; 64]) -> Result<usize, SignatureFault> {
    // The one form that our own SDK sends needs no dictionary parser and no heap.
    if fast
        && let Field::Once(line) = fields.signature
        && let Some(length) = single_signature(line.as_bytes(), label, into)
    {
        return Ok(length);
    }
    let (mut found, mut count, mut size) = (None, 0_usize, 0_usize);
    let mut members = ByteMembers::new(|name: &str, bytes: Vec<u8>| {
        count = count.saturating_add(1);
        if name == label {
            into.get_mut(..bytes.len()).ok_or(())?.copy_from_slice(&bytes);
            if found.replace(bytes.len()).is_some() {
                return Err(());
            }
        }
        if count > MAX_SIGNATURES { Err(()) } else { Ok(()) }
    });
    for line in fields.all().get_all("signature") {
        size = size.saturating_add(line.len());
        if size > MAX_SIGNATURE_HEADER {
            return Err(SignatureFault::TooLarge);
        }
        members.read(line.as_bytes()).map_err(|()| SignatureFault::NoSignature)?;
    }
    found.ok_or(SignatureFault::NoSignature)
}

/// `label=:…:` with 32 or 64 bytes, and nothing else.
fn single_signature(line: &[u8], label: &str, into: &mut [u8; 64]) -> Option<usize> {
    let encoded = line.strip_prefix(label.as_bytes())?.strip_prefix(b"=:")?.strip_suffix(b":")?;
    if !matches!(encoded.len(), 44 | 88) {
        return None;
    }
    let mut decoded = [0; 66];
    let length = STANDARD.decode_slice(encoded, &mut decoded).ok()?;
    into.get_mut(..length)?.copy_from_slice(decoded.get(..length)?);
    Some(length)
}
