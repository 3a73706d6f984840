//! Minting tool tokens (profile §3), and the key that goes with each.

use super::error::IssuerError;
use super::issuer::Issuer;
use bmap_model::rng;
use bmap_model::scope::Scopes;
use bmap_model::session::SessionId;
use bmap_model::session::TokenId;
use bmap_model::ticket::EndUser;
use bmap_model::tool::Tool;
use bmap_protocol::ids::{ApiKeyId, UserId};
use bmap_protocol::keys::{EncryptionKey, SigningKey, TokenDigest};
use bmap_protocol::origin::Origin;
use bmap_protocol::token::{Assurance, Confirmation};
use serde::Serialize;
use zeroize::Zeroizing;

/// Longest life of a tool token, in seconds (profile §3).
pub const MAX_TOKEN_SECONDS: i64 = 600;

/// The content of a token.
#[derive(Clone, Debug)]
pub struct TokenContent<'a> {
    /// The tool that it is for.
    pub tool: &'a Tool,
    /// The user.
    pub user: &'a UserId,
    /// The API key that it comes from.
    pub key: &'a ApiKeyId,
    /// Its scopes.
    pub scope: Scopes,
    /// The page that may use it; none for direct tokens.
    pub origin: Option<&'a Origin>,
    /// The page around that page.
    pub embed_origin: Option<&'a Origin>,
    /// The host's own user id.
    pub end_user: Option<&'a EndUser>,
    /// How sure the issuer is.
    pub assurance: Assurance,
    /// The session that it is renewed in.
    pub session: Option<&'a SessionId>,
    /// Whether to give out the payload key too.
    pub encrypt: bool,
}

/// A token and its keys: given out once, stored nowhere.
#[derive(Debug)]
pub struct MintedToken {
    /// The compact JWT.
    pub token: Zeroizing<String>,
    /// Its `jti`: the `keyid` of its signatures.
    pub jti: TokenId,
    /// Seconds until it ends.
    pub expires_in: i64,
    /// Its scopes.
    pub scope: Scopes,
    /// `K_sign`.
    pub signing_key: SigningKey,
    /// `K_encrypt`, where it was asked for.
    pub encryption_key: Option<EncryptionKey>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    client_id: &'a str,
    iat: i64,
    exp: i64,
    jti: &'a str,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embed_origin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_user: Option<&'a str>,
    asr: &'static str,
    cnf: ConfirmationClaim,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a str>,
}

/// `cnf` (RFC 7800): the HMAC session key of this tool and epoch.
#[derive(Serialize)]
struct ConfirmationClaim {
    kid: String,
}

impl Issuer {
    /// Mints a token.
    ///
    /// # Errors
    /// [`IssuerError`] without randomness, or where signing fails.
    pub fn mint(&self, content: &TokenContent<'_>) -> Result<MintedToken, IssuerError> {
        let jti = TokenId::from_bytes(&rng::bytes(&*self.random)?);
        let issued = self.clock.now().seconds();
        let life = self.lives.token_seconds.clamp(1, MAX_TOKEN_SECONDS);
        let tool = content.tool.id.as_str();
        let epoch = self.roots.minting();
        let claims = Claims {
            iss: self.url.as_str(),
            sub: content.user.as_str(),
            aud: tool,
            client_id: content.key.as_str(),
            iat: issued,
            exp: issued.saturating_add(life),
            jti: jti.as_str(),
            scope: content.scope.to_string(),
            origin: content.origin.map(Origin::as_str),
            embed_origin: content.embed_origin.map(Origin::as_str),
            end_user: content.end_user.map(EndUser::as_str),
            asr: content.assurance.as_str(),
            cnf: ConfirmationClaim { kid: Confirmation::session_kid(&content.tool.id, epoch.epoch()) },
            sid: content.session.map(SessionId::as_str),
        };
        let token = self.signer.sign(&claims).map_err(|_| IssuerError::Signing)?;
        let token = Zeroizing::new(token);
        let tool_key = epoch.tool_key(&self.url, &content.tool.id);
        let digest = TokenDigest::of(token.as_bytes());
        crate::metrics::minted(content.assurance.as_str());
        Ok(MintedToken {
            jti,
            expires_in: life,
            scope: content.scope.clone(),
            signing_key: tool_key.signing_key(&digest),
            encryption_key: content.encrypt.then(|| tool_key.encryption_key(&digest)),
            token,
        })
    }
}
