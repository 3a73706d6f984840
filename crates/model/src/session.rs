//! Sessions: the life of a page's tokens, from the ticket over every renewal. Revoking one ends the renewals.

use crate::clock::UnixTime;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::ids::{ApiKeyId, ToolId, UserId, hex_id};

/// Id of a session (`sid` in its tokens): `ses_` and a UUIDv7 in 32 hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionId(String);

impl SessionId {
    /// The id for the 16 bytes of a UUIDv7.
    pub fn from_uuid(uuid: [u8; 16]) -> Self {
        Self(format!("ses_{}", uuid::Uuid::from_bytes(uuid).simple()))
    }

    /// Parses an id; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        hex_id(text, "ses_").map(|_| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whom its tokens are about.
    pub user: UserId,
    /// The API key that its tokens come from: that of the ticket, or the one that the page named. Its owner is that user only
    /// where a ticket began the session.
    pub key: ApiKeyId,
    /// The tool that it is for.
    pub tool: ToolId,
    /// The session of the user who signed in, where their access token began this one: this one ends with it.
    pub user_session: Option<SessionId>,
    /// When it began.
    pub created_at: UnixTime,
    /// The end of its renewals.
    pub expires_at: UnixTime,
    /// Whether it was revoked.
    pub state: SessionState,
}

/// Whether a session was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// It lives until it ends.
    Active,
    /// Its tokens are not renewed any more.
    Revoked {
        /// Since when.
        at: UnixTime,
    },
}

/// A token's id: 16 random bytes, base64url. No secret: it stands in each of the token's signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenId(String);

impl TokenId {
    /// The id of 16 random bytes: base64url.
    pub fn from_bytes(bytes: &[u8; 16]) -> Self {
        Self(Base64UrlUnpadded::encode_string(bytes))
    }

    /// Parses an id; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Base64UrlUnpadded::decode_vec(text).ok()?;
        <[u8; 16]>::try_from(bytes).ok().map(|bytes| Self::from_bytes(&bytes))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_back() {
        let id = SessionId::from_uuid([0xab; 16]);
        assert_eq!(SessionId::parse(id.as_str()), Some(id));
        assert_eq!(SessionId::parse("ses_' OR 1=1--"), None);
        let id = TokenId::from_bytes(&[0xab; 16]);
        assert_eq!(TokenId::parse(id.as_str()), Some(id));
        for text in ["", "AAAA", "' OR 1=1--"] {
            assert_eq!(TokenId::parse(text), None, "{text}");
        }
    }
}
