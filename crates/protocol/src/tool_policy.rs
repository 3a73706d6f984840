//! What an operator asks of a tool's requests beside pages, assurance and scopes: written once at the issuer, kept by the tool's verifiers.
//!
//! ```
//! use bmap_protocol::tool_policy::ToolPolicy;
//!
//! let policy: ToolPolicy = serde_json::from_str(
//!     r#"{"max_staleness":30,"rules":[{"path":"/v1/admin","methods":["POST"],"min_assurance":"user","scopes":["write"]}]}"#,
//! ).unwrap();
//! assert_eq!(policy.check(), Ok(()));
//! assert!(policy.rules[0].applies("POST", "/v1/admin/users"));
//! assert!(!policy.rules[0].applies("POST", "/v1/administrators"), "whole segments");
//! ```

use crate::claims::Assurance;
use crate::object;
use crate::target;
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A tool's policy. A member that a verifier does not know is a demand that it can't keep, so it takes no such policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolPolicy {
    /// Seconds without a word of the issuer after which a verifier with a live link refuses requests (profile §13). Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_staleness: Option<u32>,
    /// Networks that requests may come from, in CIDR notation (RFC 4632 §3.1, RFC 4291 §2.3). Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_ips: Vec<String>,
    /// Most bytes of a body. Absent: the verifier's own bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_body: Option<u32>,
    /// How often callers may ask.
    #[serde(default, deserialize_with = "object::own", skip_serializing_if = "CallerRates::is_empty")]
    pub rates: CallerRates,
    /// What a request may prove itself with, beside a signature by a token's session key or an API key, which every tool takes. Absent: nothing; in a
    /// file at the tool: what the operator lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proofs: Option<Vec<Proof>>,
    /// Whether a capability may be for all paths (`/`, profile §10).
    #[serde(default, skip_serializing_if = "is_false")]
    pub capability_root: bool,
    /// More demands on some requests. All rules that apply to a request count.
    #[serde(default, deserialize_with = "object::list", skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

/// A proof that a tool takes only where its policy lists it: none of them covers query and body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Proof {
    /// A capability URL (profile §10).
    Capability,
    /// A token that is bound to a client's key, with a proof in the `DPoP` header (profile §12, RFC 9449).
    Dpop,
}

/// How often callers may ask; without a rate, as often as they like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerRates {
    /// With one token, or one capability.
    #[serde(default, deserialize_with = "object::optional", skip_serializing_if = "Option::is_none")]
    pub token: Option<CallerRate>,
    /// One user, with all tokens.
    #[serde(default, deserialize_with = "object::optional", skip_serializing_if = "Option::is_none")]
    pub user: Option<CallerRate>,
    /// With the tokens of one API key.
    #[serde(default, deserialize_with = "object::optional", skip_serializing_if = "Option::is_none")]
    pub key: Option<CallerRate>,
    /// From pages of one origin.
    #[serde(default, deserialize_with = "object::optional", skip_serializing_if = "Option::is_none")]
    pub origin: Option<CallerRate>,
    /// From one IPv4 address, or the /64 of an IPv6 address; refused requests count too.
    #[serde(default, deserialize_with = "object::optional", skip_serializing_if = "Option::is_none")]
    pub address: Option<CallerRate>,
}

impl CallerRates {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn all(&self) -> [(&'static str, Option<CallerRate>); 5] {
        [
            ("rates.token", self.token),
            ("rates.user", self.user),
            ("rates.key", self.key),
            ("rates.origin", self.origin),
            ("rates.address", self.address),
        ]
    }
}

/// A bucket that holds `burst` requests and refills by `per_second`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerRate {
    /// Requests for each second.
    pub per_second: u32,
    /// Requests at once.
    pub burst: u32,
}

/// What is asked of requests below a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The path: itself, and everything below it by whole segments. `/` is every path.
    pub path: String,
    /// Methods, as they are sent. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// The lowest assurance of a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_assurance: Option<Assurance>,
    /// Scopes that a token must all have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}

/// Why a policy can't be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{member}: {why}")]
pub struct PolicyFault {
    /// The member, such as `rules[0].path`.
    pub member: String,
    /// What is wrong with it, or what would be right.
    pub why: &'static str,
}

/// Most rules of a policy.
pub const MAX_RULES: usize = 64;
/// Most networks, and most methods or scopes of a rule.
pub const MAX_LISTED: usize = 64;
/// The least and the most of `max_staleness`: less is less than a live link needs to notice that its connection is lost.
pub const STALENESS: core::ops::RangeInclusive<u32> = 5..=86_400;

