//! The ID token (OpenID Connect Core §2, §3.1.3.7): the provider's statement about the user who signed in.

use super::fault::IdTokenFault;
use super::key_set::KeySet;
use super::provider::Provider;
use bmap_model::account::email::EmailAddress;
use bmap_model::clock::UnixTime;
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::Deserialize;

/// Longest ID token, in bytes.
pub const MAX_ID_TOKEN: usize = 16 * 1024;
/// How far the provider's clock may be off, in seconds.
pub const SKEW_SECONDS: i64 = 60;
/// Oldest ID token, in seconds: a code is swapped at once, so its token is as old as that.
pub const MAX_AGE_SECONDS: i64 = 600;
/// Longest subject, in bytes (OpenID Connect Core §2).
const MAX_SUBJECT: usize = 255;

/// The claims of a good ID token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdToken {
    /// The user's id at the provider.
    pub subject: String,
    /// An address that the provider says it has checked.
    pub email: Option<EmailAddress>,
    /// When they signed in there, in seconds, where the provider says so.
    pub auth_time: Option<i64>,
}

impl IdToken {
    /// That they signed in since they were sent there, at `sent`. Where `must_say` is false, a provider that was asked for that and does not
    /// say when it was is believed.
    ///
    /// # Errors
    /// [`IdTokenFault::Stale`].
    pub fn must_be_fresh(&self, sent: UnixTime, must_say: bool) -> Result<(), IdTokenFault> {
        let earliest = sent.seconds().saturating_sub(SKEW_SECONDS);
        let is_fresh = self.auth_time.map_or(!must_say, |at| at >= earliest);
        if is_fresh { Ok(()) } else { Err(IdTokenFault::Stale) }
    }
}

/// A claim of a wrong type does not parse, and is never "absent" (R01).
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: i64,
    iat: i64,
    nonce: String,
    auth_time: Option<serde_json::Value>,
    email: Option<serde_json::Value>,
    email_verified: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// The algorithm and key id of a token that is not checked yet.
///
/// # Errors
/// [`IdTokenFault`].
pub fn unverified_header(provider: &Provider, compact: &str) -> Result<(Algorithm, Option<String>), IdTokenFault> {
    if compact.len() > MAX_ID_TOKEN {
        return Err(IdTokenFault::Form);
    }
    // `none` and every algorithm that the library does not know fail here.
    let header: Header = jsonwebtoken::decode_header(compact).map_err(|_| IdTokenFault::Form)?;
    let is_id_token = header.typ.as_deref().is_none_or(|typ| typ.eq_ignore_ascii_case("jwt"));
    // A key or an address that a token brings along is the token's own word for itself (R07).
    let brings_keys = header.jku.is_some() || header.jwk.is_some() || header.x5u.is_some();
    if !is_id_token || brings_keys || header.crit.is_some() || header.zip.is_some() || header.enc.is_some() {
        return Err(IdTokenFault::Header);
    }
    if !provider.algorithms.contains(&header.alg) {
        return Err(IdTokenFault::Algorithm);
    }
    Ok((header.alg, header.kid))
}

/// Checks a token, everything of it.
///
/// # Errors
/// [`IdTokenFault`].
pub fn verify(
    provider: &Provider,
    keys: &KeySet,
    nonce: &str,
    compact: &str,
    now: UnixTime,
) -> Result<IdToken, IdTokenFault> {
    let (alg, kid) = unverified_header(provider, compact)?;
    let key = keys.find(kid.as_deref(), alg)?;
    let mut validation = Validation::new(alg);
    // The claims are looked at below, with the injected clock; the library checks the signature alone.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let claims = jsonwebtoken::decode::<Claims>(compact, &key, &validation).map(|read| read.claims);
    let claims = claims.map_err(|error| match error.kind() {
        jsonwebtoken::errors::ErrorKind::InvalidSignature => IdTokenFault::Signature,
        _ => IdTokenFault::Form,
    })?;
    if claims.iss != provider.issuer.as_str() {
        return Err(IdTokenFault::Issuer);
    }
    let (is_for_us, is_for_others) = match &claims.aud {
        Audience::One(one) => (*one == provider.client_id, false),
        Audience::Several(all) => (all.contains(&provider.client_id), all.len() > 1),
    };
    // The client that asked for it: needed where several may read it, and checked wherever it stands (OpenID Connect
    // Core §3.1.3.7).
    let is_asked_by_us = claims.azp.map_or(!is_for_others, |azp| azp == provider.client_id);
    if !is_for_us || !is_asked_by_us {
        return Err(IdTokenFault::Audience);
    }
    let now = now.seconds();
    let is_over = now >= claims.exp.saturating_add(SKEW_SECONDS);
    let is_ahead = claims.iat > now.saturating_add(SKEW_SECONDS);
    let is_old = claims.iat < now.saturating_sub(MAX_AGE_SECONDS);
    if is_over || is_ahead || is_old {
        return Err(IdTokenFault::Time);
    }
    if claims.nonce != nonce {
        return Err(IdTokenFault::Nonce);
    }
    if !(1..=MAX_SUBJECT).contains(&claims.sub.len()) || !claims.sub.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
    {
        return Err(IdTokenFault::Subject);
    }
    // Only the provider's plain `true` counts: an address that it did not check could be another person's.
    let is_checked = claims.email_verified == Some(serde_json::Value::Bool(true));
    let email =
        claims.email.as_ref().and_then(|email| EmailAddress::parse(email.as_str()?).ok()).filter(|_| is_checked);
    // Required only where a sign-in has to be fresh; a malformed time counts as long ago, and not as absent (R01).
    let auth_time = claims.auth_time.map(|time| time.as_i64().unwrap_or(0));
    Ok(IdToken { subject: claims.sub, email, auth_time })
}
