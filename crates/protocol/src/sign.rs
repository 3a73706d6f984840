//! The sending end: the `Signature-Input` and `Signature` of one request (profile §4).
//!
//! ```
//! use bmap_protocol::keys::{TokenDigest, ToolKey};
//! use bmap_protocol::sign::{Request, RequestKey, Stamp, authorization, sign};
//!
//! let token = "eyJ4Ijoi.e30.AA"; // as the issuer gave it, with its signing key
//! let signing_key = ToolKey::from_bytes([1; 32]).signing_key(&TokenDigest::of(token.as_bytes()));
//! let authorization = authorization(token);
//! let request = Request {
//!     method: "GET", authority: "geo.example", path: "/v1/search", query: Some("q=Sofia"),
//!     authorization: Some(&authorization), ..Request::default()
//! };
//! let stamp = Stamp { created: 1_764_000_000, nonce: [9; 16], key_id: "AAAAAAAAAAAAAAAAAAAAAA" }; // a random nonce, the token's jti
//! let headers = sign(&request, &stamp, &RequestKey::token(&signing_key, token)?)?;
//! assert!(headers.signature_input.ends_with(r#";tag="bmap-1""#));
//! # Ok::<(), bmap_protocol::sign::SignError>(())
//! ```

use crate::TAG;
use crate::keys::{MacKey, SigningKey};
use crate::signature_base::{self, Absent, Component, Sink, Values};
use crate::target::{self, TargetFault};
use alloc::{string::String, vec::Vec};
use base64ct::{Base64, Base64UrlUnpadded, Encoding};

/// A request that is about to be sent, as the bytes that will stand on the wire.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// The method, upper case as sent.
    pub method: &'a str,
    /// Host in lower case, with the port unless it is the scheme's default.
    pub authority: &'a str,
    /// The path, as sent.
    pub path: &'a str,
    /// The query without its `?`; `None` where the target has none.
    pub query: Option<&'a str>,
    /// `Authorization`'s value, where a token is used.
    pub authorization: Option<&'a str>,
    /// `Content-Type`'s value, where there is a body and the header is sent.
    pub content_type: Option<&'a str>,
    /// `Content-Encoding`'s value, where there is a body and the header is sent.
    pub content_encoding: Option<&'a str>,
    /// `Content-Digest`'s value, where there is a body.
    pub content_digest: Option<&'a str>,
    /// More headers to cover: lower-case names and values as sent.
    pub more: &'a [(&'a str, &'a str)],
}

/// The values that make this signature unique.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// Seconds since 1970, in the server's time.
    pub created: u64,
    /// 16 random bytes, never used twice.
    pub nonce: [u8; 16],
    /// The token's `jti`, or the API key's id.
    pub key_id: &'a str,
}

/// The key that signs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RequestKey {
    /// HMAC-SHA256: a token's `K_sign` or an API key's `K_api`.
    Hmac(MacKey),
    /// A token's `K_sign`, with the token hashed already; see [`RequestKey::token`].
    Token(TokenKey),
    /// Ed25519: an API key of that kind.
    #[cfg(feature = "ed25519")]
    Ed25519(alloc::boxed::Box<ed25519_dalek::SigningKey>),
}

/// The result of [`RequestKey::token`].
#[derive(Clone, Debug)]
pub struct TokenKey {
    begun: MacKey,
}

impl RequestKey {
    /// The key of a tool token, for many requests with it.
    ///
    /// Its signatures cover `authorization` before everything else (the order is the sender's, profile §4): the token is two thirds
    /// of a base, and the same in each, so that it is hashed once and not per request. The request must be sent with [`authorization`] of the same token.
    ///
    /// # Errors
    /// [`SignError::Value`] for a token that can't be sent.
    pub fn token(key: &SigningKey, token: &str) -> Result<Self, SignError> {
        let authorization = authorization(token);
        sendable(&authorization)?;
        let request = Request { authorization: Some(&authorization), ..Request::default() };
        let mut line = Vec::with_capacity(authorization.len().saturating_add(32));
        signature_base::write_line(AUTHORIZATION, &request, &mut line).map_err(|Absent| SignError::Header)?;
        Ok(Self::Token(TokenKey { begun: MacKey::new(key).starting_with(&line) }))
    }
}

/// The two headers, ready to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureHeaders {
    /// `Signature-Input`.
    pub signature_input: String,
    /// `Signature`.
    pub signature: String,
}