fn is_false(value: &bool) -> bool {
    !*value
}

impl ToolPolicy {
    /// Whether a request may prove itself so.
    pub fn takes(&self, proof: Proof) -> bool {
        self.proofs.as_ref().is_some_and(|proofs| proofs.contains(&proof))
    }

    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it is one that a verifier can keep. Networks are only counted here.
    ///
    /// # Errors
    /// [`PolicyFault`] for the first member that is not.
    pub fn check(&self) -> Result<(), PolicyFault> {
        let fault = |member: &str, why| Err(PolicyFault { member: member.into(), why });
        if self.max_staleness.is_some_and(|seconds| !STALENESS.contains(&seconds)) {
            return fault("max_staleness", "give 5 to 86400 seconds");
        }
        if self.allowed_ips.len() > MAX_LISTED {
            return fault("allowed_ips", "give at most 64");
        }
        if self.max_body == Some(0) {
            return fault("max_body", "give at least 1 byte");
        }
        for (member, rate) in self.rates.all() {
            if rate.is_some_and(|rate| rate.per_second == 0 || rate.burst == 0) {
                return fault(member, "give at least 1 for per_second and burst");
            }
        }
        if self.rules.len() > MAX_RULES {
            return fault("rules", "give at most 64");
        }
        for (number, rule) in self.rules.iter().enumerate() {
            rule.check()
                .map_err(|(member, why)| PolicyFault { member: alloc::format!("rules[{number}].{member}"), why })?;
        }
        Ok(())
    }
}

impl Rule {
    /// Whether it asks something of a request. Both paths are compared as what they stand for: `%61` is `a`. An escape that stands for a slash, a dot
    /// or a backslash is in no path that a verifier takes (profile §4).
    pub fn applies(&self, method: &str, path: &str) -> bool {
        let takes = self.methods.is_empty() || self.methods.iter().any(|listed| listed == method);
        takes && is_below(&decoded(path), &decoded(self.path.strip_suffix('/').unwrap_or(&self.path)))
    }

    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if target::check_path(self.path.as_bytes()).is_err() {
            return Err((
                "path",
                "give a path that a verifier takes: it begins with / and has no dot segments and no empty ones",
            ));
        }
        let is_token = |method: &String| {
            !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
        };
        if self.methods.len() > MAX_LISTED || !self.methods.iter().all(is_token) {
            return Err(("methods", "give at most 64 methods in upper case"));
        }
        if self.scopes.len() > MAX_LISTED {
            return Err(("scopes", "give at most 64"));
        }
        if self.min_assurance.is_none() && self.scopes.is_empty() {
            return Err(("scopes", "a rule asks for something: give scopes or min_assurance"));
        }
        Ok(())
    }
}

/// Whether `path` is `prefix`, or continues with a segment. What stands behind a `;` in a segment is left out, as some servers do (RFC 3986 §3.3):
/// a rule that applies once too often refuses, and one that does not apply lets in.
fn is_below(path: &[u8], prefix: &[u8]) -> bool {
    let is_slash = |byte: &u8| *byte == b'/';
    let mut segments = path.split(is_slash);
    prefix.split(is_slash).all(|wanted| {
        segments.next().is_some_and(|own| own == wanted || own.split(|byte| *byte == b';').next() == Some(wanted))
    })
}

