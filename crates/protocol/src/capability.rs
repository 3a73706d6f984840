//! Capability URLs (profile §10): a query parameter that lets `GET` and `HEAD` requests below one path in, many times, for a short time.
//!
//! ```
//! use bmap_protocol::capability;
//!
//! let found = capability::find(Some("style=light&bmap-cap=bmc1.e30.AA")).unwrap().unwrap();
//! assert_eq!((found.text, found.rest), ("bmc1.e30.AA", Some("style=light")));
//! assert!(capability::find(Some("bmap-cap=bmc1.e30.AA&style=light")).is_err(), "it is the last parameter");
//! assert!(capability::find(Some("q=Sofia")).unwrap().is_none());
//! ```

use crate::address_prefix::AddressPrefix;
use crate::claims::{Assurance, Claims, Confirmation, Subject};
use crate::ids::{ApiKeyId, Issuer, ToolId, UserId};
use crate::keys::{CapabilityKey, MacKey};
use crate::object::Object;
use crate::origin::Origin;
use crate::target;
use base64ct::{Base64UrlUnpadded, Encoding};
use serde::de::IntoDeserializer;
use serde::{Deserialize, Deserializer, Serialize};
use subtle::ConstantTimeEq;

/// The parameter's name.
pub const PARAMETER: &str = "bmap-cap";
/// Longest life, seconds.
pub const MAX_LIFE: u64 = 300;
const VERSION: &str = "bmc1.";
/// Most bytes of the payload's base64url.
const MAX_PAYLOAD: usize = 4096;

/// Why a capability is refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityFault {
    /// The parameter is there twice, or not the last one.
    #[error("the parameter is not the last one, or there are two")]
    NotLast,
    /// The parameter's name is spelled with escapes.
    #[error("the parameter's name is spelled with escapes")]
    Escaped,
    /// There is another proof beside it.
    #[error("there is another proof beside it")]
    BesideProof,
    /// The verifier stands behind a router that keeps the address with its capability, where the tool would see it.
    #[error("the layer is inside of a nested router")]
    Nested,
    /// The request has a body.
    #[error("the request has a body")]
    Body,
    /// Not `bmc1.<payload>.<mac>`.
    #[error("its form is another one")]
    Form,
    /// The MAC holds under no key of the tool.
    #[error("the MAC does not hold")]
    Mac,
    /// The payload is outside the profile, or names another tool or epoch than its key is of.
    #[error("the payload is outside the profile")]
    Payload,
    /// It lives longer than a capability may.
    #[error("it lives too long")]
    Life,
}

/// A capability as it stands in a query, not yet believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presented<'a> {
    /// Its text.
    pub text: &'a str,
    /// The query without the parameter; `None` where nothing is left, also no `?`.
    pub rest: Option<&'a str>,
}

/// The capability in a query.
///
/// # Errors
/// [`CapabilityFault::NotLast`], [`CapabilityFault::Escaped`].
pub fn find(query: Option<&str>) -> Result<Option<Presented<'_>>, CapabilityFault> {
    let Some(query) = query.filter(|query| query.contains(PARAMETER) || query.contains('%')) else { return Ok(None) };
    let (mut found, mut rest, mut at) = (None, None, 0_usize);
    for parameter in query.split('&') {
        if found.is_some() {
            return Err(CapabilityFault::NotLast);
        }
        let (name, text) = parameter.split_once('=').unwrap_or((parameter, ""));
        if name == PARAMETER {
            found = Some(text);
            // The `&` in front of it goes with it.
            rest = at.checked_sub(1).and_then(|end| query.get(..end));
        } else if name.contains('%') && is_spelled(name.as_bytes(), PARAMETER.as_bytes()) {
            return Err(CapabilityFault::Escaped);
        }
        at = at.saturating_add(parameter.len()).saturating_add(1);
    }
    Ok(found.map(|text| Presented { text, rest }))
}

/// Whether a name stands for another one, read with its escapes (RFC 3986 §2.1).
fn is_spelled(mut name: &[u8], mut wanted: &[u8]) -> bool {
    while let Some((first, after)) = wanted.split_first() {
        let (byte, left) = match name {
            [b'%', high, low, left @ ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, left),
                _ => return false,
            },
            [byte, left @ ..] => (*byte, left),
            [] => return false,
        };
        if byte != *first {
            return false;
        }
        (name, wanted) = (left, after);
    }
    name.is_empty()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// A capability whose MAC holds. Nothing else was asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Its claims, as those of a token: `jti` is that of the token that it was minted with. When it was issued is not in it; `iat` is the earliest
    /// second at which it can have been.
    pub claims: Claims,
    /// The path that it opens, with everything below: begins and ends with a slash, compared byte for byte.
    pub path_prefix: Box<str>,
}

