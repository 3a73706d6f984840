//! The receiving end: one function for each pure step of a verifier (profile §5). The order is the verifier's.
//!
//! ```
//! use bmap_protocol::check::{self, Window};
//! use bmap_protocol::origin::Origin;
//!
//! assert!(check::request_target("/v1/search", Some("q=Sofia")).is_ok());
//! let own = ["https://geo.example".parse::<Origin>()?];
//! assert_eq!(check::own_origin("GEO.example:443", &own).unwrap(), &own[0]);
//! assert_eq!(Window::DEFAULT.record_until(1_764_000_000), 1_764_000_066);
//! # Ok::<(), bmap_protocol::origin::InvalidOrigin>(())
//! ```

use crate::digest::BodyDigest;
use crate::fields::{Field, Fields};
use crate::ids::{Issuer, ToolId};
use crate::keys::MacKey;
use crate::origin::Origin;
use crate::received::UnverifiedSignature;
use crate::refusal::{Denial, Mismatch, Refusal};
use crate::signature_base::{self, Absent, Component};
use crate::target;
use crate::token::{Claims, Confirmation, MAX_LIFE, TokenFault, UnverifiedToken};

mod coverage;
mod values;

pub use coverage::{body_coverage, coverage};

/// A request as it was received. The authority is one of the verifier's own by then, see [`authority`].
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The method.
    pub method: &'a str,
    /// The scheme that callers use, lower case: of the verifier's own base URL, since a proxy may end TLS.
    pub scheme: &'a str,
    /// Host in lower case, default port dropped.
    pub authority: &'a str,
    /// The path as it stood on the wire.
    pub path: &'a str,
    /// The query as it stood on the wire, without its `?`.
    pub query: Option<&'a str>,
    /// The headers.
    pub fields: &'a Fields<'a>,
}

/// The window in which `created` must lie (profile §4), seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How old a signature may be.
    pub past: u32,
    /// How far the sender's clock may be ahead.
    pub future: u32,
}

impl Window {
    /// The profile's default: 60 s back, 5 s ahead.
    pub const DEFAULT: Window = Window { past: 60, future: 5 };

    /// Until when a replay record of a request must live: `created + window + skew + 1 s` (profile §5).
    ///
    /// The one place that ties the window to the replay store's memory.
    pub const fn record_until(self, created: i64) -> i64 {
        created.saturating_add(self.past as i64).saturating_add(self.future as i64).saturating_add(1)
    }
}

/// Step 2: request-target rules.
///
/// # Errors
/// [`Refusal::Target`].
pub fn request_target(path: &str, query: Option<&str>) -> Result<(), Refusal> {
    target::check_path(path.as_bytes())?;
    target::check_query(query.unwrap_or_default().as_bytes())?;
    Ok(())
}

/// Step 3: the token behind `HTTPSig` in `Authorization`, not yet believed; `None` where the header is absent.
///
/// # Errors
/// [`Refusal::Header`] for a repeated header, [`Refusal::Token`] for another scheme or no compact JWT.
pub fn authorization<'a>(fields: &Fields<'a>) -> Result<Option<UnverifiedToken<'a>>, Refusal> {
    presented_token(fields)?.map(unverified_token).transpose()
}

/// Step 3: what stands behind `HTTPSig` in `Authorization`, whatever it is.
///
/// # Errors
/// [`Refusal::Header`] for a repeated header, [`Refusal::Token`] for another scheme.
pub fn presented_token<'a>(fields: &Fields<'a>) -> Result<Option<&'a [u8]>, Refusal> {
    let value = match fields.authorization {
        Field::Absent => return Ok(None),
        Field::Once(value) => value.as_bytes(),
        Field::Repeated => return Err(AUTHORIZATION_FAULT),
    };
    match value.split_at_checked(SCHEME_AND_SPACE.len()) {
        // One or more spaces part a scheme from its credentials (`1*SP`, RFC 9110 §11.4).
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME_AND_SPACE) => Ok(Some(without_leading_spaces(rest))),
        _ if value.is_ascii() => Err(TokenFault::Absent.into()),
        _ => Err(AUTHORIZATION_FAULT),
    }
}

fn without_leading_spaces(mut rest: &[u8]) -> &[u8] {
    while let Some(shorter) = rest.strip_prefix(b" ") {
        rest = shorter;
    }
    rest
}

/// Step 3: a presented token as a compact JWT.
///
/// # Errors
/// [`Refusal::Header`] for a byte outside ASCII, [`Refusal::Token`] for no compact JWT.
pub fn unverified_token(presented: &[u8]) -> Result<UnverifiedToken<'_>, Refusal> {
    let compact = std::str::from_utf8(presented).ok().filter(|text| text.is_ascii()).ok_or(AUTHORIZATION_FAULT)?;
    Ok(UnverifiedToken::parse(compact)?)
}