/// The bytes that a path stands for (RFC 3986 §2.1).
fn decoded(path: &str) -> Cow<'_, [u8]> {
    if !path.contains('%') {
        return Cow::Borrowed(path.as_bytes());
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = match (first, after) {
            (b'%', [high, low, after @ ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| (high << 4 | low, after)),
            _ => None,
        };
        let (byte, after) = escaped.unwrap_or((*first, after));
        bytes.push(byte);
        rest = after;
    }
    Cow::Owned(bytes)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(path: &str) -> Rule {
        Rule { path: path.into(), methods: Vec::new(), min_assurance: Some(Assurance::User), scopes: Vec::new() }
    }

    #[test]
    fn a_rule_is_for_a_path_and_whole_segments_below_it() {
        for (path, request, applies) in [
            ("/v1", "/v1", true),
            ("/v1", "/v1/", true),
            ("/v1", "/v1/x", true),
            ("/v1/", "/v1", true),
            ("/v1/", "/v1/x", true),
            ("/v1", "/v10", false),
            ("/v1", "/V1", false),
            ("/v1", "/", false),
            ("/v1/x", "/v1", false),
            ("/", "/", true),
            ("/", "/anything", true),
            ("/admin", "/%61dmin/x", true),
            ("/admin", "/%61%64min", true),
            ("/%61dmin", "/admin", true),
            ("/caf%C3%A9", "/caf%c3%a9/x", true),
            ("/a", "/a%20b", false),
            ("/a/b", "/a;x=1/b;y/c", true),
            ("/a/b", "/a%3bx/b", true),
            ("/a", "/ab;x", false),
            ("/a%20b", "/a%20b/c", true),
        ] {
            assert_eq!(rule(path).applies("GET", request), applies, "{path} {request}");
        }
    }

    #[test]
    fn a_rule_is_for_its_methods() {
        let posts = Rule { methods: alloc::vec!["POST".into(), "PUT".into()], ..rule("/") };
        assert!(posts.applies("POST", "/x") && posts.applies("PUT", "/x"));
        assert!(!posts.applies("GET", "/x") && !posts.applies("post", "/x") && !posts.applies("POSTS", "/x"));
    }

    #[test]
    fn what_can_not_be_kept_is_named() {
        let read = |text: &str| serde_json::from_str::<ToolPolicy>(text);
        assert!(read(r#"{"max_stalenes":30}"#).is_err(), "a demand that is not known is not left out");
        assert!(read(r#"{"rules":[{"path":"/","verbs":[]}]}"#).is_err());
        assert!(read(r#"{"rules":[["/",[],null,["read"]]]}"#).is_err() && read(r#"{"rates":{"key":[1,2]}}"#).is_err());
        assert!(read(r#"{"rates":[]}"#).is_err() && read(r#"{"rates":{"tokens":null}}"#).is_err());
        assert!(
            read(r#"{"max_body":1,"max_body":2}"#).is_err() && read(r#"{"rates":{"token":null}}"#).unwrap().is_empty()
        );
        for (text, member) in [
            (r#"{"max_staleness":4}"#, "max_staleness"),
            (r#"{"max_staleness":86401}"#, "max_staleness"),
            (r#"{"max_body":0}"#, "max_body"),
            (r#"{"rates":{"token":{"per_second":0,"burst":1}}}"#, "rates.token"),
            (r#"{"rates":{"address":{"per_second":1,"burst":0}}}"#, "rates.address"),
            (r#"{"rules":[{"path":"v1","scopes":["a"]}]}"#, "rules[0].path"),
            (r#"{"rules":[{"path":"/","scopes":["a"]},{"path":"/a//b","scopes":["a"]}]}"#, "rules[1].path"),
            (r#"{"rules":[{"path":"/a/%2e","scopes":["a"]}]}"#, "rules[0].path"),
            (r#"{"rules":[{"path":"/","methods":["get"],"scopes":["a"]}]}"#, "rules[0].methods"),
            (r#"{"rules":[{"path":"/","methods":[""],"scopes":["a"]}]}"#, "rules[0].methods"),
            (r#"{"rules":[{"path":"/"}]}"#, "rules[0].scopes"),
        ] {
            assert_eq!(read(text).unwrap().check().unwrap_err().member, member, "{text}");
        }
        let good = r#"{"max_staleness":5,"allowed_ips":["10.0.0.0/8"],"max_body":1,"rates":{"user":{"per_second":1,"burst":1}},"rules":[{"path":"/"," methods":[]}]}"#;
        assert!(read(good).is_err());
        let rules: Vec<Rule> = (0..=MAX_RULES).map(|_| rule("/")).collect();
        assert_eq!(ToolPolicy { rules, ..ToolPolicy::default() }.check().unwrap_err().member, "rules");
        let allowed_ips = (0..=MAX_LISTED).map(|_| "10.0.0.0/8".into()).collect();
        assert_eq!(ToolPolicy { allowed_ips, ..ToolPolicy::default() }.check().unwrap_err().member, "allowed_ips");
    }

    #[test]
    fn one_policy_has_one_text() {
        let text = r#"{"max_staleness":30,"rules":[{"path":"/v1","scopes":["read"]}]}"#;
        let policy: ToolPolicy = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&policy).unwrap(), text);
        assert_eq!(serde_json::to_string(&ToolPolicy::default()).unwrap(), "{}");
        assert!(ToolPolicy::default().is_empty() && !policy.is_empty());
    }
}