/// `K_capability` of one tool and epoch, ready for use.
#[derive(Clone, Debug)]
pub struct CapabilityMac(MacKey);

impl CapabilityMac {
    /// Prepares a key.
    pub fn new(key: &CapabilityKey) -> Self {
        Self(MacKey::from_key_bytes(key.expose()))
    }

    /// Opens a capability of that tool and epoch.
    ///
    /// # Errors
    /// [`CapabilityFault::Form`], [`CapabilityFault::Mac`], [`CapabilityFault::Payload`].
    pub fn open(&self, text: &str, issuer: &Issuer, tool: &ToolId, epoch: u32) -> Result<Capability, CapabilityFault> {
        let (signed, mac) = text.rsplit_once('.').ok_or(CapabilityFault::Form)?;
        let payload = signed.strip_prefix(VERSION).ok_or(CapabilityFault::Form)?;
        if payload.len() > MAX_PAYLOAD {
            return Err(CapabilityFault::Form);
        }
        let mut sent = [0; 32];
        let is_whole = Base64UrlUnpadded::decode(mac, &mut sent).is_ok_and(|sent| sent.len() == 32);
        if !is_whole || !bool::from(self.0.mac(signed.as_bytes()).ct_eq(&sent)) {
            return Err(CapabilityFault::Mac);
        }
        let json = Base64UrlUnpadded::decode_vec(payload).map_err(|_| CapabilityFault::Payload)?;
        let Object(payload) = serde_json::from_slice::<Object<Payload>>(&json).map_err(|_| CapabilityFault::Payload)?;
        payload.validate(issuer, tool, epoch).ok_or(CapabilityFault::Payload)
    }

    /// The text of a capability: the token's claims, the path, and its end in seconds since 1970.
    ///
    /// ```
    /// use bmap_protocol::capability::CapabilityMac;
    /// # use bmap_protocol::token::{Assurance, Claims, Confirmation, Subject};
    /// # use bmap_protocol::ids::{ApiKeyId, Issuer, ToolId, UserId};
    /// # use bmap_protocol::keys::ToolKey;
    /// # let tool = ToolId::parse("geo")?;
    /// # let claims = Claims {
    /// #     issuer: Issuer::parse("https://auth.example")?, audience: tool.clone(), subject: Subject::User(UserId::from_uuid([1; 16])),
    /// #     client_id: ApiKeyId::from_uuid([2; 16]), issued_at: 1_764_000_000, expires_at: 1_764_000_300, not_before: None,
    /// #     id: "AAAAAAAAAAAAAAAAAAAAAA".into(), scope: "tiles".into(), origin: None, embed_origin: None, end_user: None,
    /// #     assurance: Assurance::Server, confirmation: Confirmation::Session { tool: tool.clone(), epoch: 1 }, session: None, address: None,
    /// # };
    /// let key = CapabilityMac::new(&ToolKey::from_bytes([1; 32]).capability_key());
    /// let text = key.mint(&claims, 1, "/v1/tiles/", 1_764_000_300);
    /// let capability = key.open(&text, &claims.issuer, &claims.audience, 1).unwrap();
    /// assert_eq!((&*capability.path_prefix, capability.claims.expires_at), ("/v1/tiles/", 1_764_000_300));
    /// # Ok::<(), bmap_protocol::ids::InvalidName>(())
    /// ```
    pub fn mint(&self, claims: &Claims, epoch: u32, path_prefix: &str, expires_at: u64) -> String {
        let payload = Payload {
            t: claims.audience.to_string(),
            e: epoch,
            s: claims.subject.as_str().to_owned(),
            c: claims.client_id.to_string(),
            o: claims.origin.as_ref().map(ToString::to_string),
            p: path_prefix.to_owned(),
            x: expires_at,
            j: claims.id.to_string(),
            a: claims.assurance,
            n: claims.scope.to_string(),
            d: claims.session.as_deref().map(str::to_owned),
            u: claims.end_user.as_deref().map(str::to_owned),
            r: claims.address.map(|address| address.to_string()),
            m: claims.embed_origin.as_ref().map(ToString::to_string),
        };
        // A struct of texts and numbers serialises.
        let json = serde_json::to_vec(&payload).unwrap_or_default();
        let signed = format!("{VERSION}{}", Base64UrlUnpadded::encode_string(&json));
        let mac = Base64UrlUnpadded::encode_string(&self.0.mac(signed.as_bytes()));
        format!("{signed}.{mac}")
    }
}

/// Whether a capability may be for that path: it begins and ends with a slash, and is one that verifiers take. `/` alone is for the tool's policy to allow.
pub fn is_path_prefix(path: &str) -> bool {
    path.ends_with('/') && target::check_path(path.as_bytes()).is_ok()
}

