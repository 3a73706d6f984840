//! A user's access token: a JWT of ten minutes that is for the issuer itself (RFC 9068), and is shown as `Bearer`.
//!
//! It is not a tool token: its audience is the issuer's URL, which is no tool's id, and it names no API key and no signing
//! key, so no tool takes it. In the same way a tool token is refused here.

use crate::error::IssuerError;
use crate::issuer::Issuer;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_model::clock::UnixTime;
use bmap_model::session::SessionId;
use bmap_protocol::ids::UserId;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Life of an access token, in seconds (profile §7).
pub const ACCESS_SECONDS: i64 = 600;
/// Longest text that is looked at.
const MAX_LENGTH: usize = 2048;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessClaims {
    iss: String,
    sub: String,
    aud: String,
    iat: i64,
    exp: i64,
    jti: String,
    sid: String,
}

/// The claims of a good access token. Only the database knows whether its session lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// The user.
    pub user: UserId,
    /// The session.
    pub session: SessionId,
}

impl Issuer {
    /// Mints an access token. The same arguments give the same bytes: Ed25519 draws nothing.
    ///
    /// # Errors
    /// [`IssuerError::Signing`].
    pub fn mint_access(
        &self,
        user: &UserId,
        session: &SessionId,
        issued: UnixTime,
        jti: &[u8; 16],
    ) -> Result<Zeroizing<String>, IssuerError> {
        let issued = issued.seconds();
        let claims = AccessClaims {
            iss: self.url.as_str().to_owned(),
            sub: user.as_str().to_owned(),
            aud: self.url.as_str().to_owned(),
            iat: issued,
            exp: issued.saturating_add(ACCESS_SECONDS),
            jti: Base64UrlUnpadded::encode_string(jti),
            sid: session.as_str().to_owned(),
        };
        let token = self.signer.sign(&claims);
        token.map(Zeroizing::new).map_err(|_| IssuerError::Signing)
    }

    /// Whether a token says that it is for the issuer itself, and so is a user's access token and no tool's; `None` for a text that is no
    /// token. Unverified: it chooses between two checks, and each asks for its own audience again.
    pub fn unverified_is_for_issuer(&self, compact: &str) -> Option<bool> {
        #[derive(Deserialize)]
        struct Audience {
            aud: String,
        }
        let payload = Some(compact).filter(|text| text.len() <= MAX_LENGTH).and_then(|text| text.split('.').nth(1));
        let payload = payload.and_then(|encoded| Base64UrlUnpadded::decode_vec(encoded).ok());
        let audience = payload.and_then(|json| serde_json::from_slice::<Audience>(&json).ok());
        audience.map(|audience| audience.aud == self.url.as_str())
    }

    /// Reads an access token: signature, header, claims, time.
    ///
    /// # Errors
    /// [`IssuerError::BadAccessToken`] or [`IssuerError::AccessTokenOver`].
    pub fn read_access(&self, compact: &str) -> Result<AccessToken, IssuerError> {
        if compact.len() > MAX_LENGTH {
            return Err(IssuerError::BadAccessToken);
        }
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[self.url.as_str()]);
        validation.set_issuer(&[self.url.as_str()]);
        validation.set_required_spec_claims(&["iss", "sub", "aud", "exp"]);
        // The injected clock decides, below, and a claim of a wrong type does not parse (R01).
        validation.validate_exp = false;
        let key = DecodingKey::from_ed_der(self.signer.public_key());
        let read = jsonwebtoken::decode::<AccessClaims>(compact, &key, &validation);
        let read = read.map_err(|_| IssuerError::BadAccessToken)?;
        // Any other header field, type or algorithm is not the issuer's (R03, R07).
        if read.header != *self.signer.header() {
            return Err(IssuerError::BadAccessToken);
        }
        let claims = read.claims;
        let life = claims.exp.saturating_sub(claims.iat);
        let (Ok(user), Some(session)) = (UserId::parse(&claims.sub), SessionId::parse(&claims.sid)) else {
            return Err(IssuerError::BadAccessToken);
        };
        if life != ACCESS_SECONDS || claims.jti.len() != 22 {
            return Err(IssuerError::BadAccessToken);
        }
        if self.clock.now().seconds() >= claims.exp {
            return Err(IssuerError::AccessTokenOver);
        }
        Ok(AccessToken { user, session })
    }
}
