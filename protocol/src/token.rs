//! The tool token (profile §3): a JWT access token (RFC 9068) signed with EdDSA (RFC 8037), read strictly.
//!
//! [`UnverifiedToken`] becomes [`Claims`] in one place, [`UnverifiedToken::verify`]: header first, then the signature,
//! and the claims last, so that nothing of an unsigned token is ever interpreted.

use crate::ids::{ApiKeyId, Issuer, ToolId, UserId};
use crate::origin::Origin;
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

/// A compact token that nobody has checked.
#[derive(Clone, Copy, Debug)]
pub struct UnverifiedToken<'a> {
    compact: &'a str,
    signed: &'a str,
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
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
        let (signed, signature) = compact.rsplit_once('.').ok_or(TokenFault::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenFault::Form)?;
        if payload.contains('.') {
            return Err(TokenFault::Form);
        }
        Ok(Self { compact, signed, header, payload, signature })
    }

    /// The token exactly as received.
    pub fn compact(&self) -> &'a str {
        self.compact
    }

    /// Checks header and signature, then reads the claims (profile §5, step 7). Times and audience are for
    /// [`crate::check`].
    ///
    /// # Errors
    /// [`TokenFault`]: for the log; the caller hears `invalid_token`.
    pub fn verify(&self, keys: &[IssuerKey]) -> Result<Claims, TokenFault> {
        let header: Header = decode_json(self.header).ok_or(TokenFault::Header)?;
        if header.alg != "EdDSA" || header.typ != TYPE {
            return Err(TokenFault::Header);
        }
        let key = keys.iter().find(|key| *key.kid == *header.kid).ok_or(TokenFault::UnknownKey)?;
        let mut signature = [0; 64];
        match Base64UrlUnpadded::decode(self.signature, &mut signature) {
            Ok(decoded) if decoded.len() == 64 => {}
            _ => return Err(TokenFault::Signature),
        }
        key.key
            .verify_strict(self.signed.as_bytes(), &Signature::from_bytes(&signature))
            .map_err(|_| TokenFault::Signature)?;
        decode_json::<RawClaims>(self.payload).and_then(RawClaims::validate).ok_or(TokenFault::Claims)
    }
}

/// Who the token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A user with an account.
    User(UserId),
    /// Nobody in particular: a public request.
    Anonymous,
}

impl Subject {
    /// The subject as `sub` has it.
    pub fn as_str(&self) -> &str {
        match self {
            Subject::User(id) => id.as_str(),
            Subject::Anonymous => "anon",
        }
    }
}

/// How sure the issuer is who asked, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Assurance {
    /// A browser said so: limits reuse, no authentication.
    Origin,
    /// A user is logged in.
    User,
    /// A backend presented or signed with its API key.
    Server,
}

impl Assurance {
    /// The claim's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Assurance::Origin => "origin",
            Assurance::User => "user",
            Assurance::Server => "server",
        }
    }
}

/// The claims of a verified token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `iss`.
    pub issuer: Issuer,
    /// `aud`: exactly one tool.
    pub audience: ToolId,
    /// `sub`.
    pub subject: Subject,
    /// `client_id`: the API key that the token was granted to.
    pub client_id: ApiKeyId,
    /// `iat`, seconds.
    pub issued_at: u64,
    /// `exp`, seconds.
    pub expires_at: u64,
    /// `nbf`, seconds; absent in our own tokens, honoured all the same.
    pub not_before: Option<u64>,
    /// `jti`: 16 bytes in 22 base64url characters.
    pub id: Box<str>,
    /// `scope`: space-separated, may be empty.
    pub scope: Box<str>,
    /// `origin`: the page that may use it; absent for direct tokens.
    pub origin: Option<Origin>,
    /// `embed_origin`: the page around the widget's frame.
    pub embed_origin: Option<Origin>,
    /// `end_user`: the host's own user id; opaque.
    pub end_user: Option<Box<str>>,
    /// `asr`.
    pub assurance: Assurance,
    /// `cnf`.
    pub confirmation: Confirmation,
    /// `sid`: the session that the token is renewed in.
    pub session: Option<Box<str>>,
}

