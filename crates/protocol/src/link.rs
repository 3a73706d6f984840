//! The live link (profile §13): what an issuer tells the verifiers of its tools, and how they name themselves.
//!
//! ```
//! use bmap_protocol::ids::ToolId;
//! use bmap_protocol::link::{Change, ChangeKind, key_id, parse_key_id};
//!
//! let tool = ToolId::parse("geo")?;
//! assert_eq!(key_id(&tool, 3), "bl1.geo.3");
//! assert_eq!(parse_key_id("bl1.geo.3"), Some((tool, 3)));
//!
//! let change: Change = serde_json::from_str(r#"{"cursor":7,"kind":"user","id":"usr_1","until":1764000605}"#).unwrap();
//! assert_eq!(change.kind, ChangeKind::User);
//! # Ok::<(), bmap_protocol::ids::InvalidName>(())
//! ```

use crate::claims::Assurance;
use crate::ids::ToolId;
use crate::tool_policy::ToolPolicy;
use alloc::{format, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// `GET`: the whole state, with an ETag.
pub const STATE_PATH: &str = "/link/state";
/// `GET`: changes behind a cursor, as an event stream (WHATWG HTML, Server-sent events).
pub const FEED_PATH: &str = "/link/feed";
/// `POST`: which changes are in force at a node.
pub const APPLIED_PATH: &str = "/link/applied";
/// The name of the feed's events that carry a [`Change`].
pub const CHANGE_EVENT: &str = "change";
/// The name of the feed's events that carry a [`Mark`].
pub const SYNC_EVENT: &str = "sync";
/// Bytes of a node's id, in base64url in the query parameter `node`.
pub const NODE_LEN: usize = 16;
/// Seconds between two [`Mark`]s.
pub const SYNC_SECONDS: u64 = 1;
/// Most seconds between two `POST /link/applied` of a node.
pub const APPLIED_SECONDS: u64 = 10;
/// Seconds after its last word in which a node is waited for.
pub const NODE_SECONDS: i64 = 15;

/// The `keyid` of a verifier's own requests: `bl1.<tool>.<epoch>`.
pub fn key_id(tool: &ToolId, epoch: u32) -> String {
    format!("bl1.{tool}.{epoch}")
}

/// Tool and epoch of such a `keyid`; `None` for every other spelling.
pub fn parse_key_id(key_id: &str) -> Option<(ToolId, u32)> {
    let (tool, epoch) = key_id.strip_prefix("bl1.")?.rsplit_once('.')?;
    let tool = ToolId::parse(tool).ok()?;
    let number: u32 = epoch.parse().ok()?;
    // One spelling: no sign, no leading zero.
    (self::key_id(&tool, number) == key_id).then_some((tool, number))
}

/// What a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// A user was deactivated: its tokens are denied.
    User,
    /// An API key was revoked: tokens that come from it are denied.
    Key,
    /// A session was ended: tokens with its `sid` are denied.
    Session,
    /// A token was revoked, by its `jti`.
    Token,
    /// A user's grant of a tool was taken away: its tokens for that tool are denied. The id is the user's.
    Grant,
    /// A tool was removed: all of its tokens are denied.
    ToolEpoch,
    /// A tool's policy was changed: load [`STATE_PATH`].
    Policy,
    /// The issuer's keys or epochs were changed: load [`STATE_PATH`].
    Keys,
    /// The list of addresses was changed: load [`STATE_PATH`].
    Allowlist,
    /// A denial ended before its time, as after a user was activated again.
    Lift,
}

/// One change, in the order in which changes were committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Grows with each committed change; several changes of one act share it.
    pub cursor: i64,
    /// What it is about.
    pub kind: ChangeKind,
    /// Of that user, key, session, token or tool.
    pub id: String,
    /// The second at which the last token that it touches has ended, since 1970; 0 where it denies nothing.
    pub until: i64,
    /// The tool that it is limited to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Of a [`ChangeKind::Lift`]: the kind of the denial that ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<ChangeKind>,
    /// Of a [`ChangeKind::User`]: it denies only tokens that were issued up to this second, since 1970. One such denial stands for many of the user's
    /// sessions, tokens or keys; `user activate` does not lift it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_until: Option<i64>,
}

/// Says that every change up to a cursor was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The newest cursor.
    pub cursor: i64,
    /// The issuer's time, milliseconds since 1970.
    pub server_time: i64,
}

