//! The claims of a tool token (profile §3), each in its grammar.

use crate::address_prefix::AddressPrefix;
use crate::ids::{ApiKeyId, Issuer, ToolId, UserId};
use crate::origin::Origin;
use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Deserialize;

/// The user whom the token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A user with an account.
    User(UserId),
    /// No user: a public request.
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

/// How sure the issuer is of the caller that asked for the token, lowest first.
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
    /// `adr`: the network that it may be used from.
    pub address: Option<AddressPrefix>,
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
pub(crate) struct RawClaims {
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
    #[serde(default, deserialize_with = "present")]
    adr: Option<String>,
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
    /// Holds each claim to its grammar.
    pub(crate) fn validate(self) -> Option<Claims> {
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
            address: self.adr.map(|text| AddressPrefix::parse(&text).ok_or(())).transpose().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(change: impl FnOnce(&mut RawClaims)) -> Option<Claims> {
        let mut raw = RawClaims {
            iss: "https://auth.example".to_owned(),
            sub: "usr_0192f0c1a7e27c3c9f60b2b4b1c7a001".to_owned(),
            aud: "geo".to_owned(),
            client_id: "bmk_0192f0c1a7e27c3c9f60b2b4b1c7a0ff".to_owned(),
            iat: 1000,
            exp: 1300,
            nbf: None,
            jti: "AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
            scope: "geo.search geo.reverse".to_owned(),
            origin: None,
            embed_origin: None,
            end_user: None,
            asr: Assurance::Server,
            cnf: RawConfirmation { kid: "bt1.geo.1".to_owned() },
            sid: None,
            adr: None,
        };
        change(&mut raw);
        raw.validate()
    }

    #[test]
    fn scopes_are_whole_words() {
        let claims = raw(|_| {}).unwrap();
        assert!(claims.has_scope("geo.search") && claims.has_scope("geo.reverse"));
        for other in ["geo", "geo.search geo.reverse", "GEO.SEARCH", "geo.searc", ""] {
            assert!(!claims.has_scope(other), "{other}");
        }
    }

    #[test]
    fn names_on_the_wire() {
        assert_eq!(raw(|_| {}).unwrap().subject.as_str(), "usr_0192f0c1a7e27c3c9f60b2b4b1c7a001");
        assert_eq!(raw(|raw| raw.sub = "anon".to_owned()).unwrap().subject.as_str(), "anon");
        let all = [Assurance::Origin, Assurance::User, Assurance::Server];
        assert_eq!(all.map(Assurance::as_str), ["origin", "user", "server"]);
        assert_eq!(Confirmation::session_kid(&ToolId::parse("geo").unwrap(), 7), "bt1.geo.7");
    }

    #[test]
    fn each_claim_is_held_to_its_grammar_at_its_bounds() {
        let longest = "a".repeat(1024);
        for scope in ["", "a", "!#[]~ a", &longest] {
            assert!(raw(|raw| raw.scope = scope.to_owned()).is_some(), "{scope}");
        }
        for scope in ["a\"b", "a\\b", "a\tb", "a\u{7f}", "\u{e4}", &format!("{longest}a")] {
            assert!(raw(|raw| raw.scope = scope.to_owned()).is_none(), "{scope}");
        }
        for (length, is_good) in [(0, false), (1, true), (256, true), (257, false)] {
            assert_eq!(raw(|raw| raw.end_user = Some("u".repeat(length))).is_some(), is_good, "end_user of {length}");
            assert_eq!(raw(|raw| raw.sid = Some("s".repeat(length))).is_some(), is_good, "sid of {length}");
        }
        for (adr, is_good) in [("192.0.2.0/24", true), ("2001:db8::/48", true), ("192.0.2.7/24", false), ("", false)] {
            assert_eq!(raw(|raw| raw.adr = Some(adr.to_owned())).is_some(), is_good, "{adr}");
        }
        for (kid, is_good) in [
            ("bt1.geo.0", true),
            ("bt1.geo.4294967295", true),
            ("bt1.geo.00", false),
            ("bt1.geo.01", false),
            ("bt1.geo.+0", false),
            ("bt1.geo.", false),
            ("bt1.geo", false),
        ] {
            assert_eq!(raw(|raw| raw.cnf.kid = kid.to_owned()).is_some(), is_good, "{kid}");
        }
    }
}
