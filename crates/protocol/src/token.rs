//! The tool token (profile §3): a JWT access token (RFC 9068) signed with EdDSA (RFC 8037), read strictly.
//!
//! [`UnverifiedToken`] becomes [`Claims`] in one place, [`UnverifiedToken::verify`]: header first, then the signature,
//! and the claims last, so that nothing of an unsigned token is ever interpreted.
//!
//! ```
//! use bmap_protocol::token::{TokenFault, UnverifiedToken};
//!
//! // Cut into its parts, and nothing of it believed.
//! let token = UnverifiedToken::parse("e30.eyJhdWQiOiJnZW8ifQ.AA")?;
//! assert_eq!(token.unverified_audience().unwrap().as_str(), "geo");
//! assert_eq!(token.verify(&[]).unwrap_err(), TokenFault::Header);
//! # Ok::<(), TokenFault>(())
//! ```

use crate::claims::RawClaims;
pub use crate::claims::{Assurance, Claims, Confirmation, Subject};
use crate::ids::ToolId;
use base64ct::{Base64UrlUnpadded, Encoding};
use ed25519_dalek::{Signature, VerifyingKey};
use serde::Deserialize;

/// Most bytes of a compact token.
pub const MAX_TOKEN: usize = 4096;
/// Most seconds between `iat` and `exp` (profile §3).
pub const MAX_LIFE: u64 = 600;
/// The one `typ` (RFC 9068 §2.1).
pub const TYPE: &str = "at+jwt";

/// Why a token is not one of ours. Never told to the caller.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// No `Authorization: HTTPSig <token>`.
    #[error("no HTTPSig token in Authorization")]
    Absent,
    /// Not three base64url parts of at most [`MAX_TOKEN`] bytes in all.
    #[error("not a compact JWT")]
    Form,
    /// The header is not exactly `alg`, `typ` and `kid` with the profile's values.
    #[error("the header is outside the profile")]
    Header,
    /// `kid` names no key of the issuer.
    #[error("unknown kid")]
    UnknownKey,
    /// The issuer's signature does not hold.
    #[error("the issuer's signature does not hold")]
    Signature,
    /// The claims are not the profile's: missing, of another type, or outside their grammar.
    #[error("the claims are outside the profile")]
    Claims,
    /// `iss` is another issuer.
    #[error("another issuer")]
    Issuer,
    /// `exp`, `iat` or `nbf` can't be.
    #[error("impossible times")]
    Times,
    /// `cnf` names another key than the one that the signature holds under.
    #[error("the confirmation key is another one")]
    Confirmation,
}

/// One public key of the issuer.
#[derive(Clone, Debug)]
pub struct IssuerKey {
    kid: Box<str>,
    key: VerifyingKey,
}

impl IssuerKey {
    /// Takes a raw Ed25519 public key (the `x` of its JWK, RFC 8037 §2).
    ///
    /// # Errors
    /// [`TokenFault::UnknownKey`] if the bytes are no point on the curve, or one of small order.
    pub fn new(kid: &str, public_key: &[u8; 32]) -> Result<Self, TokenFault> {
        let key = VerifyingKey::from_bytes(public_key).map_err(|_| TokenFault::UnknownKey)?;
        if key.is_weak() {
            return Err(TokenFault::UnknownKey);
        }
        Ok(Self { kid: kid.into(), key })
    }

    /// The key's id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The raw public key.
    pub fn public_key(&self) -> [u8; 32] {
        self.key.to_bytes()
    }
}

/// A compact token that is not checked yet.
#[derive(Clone, Copy, Debug)]
pub struct UnverifiedToken<'a> {
    compact: &'a str,
    /// Where the payload begins.
    payload: usize,
    /// Where the signature begins.
    signature: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

impl<'a> UnverifiedToken<'a> {
    /// Cuts a compact token into its parts, without looking into them.
    ///
    /// # Errors
    /// [`TokenFault::Form`] if it is too long or not three parts.
    pub fn parse(compact: &'a str) -> Result<Self, TokenFault> {
        if compact.len() > MAX_TOKEN {
            return Err(TokenFault::Form);
        }
        // A further dot would be in the payload, which is then no base64url.
        let (first, last) =
            compact.find('.').zip(compact.rfind('.')).filter(|(first, last)| first < last).ok_or(TokenFault::Form)?;
        Ok(Self { compact, payload: first.saturating_add(1), signature: last.saturating_add(1) })
    }