/// `GET /link/state`: what holds at one cursor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Changes behind this one are in the feed.
    pub cursor: i64,
    /// The issuer's time, milliseconds since 1970.
    pub server_time: i64,
    /// The issuer's URL.
    pub issuer: String,
    /// Keys that sign tokens.
    pub issuer_keys: Vec<PublicKey>,
    /// The tools of the verifier that asked.
    pub tools: Vec<LinkedTool>,
    /// Denials whose tokens have not all ended.
    pub denials: Vec<Change>,
}

/// A public key of the issuer (Ed25519, RFC 8037).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// Its `kid`.
    pub kid: String,
    /// The 32 bytes, base64url.
    pub x: String,
}

/// A tool as the issuer's row has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedTool {
    /// Its id.
    pub id: String,
    /// Epochs whose tokens are taken.
    pub epochs: Vec<u32>,
    /// Its public base URLs.
    pub base_urls: Vec<String>,
    /// Pages that may call: origins and wildcards, or `*` for those that a token names.
    pub origins: Vec<String>,
    /// The lowest assurance that is accepted.
    pub min_assurance: Assurance,
    /// Scopes that a token must all have.
    pub scopes: Vec<String>,
    /// What the operator asks of its requests beside.
    #[serde(default, skip_serializing_if = "ToolPolicy::is_empty")]
    pub policy: ToolPolicy,
}

/// `POST /link/applied`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Applied {
    /// Changes up to this one are in force.
    pub cursor: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_id_has_one_spelling() {
        let geo = ToolId::parse("geo").unwrap();
        assert_eq!(parse_key_id(&key_id(&geo, 1)), Some((geo.clone(), 1)));
        assert_eq!(parse_key_id("bl1.geo.4294967295"), Some((geo, u32::MAX)));
        for wrong in [
            "",
            "bl1.geo",
            "bl1.geo.",
            "bl1.geo.01",
            "bl1.geo.+1",
            "bl1.geo.4294967296",
            "bl1.GEO.1",
            "bt1.geo.1",
            "bl1..1",
        ] {
            assert_eq!(parse_key_id(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn kinds_have_the_words_of_the_profile() {
        let word = |kind: ChangeKind| serde_json::to_string(&kind).unwrap();
        use ChangeKind::{Allowlist, Grant, Key, Keys, Lift, Policy, Session, Token, ToolEpoch, User};
        let all = [User, Key, Session, Token, Grant, ToolEpoch, Policy, Keys, Allowlist, Lift];
        let words = "user key session token grant tool-epoch policy keys allowlist lift";
        assert_eq!(all.map(word).join(" ").replace('"', ""), words);
    }

    #[test]
    fn what_is_absent_is_not_written() {
        let change = Change {
            cursor: 1,
            kind: ChangeKind::User,
            id: "u".into(),
            until: 5,
            tool: None,
            of: None,
            issued_until: None,
        };
        let text = serde_json::to_string(&change).unwrap();
        assert_eq!(text, r#"{"cursor":1,"kind":"user","id":"u","until":5}"#);
        assert_eq!(serde_json::from_str::<Change>(&text).unwrap(), change);
    }

    #[test]
    fn a_request_signature_is_no_link_signature() {
        use crate::fields::Fields;
        use crate::keys::ToolKey;
        use crate::received::UnverifiedSignature;
        use crate::refusal::Refusal;
        use crate::sign::{Request, RequestKey, Stamp, sign_tagged};

        let key =
            RequestKey::Hmac(crate::keys::MacKey::from_key_bytes(ToolKey::from_bytes([1; 32]).link_key().expose()));
        let request = Request { method: "GET", authority: "auth.example", path: STATE_PATH, ..Request::default() };
        let stamp = Stamp { created: 7, nonce: [9; 16], key_id: "bl1.geo.1" };
        for (tag, is_link) in [(crate::TAG, false), (crate::LINK_TAG, true)] {
            let signed = sign_tagged(&request, &stamp, &key, tag).unwrap();
            let mut headers = http::HeaderMap::new();
            headers.insert("signature-input", signed.signature_input.parse().unwrap());
            headers.insert("signature", signed.signature.parse().unwrap());
            let fields = Fields::of(&headers);
            let (link, plain) = (UnverifiedSignature::parse_link(&fields), UnverifiedSignature::parse(&fields));
            assert_eq!((link.is_ok(), plain.is_ok()), (is_link, !is_link));
            assert!(matches!(link.and(plain), Err(Refusal::Unsigned)));
        }
    }
}