/// The payload, in the order of the profile.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    t: String,
    e: u32,
    s: String,
    c: String,
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    o: Option<String>,
    p: String,
    x: u64,
    j: String,
    #[serde(deserialize_with = "word")]
    a: Assurance,
    n: String,
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    d: Option<String>,
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    u: Option<String>,
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    r: Option<String>,
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    m: Option<String>,
}

/// A member that is there is a text: `null` is none.
fn some<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    String::deserialize(from).map(Some)
}

/// A word and nothing else: serde reads `{"origin":null}` as one too.
fn word<'de, D: Deserializer<'de>>(from: D) -> Result<Assurance, D::Error> {
    Assurance::deserialize(String::deserialize(from)?.into_deserializer())
}

impl Payload {
    /// Holds each member to its grammar.
    fn validate(self, issuer: &Issuer, tool: &ToolId, epoch: u32) -> Option<Capability> {
        if self.t != tool.as_str() || self.e != epoch || !is_path_prefix(&self.p) {
            return None;
        }
        let subject = match self.s.as_str() {
            "anon" => Subject::Anonymous,
            id => Subject::User(UserId::parse(id).ok()?),
        };
        let mut jti = [0; 16];
        let is_scope = self.n.len() <= 1024
            && self.n.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\');
        let is_short = |text: &Option<String>| text.as_ref().is_none_or(|text| (1..=256).contains(&text.len()));
        if Base64UrlUnpadded::decode(&self.j, &mut jti).ok()?.len() != 16
            || !is_scope
            || !is_short(&self.d)
            || !is_short(&self.u)
        {
            return None;
        }
        let origin = |text: Option<String>| text.map(|text| Origin::parse(&text)).transpose().ok();
        let address = self.r.map(|text| AddressPrefix::parse(&text).ok_or(())).transpose().ok()?;
        let claims = Claims {
            issuer: issuer.clone(),
            audience: tool.clone(),
            subject,
            client_id: ApiKeyId::parse(&self.c).ok()?,
            issued_at: self.x.saturating_sub(MAX_LIFE),
            expires_at: self.x,
            not_before: None,
            id: self.j.into(),
            scope: self.n.into(),
            origin: origin(self.o)?,
            embed_origin: origin(self.m)?,
            end_user: self.u.map(Into::into),
            assurance: self.a,
            confirmation: Confirmation::Session { tool: tool.clone(), epoch },
            session: self.d.map(Into::into),
            address,
        };
        Some(Capability { claims, path_prefix: self.p.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::ToolKey;

    fn mac() -> CapabilityMac {
        CapabilityMac::new(&ToolKey::from_bytes([1; 32]).capability_key())
    }

    fn sealed(json: &str) -> String {
        let signed = format!("{VERSION}{}", Base64UrlUnpadded::encode_string(json.as_bytes()));
        format!("{signed}.{}", Base64UrlUnpadded::encode_string(&mac().0.mac(signed.as_bytes())))
    }

    fn open(text: &str) -> Result<Capability, CapabilityFault> {
        mac().open(text, &Issuer::parse("https://auth.example").unwrap(), &ToolId::parse("geo").unwrap(), 1)
    }

    const GOOD: &str = r#"{"t":"geo","e":1,"s":"anon","c":"bmk_0192f0c1a7e27c3c9f60b2b4b1c7a0ff","o":"https://shop.example","p":"/v1/","x":1764000300,"j":"AAAAAAAAAAAAAAAAAAAAAA","a":"origin","n":"","r":"192.0.2.0/24"}"#;

    #[test]
    fn the_parameter_is_the_last_once_and_plain() {
        let found = |query: &str| {
            find(Some(query)).map(|found| found.map(|found| (found.text.to_owned(), found.rest.map(str::to_owned))))
        };
        let is = |text: &str, rest: Option<&str>| Ok(Some((text.to_owned(), rest.map(str::to_owned))));
        assert_eq!(found("bmap-cap=x"), is("x", None));
        assert_eq!(found("a=1&bmap-cap=x"), is("x", Some("a=1")));
        assert_eq!(found("&bmap-cap=x"), is("x", Some("")));
        assert_eq!(found("a=%41&&bmap-cap"), is("", Some("a=%41&")));
        assert_eq!(found("bmap-cap=x=y"), is("x=y", None));
        for none in [
            "",
            "a",
            "a=bmap-cap",
            "xbmap-cap=1",
            "bmap-cap2=1",
            "BMAP-CAP=1",
            "%62map-ca=1",
            "%zzmap-cap=1",
            "a;bmap-cap=1",
        ] {
            assert_eq!(found(none), Ok(None), "{none}");
        }
        for (query, fault) in [
            ("bmap-cap=x&a=1", CapabilityFault::NotLast),
            ("bmap-cap=x&", CapabilityFault::NotLast),
            ("bmap-cap=x&bmap-cap=x", CapabilityFault::NotLast),
            ("%62map-cap=x", CapabilityFault::Escaped),
            ("a=1&bmap%2Dcap=x", CapabilityFault::Escaped),
            ("bmap%2dcap=x&bmap-cap=x", CapabilityFault::Escaped),
            ("%62%6d%61%70%2d%63%61%70", CapabilityFault::Escaped),
            ("bmap-cap=x&%62map-cap=x", CapabilityFault::NotLast),
        ] {
            assert_eq!(found(query), Err(fault), "{query}");
        }
    }

    #[test]
    fn every_member_is_held_to_its_grammar() {
        assert_eq!(open(&sealed(GOOD)).unwrap().claims.address, AddressPrefix::parse("192.0.2.0/24"));
        for (from, to) in [
            (r#""t":"geo""#, r#""t":"route""#),
            (r#""e":1"#, r#""e":2"#),
            (r#""e":1"#, r#""e":1,"e":1"#),
            (r#""s":"anon""#, r#""s":"anonymous""#),
            (r#""c":"bmk_"#, r#""c":"bmx_"#),
            (r#""o":"https://shop.example""#, r#""o":"https://shop.example/""#),
            (r#""o":"https://shop.example""#, r#""o":"https://*.shop.example""#),
            (r#""p":"/v1/""#, r#""p":"/v1""#),
            (r#""p":"/v1/""#, r#""p":"v1/""#),
            (r#""p":"/v1/""#, r#""p":"/v1/../""#),
            (r#""p":"/v1/""#, r#""p":"""#),
            (r#""x":1764000300"#, r#""x":-1"#),
            (r#""x":1764000300"#, r#""x":"1764000300""#),
            (r#""j":"AAAAAAAAAAAAAAAAAAAAAA""#, r#""j":"AAAA""#),
            (r#""a":"origin""#, r#""a":"root""#),
            (r#""n":"""#, r#""n":"a\"b""#),
            (r#""r":"192.0.2.0/24""#, r#""r":"192.0.2.0/23""#),
            (r#""r":"192.0.2.0/24""#, r#""d":"""#),
            (r#""r":"192.0.2.0/24""#, r#""z":1"#),
            (r#""r":"192.0.2.0/24""#, r#""r":null"#),
            (r#""a":"origin""#, r#""a":{"origin":null}"#),
            (r#""r":"192.0.2.0/24""#, r#""d":null"#),
        ] {
            let changed = GOOD.replacen(from, to, 1);
            assert_ne!(changed, GOOD);
            assert_eq!(open(&sealed(&changed)), Err(CapabilityFault::Payload), "{to}");
        }
        assert_eq!(open(&sealed("")), Err(CapabilityFault::Payload));
        let listed = r#"["geo",1,"anon","bmk_0192f0c1a7e27c3c9f60b2b4b1c7a0ff","https://shop.example","/v1/",1764000300,"AAAAAAAAAAAAAAAAAAAAAA","origin","","s","u","192.0.2.0/24","https://shop.example"]"#;
        assert_eq!(open(&sealed(listed)), Err(CapabilityFault::Payload), "a list is no object");
    }

    #[test]
    fn the_text_is_whole_and_its_mac_holds() {
        let good = sealed(GOOD);
        let (signed, mac) = good.rsplit_once('.').unwrap();
        for (text, fault) in [
            (String::new(), CapabilityFault::Form),
            (signed.to_owned(), CapabilityFault::Form),
            (format!("bmc2.{}", &good[5..]), CapabilityFault::Form),
            (format!("{signed}.{}", &mac[1..]), CapabilityFault::Mac),
            (format!("{signed}."), CapabilityFault::Mac),
            (format!("{good}AA"), CapabilityFault::Mac),
            (format!("{good}="), CapabilityFault::Mac),
            (format!("{}x.{mac}", signed), CapabilityFault::Mac),
            (format!("{VERSION}{}.{mac}", "A".repeat(MAX_PAYLOAD + 1)), CapabilityFault::Form),
        ] {
            assert_eq!(open(&text), Err(fault), "{text:.60}");
        }
    }

    #[test]
    fn a_prefix_begins_and_ends_with_a_slash() {
        assert!(["/", "/v1/", "/a/b%20c/"].into_iter().all(is_path_prefix));
        assert!(!["", "v1/", "/v1", "//", "/../", "/a//", "/%2e/", "/a/?"].into_iter().any(is_path_prefix));
    }
}