    fn header(&self) -> &'a str {
        self.compact.get(..self.payload.saturating_sub(1)).unwrap_or_default()
    }

    fn payload(&self) -> &'a str {
        self.compact.get(self.payload..self.signature.saturating_sub(1)).unwrap_or_default()
    }

    fn signed(&self) -> &'a str {
        self.compact.get(..self.signature.saturating_sub(1)).unwrap_or_default()
    }

    fn signature(&self) -> &'a str {
        self.compact.get(self.signature..).unwrap_or_default()
    }

    /// The token exactly as received.
    pub fn compact(&self) -> &'a str {
        self.compact
    }

    /// The tool that the token says it is for: chooses which key to try, decides nothing.
    ///
    /// `None` where it can't be read.
    pub fn unverified_audience(&self) -> Option<ToolId> {
        #[derive(Deserialize)]
        struct Audience {
            aud: String,
        }
        ToolId::parse(&decode_json::<Audience>(self.payload())?.aud).ok()
    }

    /// Checks header and signature, then reads the claims (profile §5, step 7). Times and audience are for
    /// [`crate::check`].
    ///
    /// # Errors
    /// [`TokenFault`]: for the log; the caller hears `invalid_token`.
    pub fn verify(&self, keys: &[IssuerKey]) -> Result<Claims, TokenFault> {
        Ok(self.verify_by(keys)?.0)
    }

    /// As [`UnverifiedToken::verify`], with the key that made the signature.
    ///
    /// # Errors
    /// As [`UnverifiedToken::verify`].
    pub fn verify_by<'k>(&self, keys: &'k [IssuerKey]) -> Result<(Claims, &'k IssuerKey), TokenFault> {
        let header: Header = decode_json(self.header()).ok_or(TokenFault::Header)?;
        if header.alg != "EdDSA" || header.typ != TYPE {
            return Err(TokenFault::Header);
        }
        let key = keys.iter().find(|key| *key.kid == *header.kid).ok_or(TokenFault::UnknownKey)?;
        let mut signature = [0; 64];
        match Base64UrlUnpadded::decode(self.signature(), &mut signature) {
            Ok(decoded) if decoded.len() == 64 => {}
            _ => return Err(TokenFault::Signature),
        }
        key.key
            .verify_strict(self.signed().as_bytes(), &Signature::from_bytes(&signature))
            .map_err(|_| TokenFault::Signature)?;
        let claims = decode_json::<RawClaims>(self.payload()).and_then(RawClaims::validate);
        Ok((claims.ok_or(TokenFault::Claims)?, key))
    }
}