/// Why a request can't be signed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// A verifier would refuse this target.
    #[error(transparent)]
    Target(#[from] TargetFault),
    /// A header among `more` that is not a lower-case field name, or that the profile covers by itself.
    #[error("a header to cover is not a lower-case field name, or is covered already")]
    Header,
    /// The method, authority, key id or a header's value holds a character that can't be sent.
    #[error("a value holds a character that can't be sent")]
    Value,
}

/// Most headers that can be covered beside the profile's own eight components: a verifier takes 16 in all.
pub const MAX_MORE: usize = 8;

/// Signs a request.
///
/// Covered are `@method @authority @path @query`, then `authorization`, `content-type`, `content-encoding` and `content-digest`
/// where they are given, then `more`. A [`RequestKey::Token`] brings its own `authorization`, and covers it first.
///
/// # Errors
/// [`SignError`]: nothing is signed that a verifier of this profile must refuse.
pub fn sign(request: &Request<'_>, stamp: &Stamp<'_>, key: &RequestKey) -> Result<SignatureHeaders, SignError> {
    sign_tagged(request, stamp, key, TAG)
}

/// As [`sign`], for another purpose: a verifier's own requests to its issuer have [`crate::LINK_TAG`]. A key signs under one tag only.
///
/// # Errors
/// As [`sign`].
pub fn sign_tagged(
    request: &Request<'_>,
    stamp: &Stamp<'_>,
    key: &RequestKey,
    tag: &'static str,
) -> Result<SignatureHeaders, SignError> {
    let (components, params) = prepare(request, stamp, matches!(key, RequestKey::Token(_)), tag)?;
    let signature = match key {
        RequestKey::Token(key) => {
            let mut stream = key.begun.begin();
            let after_the_token = components.iter().skip(1);
            signature_base::write(after_the_token, request, &params, &mut stream)
                .map_err(|Absent| SignError::Header)?;
            encode(&stream.finish())
        }
        RequestKey::Hmac(key) => {
            let mut stream = key.begin();
            signature_base::write(components.iter(), request, &params, &mut stream)
                .map_err(|Absent| SignError::Header)?;
            encode(&stream.finish())
        }
        #[cfg(feature = "ed25519")]
        RequestKey::Ed25519(key) => {
            use ed25519_dalek::Signer;
            let mut base = Vec::with_capacity(1024);
            signature_base::write(components.iter(), request, &params, &mut base)
                .map_err(|Absent| SignError::Header)?;
            encode(&key.sign(&base).to_bytes())
        }
    };
    Ok(SignatureHeaders { signature_input: concat(LABEL, &params), signature })
}

/// The signature base that [`sign`] signs, as text: for diagnosis, and for signing elsewhere.
///
/// # Errors
/// As [`sign`].
pub fn base(request: &Request<'_>, stamp: &Stamp<'_>) -> Result<Vec<u8>, SignError> {
    let (components, params) = prepare(request, stamp, false, TAG)?;
    let mut base = Vec::with_capacity(1024);
    signature_base::write(components.iter(), request, &params, &mut base).map_err(|Absent| SignError::Header)?;
    Ok(base)
}

/// The value of `Authorization` for a token.
pub fn authorization(token: &str) -> String {
    let mut value = String::with_capacity(token.len().saturating_add(8));
    value.push_str(crate::SCHEME);
    value.push(' ');
    value.push_str(token);
    value
}

const LABEL: &str = "bmap=";

/// The covered components in the profile's order.
struct Covered<'a> {
    components: [Component<'a>; 8 + MAX_MORE],
    length: usize,
}

impl<'a> Covered<'a> {
    fn push(&mut self, component: Component<'a>) -> Result<(), SignError> {
        *self.components.get_mut(self.length).ok_or(SignError::Header)? = component;
        self.length = self.length.saturating_add(1);
        Ok(())
    }

    fn as_slice(&self) -> &[Component<'a>] {
        self.components.get(..self.length).unwrap_or_default()
    }

    fn iter(&self) -> impl Iterator<Item = Component<'a>> {
        self.as_slice().iter().copied()
    }
}

const AUTHORIZATION: Component<'static> = Component::Header("authorization");