const AUTHORIZATION_FAULT: Refusal = Refusal::Header { name: "authorization" };

/// Step 3: `Host` and the request target's authority, which must not disagree (R30).
///
/// # Errors
/// [`Refusal::Header`] if there is none, or there are two that differ.
pub fn authority<'a>(uri: Option<&'a str>, fields: &Fields<'a>) -> Result<&'a str, Refusal> {
    let host = fields.host.single("host")?;
    match (uri, host) {
        (Some(uri), Some(host)) if !uri.eq_ignore_ascii_case(host) => Err(Refusal::Header { name: "host" }),
        (Some(authority), _) | (None, Some(authority)) => Ok(authority),
        (None, None) => Err(Refusal::Header { name: "host" }),
    }
}

/// Step 3: which of the verifier's own base URLs the request came to. The received authority is compared without regard
/// to case and with the scheme's default port dropped (RFC 9421 §2.2.3); the configured spelling is signed.
///
/// # Errors
/// [`Mismatch::Authority`] where it is none of them: a request for another server.
pub fn own_origin<'a>(received: &str, own: &'a [Origin]) -> Result<&'a Origin, Refusal> {
    let same = |origin: &&Origin| {
        let bare = match origin.scheme() {
            "https" => received.strip_suffix(":443"),
            _ => received.strip_suffix(":80"),
        };
        let bare = bare.unwrap_or(received);
        bare == origin.authority() || bare.eq_ignore_ascii_case(origin.authority())
    };
    own.iter().find(same).ok_or(Refusal::InvalidSignature(Mismatch::Authority))
}

/// Step 4: `created` and `expires` against the verifier's time, seconds.
///
/// # Errors
/// [`Refusal::ClockSkew`].
pub fn time_window(signature: &UnverifiedSignature<'_>, now: i64, window: Window) -> Result<(), Refusal> {
    let created = signature.created;
    let fresh =
        created >= now.saturating_sub(window.past.into()) && created <= now.saturating_add(window.future.into());
    if fresh && signature.expires.is_none_or(|expires| expires > now) {
        Ok(())
    } else {
        Err(Refusal::ClockSkew { created, now })
    }
}

/// Step 6: the MAC over the base that is rebuilt from the received request, compared in constant time. No heap.
///
/// # Errors
/// [`Refusal::InvalidSignature`].
pub fn mac(received: &Received<'_>, signature: &UnverifiedSignature<'_>, key: &MacKey) -> Result<(), Refusal> {
    let mut stream = key.begin();
    signature_base::write(signature.components(), received, signature.params, &mut stream)
        .map_err(|Absent| Refusal::InvalidSignature(Mismatch::AbsentHeader))?;
    if stream.verify(signature.signature()) { Ok(()) } else { Err(Refusal::InvalidSignature(Mismatch::Mac)) }
}

/// The key of a token that is known: its MAC over a base that begins with that token's `authorization` is begun already.
#[derive(Clone, Debug)]
pub struct TokenMacKey {
    key: MacKey,
    begun: MacKey,
}

impl TokenMacKey {
    /// Hashes the token's line, once.
    pub fn new(key: MacKey, compact_token: &str) -> Self {
        let line = [b"\"authorization\": ", SCHEME_AND_SPACE, compact_token.as_bytes(), b"\n"].concat();
        Self { begun: key.starting_with(&line), key }
    }
}

/// Step 6 for a known token: as [`mac`], without hashing the token again where the sender covers it first, as our SDK does.
///
/// The caller looked the key up by the token in this request's `Authorization`; its scheme is compared here.
///
/// # Errors
/// [`Refusal::InvalidSignature`].
pub fn token_mac(
    received: &Received<'_>,
    signature: &UnverifiedSignature<'_>,
    key: &TokenMacKey,
) -> Result<(), Refusal> {
    let begun = match received.fields.authorization {
        Field::Once(value) => {
            let rest = value.as_bytes().strip_prefix(SCHEME_AND_SPACE);
            rest.is_some_and(|rest| !rest.starts_with(b" "))
        }
        _ => false,
    };
    let mut components = signature.components();
    match components.next() {
        Some(Component::Header("authorization")) if begun => {
            let mut stream = key.begun.begin();
            signature_base::write(components, received, signature.params, &mut stream)
                .map_err(|Absent| Refusal::InvalidSignature(Mismatch::AbsentHeader))?;
            if stream.verify(signature.signature()) { Ok(()) } else { Err(Refusal::InvalidSignature(Mismatch::Mac)) }
        }
        _ => mac(received, signature, &key.key),
    }
}

/// [`crate::SCHEME`] as our own SDK spells it. Other cases are accepted (RFC 9110 §11.1), and hashed as they came.
const SCHEME_AND_SPACE: &[u8] = b"HTTPSig ";

