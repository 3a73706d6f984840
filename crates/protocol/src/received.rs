//! `Signature-Input` and `Signature` as received (RFC 9421 §4), held to the profile (§4).
//!
//! The grammar is `sfv`'s (RFC 9651). It can't give the member's own bytes, which are the value of `@signature-params`:
//! they are cut out between this label and the next, and go into the base as received.
//!
//! ```
//! use bmap_protocol::fields::Fields;
//! use bmap_protocol::received::UnverifiedSignature;
//! use bmap_protocol::signature_base::Component;
//! use http::{HeaderMap, HeaderValue};
//!
//! let input = r#"b=("@method" "@path");created=7;nonce="AAAAAAAAAAAAAAAAAAAAAA";keyid="k";tag="bmap-1""#;
//! let mut headers = HeaderMap::new();
//! headers.insert("signature-input", HeaderValue::from_static(input));
//! headers.insert("signature", HeaderValue::from_static("b=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:"));
//! let signature = UnverifiedSignature::parse(&Fields::of(&headers))?;
//! assert_eq!((signature.created, signature.key_id), (7, "k"));
//! assert!(signature.covers(Component::Path) && !signature.covers(Component::Authority));
//! # Ok::<(), bmap_protocol::refusal::Refusal>(())
//! ```

use crate::fields::{Field, Fields};
use crate::refusal::Refusal;
use crate::signature_base::Component;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

mod canonical;
mod covered;
mod dictionary;
mod fault;
mod member;
mod signature;

pub use covered::MAX_COMPONENTS;
pub use fault::{MAX_SIGNATURE_HEADER, MAX_SIGNATURES, SignatureFault};

use covered::Covered;
use member::Member;

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
            return Ok(Self::of(member, fields, true)?);
        }
        Self::parse_dictionary(fields, crate::TAG, true)
    }

    /// Reads the one signature of a verifier's own request to its issuer ([`crate::LINK_TAG`], profile §13).
    ///
    /// # Errors
    /// As [`UnverifiedSignature::parse`].
    pub fn parse_link(fields: &Fields<'a>) -> Result<Self, Refusal> {
        Self::parse_dictionary(fields, crate::LINK_TAG, true)
    }

    /// As [`UnverifiedSignature::parse`] with its fast paths switched off: to compare with.
    ///
    /// # Errors
    /// As [`UnverifiedSignature::parse`].
    pub fn parse_slowly(fields: &Fields<'a>) -> Result<Self, Refusal> {
        Self::parse_dictionary(fields, crate::TAG, false)
    }

    fn parse_dictionary(fields: &Fields<'a>, tag: &'static str, fast: bool) -> Result<Self, Refusal> {
        let member = dictionary::member(fields, tag)?.ok_or(Refusal::Unsigned)?;
        Ok(Self::of(member, fields, fast)?)
    }

    /// Holds our member to the profile, and finds its signature.
    fn of(member: Member<'a>, fields: &Fields<'a>, fast: bool) -> Result<Self, SignatureFault> {
        if let Some(fault) = member.fault {
            return Err(fault);
        }
        if !member.covered.distinct(member.params) {
            return Err(SignatureFault::Component);
        }
        let key_id = member.key_id.ok_or(SignatureFault::Parameter("keyid"))?;
        // A nonce and a received signature are no secrets, so decoding them may take a time that depends on them.
        let mut nonce = [0; 18];
        let encoded = member.nonce.unwrap_or_default();
        let length = URL_SAFE_NO_PAD.decode_slice(encoded, &mut nonce).unwrap_or_default();
        let nonce = nonce.get(..length).and_then(|nonce| nonce.try_into().ok());
        let nonce = nonce.ok_or(SignatureFault::Parameter("nonce"))?;
        let mut signature = [0; 64];
        let signature_length = signature::of_label(fields, member.label, fast, &mut signature)?;
        Ok(Self {
            params: member.params,
            created: member.created.ok_or(SignatureFault::Parameter("created"))?,
            expires: member.expires,
            nonce,
            key_id,
            covered: member.covered,
            signature,
            signature_length,
        })
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