impl Claims {
    /// Whether the token has a scope.
    pub fn has_scope(&self, wanted: &str) -> bool {
        self.scope.split(' ').any(|scope| scope == wanted)
    }
}

/// `cnf` (RFC 7800): which key proves possession.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Confirmation {
    /// `{"kid":"bt1.<tool>.<epoch>"}`: an HMAC session under `K_sign`.
    Session {
        /// The tool whose key it is.
        tool: ToolId,
        /// The epoch of that key.
        epoch: u32,
    },
}

impl Confirmation {
    /// The `kid` of an HMAC session: `bt1.<tool>.<epoch>`.
    pub fn session_kid(tool: &ToolId, epoch: u32) -> String {
        format!("bt1.{tool}.{epoch}")
    }
}

#[derive(Deserialize)]
struct RawClaims {
    iss: String,
    sub: String,
    aud: String,
    client_id: String,
    iat: u64,
    exp: u64,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<u64>,
    jti: String,
    scope: String,
    #[serde(default, deserialize_with = "present")]
    origin: Option<String>,
    #[serde(default, deserialize_with = "present")]
    embed_origin: Option<String>,
    #[serde(default, deserialize_with = "present")]
    end_user: Option<String>,
    asr: Assurance,
    cnf: RawConfirmation,
    #[serde(default, deserialize_with = "present")]
    sid: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfirmation {
    kid: String,
}

/// A claim that may be absent, but not `null`.
fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl RawClaims {
    fn validate(self) -> Option<Claims> {
        let subject = match self.sub.as_str() {
            "anon" => Subject::Anonymous,
            id => Subject::User(UserId::parse(id).ok()?),
        };
        let mut jti = [0; 16];
        if Base64UrlUnpadded::decode(&self.jti, &mut jti).ok()?.len() != 16 {
            return None;
        }
        let origin = |text: Option<String>| text.map(|text| Origin::parse(&text)).transpose().ok();
        let (tool, epoch) = self.cnf.kid.strip_prefix("bt1.")?.rsplit_once('.')?;
        let canonical_epoch = !epoch.starts_with('+') && (epoch == "0" || !epoch.starts_with('0'));
        let valid_scope = self.scope.len() <= 1024
            && self.scope.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\');
        let short = |text: &Option<String>| text.as_ref().is_none_or(|text| (1..=256).contains(&text.len()));
        if !canonical_epoch || !valid_scope || !short(&self.end_user) || !short(&self.sid) {
            return None;
        }
        Some(Claims {
            issuer: Issuer::parse(&self.iss).ok()?,
            audience: ToolId::parse(&self.aud).ok()?,
            subject,
            client_id: ApiKeyId::parse(&self.client_id).ok()?,
            issued_at: self.iat,
            expires_at: self.exp,
            not_before: self.nbf,
            id: self.jti.into(),
            scope: self.scope.into(),
            origin: origin(self.origin)?,
            embed_origin: origin(self.embed_origin)?,
            end_user: self.end_user.map(Into::into),
            assurance: self.asr,
            confirmation: Confirmation::Session { tool: ToolId::parse(tool).ok()?, epoch: epoch.parse().ok()? },
            session: self.sid.map(Into::into),
        })
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
    fn a_foreign_signature_is_refused() {
        let token = mint(HEADER, CLAIMS);
        let (signed, _) = token.rsplit_once('.').unwrap();
        let foreign = SigningKey::from_bytes(&[4; 32]).sign(signed.as_bytes());
        let forged = format!("{signed}.{}", Base64UrlUnpadded::encode_string(&foreign.to_bytes()));
        assert_eq!(verify(&forged), Err(TokenFault::Signature));
        assert_eq!(IssuerKey::new("weak", &[0; 32]).unwrap_err(), TokenFault::UnknownKey);
    }
}