/// Step 6 for an API key that signs with Ed25519 (RFC 8032 §5.1.7, RFC 9421 §3.3.6).
///
/// # Errors
/// [`Refusal::InvalidSignature`].
pub fn ed25519(
    received: &Received<'_>,
    signature: &UnverifiedSignature<'_>,
    public_key: &[u8; 32],
) -> Result<(), Refusal> {
    let base = base(received, signature)?;
    let wrong = Refusal::InvalidSignature(Mismatch::Mac);
    let key = ed25519_dalek::VerifyingKey::from_bytes(public_key).map_err(|_| wrong)?;
    let bytes: &[u8; 64] = signature.signature().try_into().map_err(|_| wrong)?;
    key.verify_strict(&base, &ed25519_dalek::Signature::from_bytes(bytes)).map_err(|_| wrong)
}

/// The base as the verifier rebuilds it, as text: for Ed25519 and for diagnosis.
///
/// # Errors
/// [`Refusal::InvalidSignature`] if a covered header is absent.
pub fn base(received: &Received<'_>, signature: &UnverifiedSignature<'_>) -> Result<Vec<u8>, Refusal> {
    let mut base = Vec::with_capacity(1024);
    signature_base::write(signature.components(), received, signature.params, &mut base)
        .map_err(|Absent| Refusal::InvalidSignature(Mismatch::AbsentHeader))?;
    Ok(base)
}

/// Step 7: the claims against this verifier and the time, seconds; `epoch` is the one whose key the MAC held under.
///
/// # Errors
/// [`Refusal::Token`], [`Refusal::TokenExpired`], or [`Mismatch::KeyId`] where `keyid` is not the token's `jti`.
pub fn claims(
    claims: &Claims,
    signature: &UnverifiedSignature<'_>,
    issuer: &Issuer,
    tool: &ToolId,
    epoch: u32,
    now: i64,
    window: Window,
) -> Result<(), Refusal> {
    if claims.issuer != *issuer {
        return Err(TokenFault::Issuer.into());
    }
    if !matches!(&claims.confirmation, Confirmation::Session { tool: t, epoch: e } if t == tool && *e == epoch) {
        return Err(TokenFault::Confirmation.into());
    }
    let now_unsigned = u64::try_from(now).unwrap_or(0);
    let ahead = now_unsigned.saturating_add(window.future.into());
    let life = claims.expires_at.checked_sub(claims.issued_at);
    if !life.is_some_and(|life| (1..=MAX_LIFE).contains(&life))
        || claims.issued_at > ahead
        || claims.not_before.is_some_and(|not_before| not_before > ahead)
    {
        return Err(TokenFault::Times.into());
    }
    if now_unsigned >= claims.expires_at {
        return Err(Refusal::TokenExpired { expired: claims.expires_at, now });
    }
    if *claims.id != *signature.key_id {
        return Err(Refusal::InvalidSignature(Mismatch::KeyId));
    }
    Ok(())
}

/// Step 9: `Origin` against the token's `origin` (profile §5).
///
/// Present, it equals the token's. Absent, the token has none, or the request came to the page's own origin, where
/// browsers leave it out.
///
/// # Errors
/// [`Denial::Origin`].
pub fn origin(claims: &Claims, fields: &Fields<'_>, own: &Origin) -> Result<(), Refusal> {
    if let (Field::Once(sent), Some(bound)) = (fields.origin, &claims.origin)
        && sent.as_bytes() == bound.as_str().as_bytes()
    {
        return Ok(());
    }
    let allowed = match (fields.origin.single("origin")?, &claims.origin) {
        (Some(sent), Some(bound)) => sent == bound.as_str(),
        (Some(_), None) => false,
        (None, Some(bound)) => bound == own,
        (None, None) => true,
    };
    if allowed { Ok(()) } else { Err(Refusal::Denied(Denial::Origin)) }
}

/// The request's `Origin`, as it was sent.
///
/// # Errors
/// [`Refusal::Header`] for a repeated header.
pub fn sent_origin<'a>(fields: &Fields<'a>) -> Result<Option<&'a str>, Refusal> {
    fields.origin.single("origin")
}

/// Step 10: the digest that the header has against the body's. A header in several lines is one dictionary (RFC 9651 §4.2).
///
/// # Errors
/// [`Refusal::Digest`] for a header that has no SHA-256, [`Refusal::DigestMismatch`].
pub fn content_digest(fields: &Fields<'_>, actual: &BodyDigest) -> Result<(), Refusal> {
    if let Field::Once(value) = fields.content_digest
        && actual.is_spelled(value.as_bytes())
    {
        return Ok(());
    }
    let lines = fields.all().get_all("content-digest");
    let claimed = BodyDigest::parse_lines(lines.iter().map(|line| line.as_bytes())).map_err(Refusal::Digest)?;
    if claimed.matches(actual) { Ok(()) } else { Err(Refusal::DigestMismatch) }
}