/// Checks everything that is to be signed, and writes `@signature-params`; `token_first` where a [`TokenKey`] signs, which has
/// checked and hashed `authorization`.
fn prepare<'a>(
    request: &Request<'a>,
    stamp: &Stamp<'_>,
    token_first: bool,
    tag: &str,
) -> Result<(Covered<'a>, String), SignError> {
    target::check_path(request.path.as_bytes())?;
    target::check_query(request.query.unwrap_or_default().as_bytes())?;
    let visible =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
    if !visible(request.method) || !visible(request.authority) || !visible(stamp.key_id) {
        return Err(SignError::Value);
    }
    let mut covered = Covered { components: [Component::Method; 8 + MAX_MORE], length: 0 };
    if token_first {
        covered.push(AUTHORIZATION)?;
    }
    for component in [Component::Method, Component::Authority, Component::Path, Component::Query] {
        covered.push(component)?;
    }
    for (name, value) in [
        ("authorization", request.authorization.filter(|_| !token_first)),
        ("content-type", request.content_type),
        ("content-encoding", request.content_encoding),
        ("content-digest", request.content_digest),
    ] {
        if let Some(value) = value {
            sendable(value)?;
            covered.push(Component::Header(name))?;
        }
    }
    for (name, value) in request.more {
        sendable(value)?;
        match Component::from_name(name) {
            Some(component @ Component::Header(_)) if !covered.as_slice().contains(&component) => {
                covered.push(component)?
            }
            _ => return Err(SignError::Header),
        }
    }
    let params = params(covered.as_slice(), stamp, tag);
    Ok((covered, params))
}

/// A field value as RFC 9110 §5.5 has it, without surrounding white space: the signed value is the one that arrives.
fn sendable(value: &str) -> Result<(), SignError> {
    let trimmed = value.trim_matches([' ', '\t']).len() == value.len();
    if trimmed && value.bytes().all(|b| b == b'\t' || (b >= b' ' && b != 0x7f)) {
        Ok(())
    } else {
        Err(SignError::Value)
    }
}

/// `("@method" …);created=…;nonce="…";keyid="…";tag="bmap-1"`.
fn params(components: &[Component<'_>], stamp: &Stamp<'_>, tag: &str) -> String {
    let mut text = String::with_capacity(256);
    let mut before = "(\"";
    for component in components {
        text.push_str(before);
        text.push_str(component.name());
        before = "\" \"";
    }
    text.push_str("\");created=");
    push_decimal(&mut text, stamp.created);
    text.push_str(";nonce=\"");
    let mut nonce = [0; 22];
    text.push_str(Base64UrlUnpadded::encode(&stamp.nonce, &mut nonce).unwrap_or_default()); // 16 bytes are 22 characters
    text.push_str("\";keyid=\"");
    text.push_str(stamp.key_id);
    text.push_str("\";tag=\"");
    text.push_str(tag);
    text.push('"');
    text
}

/// Decimal digits without the formatting machinery, which would outweigh the cryptography in WebAssembly.
fn push_decimal(text: &mut String, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut used: usize = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0'.wrapping_add((number % 10) as u8);
        number /= 10;
        used = used.saturating_add(1);
        if number == 0 {
            break;
        }
    }
    digits.iter().skip(digits.len().saturating_sub(used)).for_each(|digit| text.push(char::from(*digit)));
}

/// `bmap=:…:` for a MAC or a signature.
fn encode(signature: &[u8]) -> String {
    let mut encoded = [0; 88];
    let encoded = Base64::encode(signature, &mut encoded).unwrap_or_default(); // 64 bytes are 88 characters
    let mut value = String::with_capacity(96);
    value.push_str(LABEL);
    value.push(':');
    value.push_str(encoded);
    value.push(':');
    value
}

fn concat(a: &str, b: &str) -> String {
    let mut text = String::with_capacity(a.len().saturating_add(b.len()));
    text.push_str(a);
    text.push_str(b);
    text
}

impl Values for Request<'_> {
    fn put_value(&self, component: Component<'_>, sink: &mut impl Sink) -> Result<(), Absent> {
        let header = |value: Option<&str>, sink: &mut _| -> Result<(), Absent> {
            Sink::put(sink, value.ok_or(Absent)?.as_bytes());
            Ok(())
        };
        match component {
            Component::Method => sink.put(self.method.as_bytes()),
            Component::Authority => sink.put(self.authority.as_bytes()),
            Component::Path => sink.put(self.path.as_bytes()),
            Component::Query => {
                sink.put(b"?");
                sink.put(self.query.unwrap_or_default().as_bytes());
            }
            Component::Header("authorization") => header(self.authorization, sink)?,
            Component::Header("content-type") => header(self.content_type, sink)?,
            Component::Header("content-digest") => header(self.content_digest, sink)?,
            Component::Header(name) => {
                let given = if name == "content-encoding" { self.content_encoding } else { None };
                let more = || self.more.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
                header(given.or_else(more), sink)?
            }
            // The sending end covers the four parts that these are made of.
            Component::Scheme | Component::TargetUri | Component::RequestTarget => return Err(Absent),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