/// base64url without padding, then JSON of the expected shape; repeated members are refused.
fn decode_json<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    let bytes = Base64UrlUnpadded::decode_vec(part).ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};

    const CLAIMS: &str = r#"{"iss":"https://auth.example","sub":"anon","aud":"geo","client_id":"bmk_0192f0c1a7e27c3c9f60b2b4b1c7a0ff","iat":1000,"exp":1300,"jti":"AAAAAAAAAAAAAAAAAAAAAA","scope":"","asr":"origin","cnf":{"kid":"bt1.geo.1"}}"#;
    const HEADER: &str = r#"{"alg":"EdDSA","typ":"at+jwt","kid":"bj1.x"}"#;

    fn mint(header: &str, claims: &str) -> String {
        let signed = format!(
            "{}.{}",
            Base64UrlUnpadded::encode_string(header.as_bytes()),
            Base64UrlUnpadded::encode_string(claims.as_bytes())
        );
        let signature = SigningKey::from_bytes(&[3; 32]).sign(signed.as_bytes());
        format!("{signed}.{}", Base64UrlUnpadded::encode_string(&signature.to_bytes()))
    }

    fn verify(token: &str) -> Result<Claims, TokenFault> {
        let public_key = SigningKey::from_bytes(&[3; 32]).verifying_key().to_bytes();
        UnverifiedToken::parse(token)?.verify(&[IssuerKey::new("bj1.x", &public_key).unwrap()])
    }

    #[test]
    fn a_good_token_gives_its_claims() {
        let claims = verify(&mint(HEADER, CLAIMS)).unwrap();
        assert_eq!((claims.audience.as_str(), claims.expires_at, claims.origin), ("geo", 1300, None));
    }

    #[test]
    fn the_unverified_audience_is_a_tool_id_or_nothing() {
        let audience = |claims: &str| UnverifiedToken::parse(&mint(HEADER, claims)).unwrap().unverified_audience();
        assert_eq!(audience(CLAIMS), ToolId::parse("geo").ok());
        for claims in ["{}", "[]", "x", r#"{"aud":["geo"]}"#, r#"{"aud":"../geo"}"#, r#"{"aud":"geo","aud":"router"}"#]
        {
            assert_eq!(audience(claims), None, "{claims}");
        }
    }

    #[test]
    fn r01_claims_of_another_type_are_not_absent() {
        for (from, to) in [
            ("\"exp\":1300", "\"exp\":\"never\""),
            ("\"exp\":1300", "\"exp\":1e400"),
            ("\"exp\":1300", "\"exp\":1300.5"),
            ("\"exp\":1300", "\"exp\":-1"),
            ("\"exp\":1300", "\"exp\":null"),
            ("\"exp\":1300,", ""),
            ("\"exp\":1300", "\"exp\":1300,\"exp\":9300"),
            ("\"iat\":1000", "\"iat\":1000,\"nbf\":\"99999999999\""),
            ("\"iat\":1000", "\"iat\":1000,\"nbf\":null"),
            ("\"aud\":\"geo\"", "\"aud\":[\"geo\"]"),
            ("\"aud\":\"geo\"", "\"aud\":\"../geo\""),
            ("\"asr\":\"origin\"", "\"asr\":\"root\""),
            ("\"scope\":\"\"", "\"scope\":\"\",\"origin\":\"null\""),
            ("\"scope\":\"\"", "\"scope\":\"\",\"origin\":\"https://a.example/\""),
            ("\"scope\":\"\"", "\"scope\":[]"),
            ("bt1.geo.1", "bt1.geo.01"),
            ("bt1.geo.1", "bt1.geo.+1"),
            ("bt1.geo.1", "bt1.geo.4294967296"),
            ("bt1.geo.1", "bt2.geo.1"),
            ("{\"kid\":\"bt1.geo.1\"}", "{\"kid\":\"bt1.geo.1\",\"jwk\":{}}"),
            ("AAAAAAAAAAAAAAAAAAAAAA", "AAAA"),
            ("\"sub\":\"anon\"", "\"sub\":\"admin\""),
        ] {
            let claims = CLAIMS.replacen(from, to, 1);
            assert_ne!(claims, CLAIMS, "{from}");
            assert_eq!(verify(&mint(HEADER, &claims)), Err(TokenFault::Claims), "{to}");
        }
    }

    #[test]
    fn r03_other_algorithms_are_refused() {
        for alg in ["none", "nOnE", "HS256", "ES256", "RS256", "eddsa", ""] {
            assert_eq!(verify(&mint(&HEADER.replace("EdDSA", alg), CLAIMS)), Err(TokenFault::Header), "{alg}");
        }
        // HS256 keyed with our public key, in the forms that a confused library would take it in.
        let public_key = SigningKey::from_bytes(&[3; 32]).verifying_key().to_bytes();
        let signed = format!(
            "{}.{}",
            Base64UrlUnpadded::encode_string(HEADER.replace("EdDSA", "HS256").as_bytes()),
            Base64UrlUnpadded::encode_string(CLAIMS.as_bytes())
        );
        for key in [public_key.to_vec(), Base64UrlUnpadded::encode_string(&public_key).into_bytes()] {
            let mac = crate::keys::MacKey::from_key_bytes(&key).mac(signed.as_bytes());
            let token = format!("{signed}.{}", Base64UrlUnpadded::encode_string(&mac));
            assert_eq!(verify(&token), Err(TokenFault::Header));
        }
        for typ in ["JWT", "application/at+jwt", "AT+JWT", ""] {
            assert_eq!(verify(&mint(&HEADER.replace("at+jwt", typ), CLAIMS)), Err(TokenFault::Header), "{typ}");
        }
    }

    #[test]
    fn r07_foreign_header_parameters_and_kids_are_refused() {
        for name in ["jku", "jwk", "x5u", "x5c", "crit", "zip", "b64", "extra"] {
            let header = HEADER.replacen('{', &format!("{{\"{name}\":\"https://evil.example\","), 1);
            assert_eq!(verify(&mint(&header, CLAIMS)), Err(TokenFault::Header), "{name}");
        }
        for kid in ["../../dev/null", "' OR 1=1--", "bj1.y", "", "\\u0000", &"k".repeat(2000)] {
            assert_eq!(verify(&mint(&HEADER.replace("bj1.x", kid), CLAIMS)), Err(TokenFault::UnknownKey), "{kid}");
        }
        let twice = HEADER.replacen('{', "{\"kid\":\"bj1.y\",", 1);
        assert_eq!(verify(&mint(&twice, CLAIMS)), Err(TokenFault::Header));
    }

    #[test]
    fn r05_dots_and_other_noise_are_no_token() {
        let dots = ".".repeat(15_000);
        for token in [dots.as_str(), "", ".", "..", "...", "a.b", "a.b.c.d"] {
            let fault = verify(token).unwrap_err();
            assert!(matches!(fault, TokenFault::Form | TokenFault::Header), "{} {fault}", token.len());
        }
        let token = mint(HEADER, CLAIMS);
        for cut in 0..token.len() {
            assert!(verify(&token[..cut]).is_err(), "{cut}");
        }
        assert_eq!(verify(&format!("{token}=")), Err(TokenFault::Signature));
    }

    #[test]
    fn a_token_of_one_dot_has_no_form_and_the_bound_on_length_is_exact() {
        for token in ["a.b", ".", "", "ab"] {
            assert_eq!(UnverifiedToken::parse(token).unwrap_err(), TokenFault::Form, "{token}");
        }
        let of = |length: usize| format!("a.{}.c", "b".repeat(length - 4));
        assert_eq!(UnverifiedToken::parse(&of(MAX_TOKEN)).unwrap().compact(), of(MAX_TOKEN));
        assert_eq!(UnverifiedToken::parse(&of(MAX_TOKEN + 1)).unwrap_err(), TokenFault::Form);
    }

    #[test]
    fn an_issuers_key_is_what_it_was_made_of() {
        let public_key = SigningKey::from_bytes(&[3; 32]).verifying_key().to_bytes();
        let key = IssuerKey::new("bj1.x", &public_key).unwrap();
        assert_eq!((key.kid(), key.public_key()), ("bj1.x", public_key));
    }

    #[test]
    fn a_signature_without_its_last_zeros_is_another_and_no_signature() {
        // The last byte of an Ed25519 signature is 0 in one of sixteen.
        let token = (0..)
            .map(|at| mint(HEADER, &CLAIMS.replace("1300", &(1300 + at).to_string())))
            .find(|token| Base64UrlUnpadded::decode_vec(token.rsplit('.').next().unwrap()).unwrap().ends_with(&[0]))
            .unwrap();
        assert!(verify(&token).is_ok());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let shorter = Base64UrlUnpadded::decode_vec(signature).unwrap()[..63].to_vec();
        let shorter = format!("{signed}.{}", Base64UrlUnpadded::encode_string(&shorter));
        assert_eq!(verify(&shorter), Err(TokenFault::Signature));
    }

    #[test]
    fn a_foreign_signature_is_refused() {
        let token = mint(HEADER, CLAIMS);
        let (signed, _) = token.rsplit_once('.').unwrap();
        let foreign = SigningKey::from_bytes(&[4; 32]).sign(signed.as_bytes());
        let forged = format!("{signed}.{}", Base64UrlUnpadded::encode_string(&foreign.to_bytes()));
        assert_eq!(verify(&forged), Err(TokenFault::Signature));
        assert_eq!(IssuerKey::new("weak", &[0; 32]).unwrap_err(), TokenFault::UnknownKey);
    }
}
