//! The fields of a key, checked. Each fault names its field, and says what would be right: the user who fills this in
//! is signed in.

use crate::error::IssuerError;
use bmap_model::api_key::{KeyScope, MAX_SCOPE_ENTRIES, ToolSet};
use bmap_model::clock::UnixTime;
use bmap_model::keys::new_key::MAX_GRACE_SECONDS;
use bmap_model::page_origin::page_origin;
use bmap_model::scope::Scopes;
use bmap_model::stored_origin::StoredOrigin;
use bmap_model::user::UserName;
use bmap_protocol::ids::ToolId;
use bmap_protocol::origin::Origin;
use bmap_protocol::seal::SigningKind;
use ipnet::IpNet;
use std::net::IpAddr;

/// The grace where none is named: a day.
pub const DEFAULT_GRACE_SECONDS: i64 = 86_400;
/// The last second that an end of life may be: the end of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

/// A new key.
#[derive(Clone, Debug)]
pub struct KeyForm {
    /// Its name.
    pub name: UserName,
    /// How it signs.
    pub signing: SigningKind,
    /// Its rights.
    pub scope: KeyScope,
}

/// A change of a key; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct KeyChange {
    /// Its name.
    pub name: Option<UserName>,
    /// Tools.
    pub tools: Option<ToolSet>,
    /// Pages.
    pub origins: Option<Vec<Origin>>,
    /// Networks.
    pub cidrs: Option<Vec<IpNet>>,
    /// End of its life, seconds since 1970; `Some(None)` for no end.
    pub expires_at: Option<Option<i64>>,
    /// Scopes of its own; `Some(None)` for whatever its owner may have.
    pub scopes: Option<Option<Scopes>>,
    /// Whether it administers this installation.
    pub administer: Option<bool>,
}

impl KeyChange {
    /// Whether it changes the rights of the key, and not only its name.
    pub const fn is_of_limits(&self) -> bool {
        let Self { name: _, tools, origins, cidrs, expires_at, scopes, administer } = self;
        let is_of_where = tools.is_some() || origins.is_some() || cidrs.is_some();
        is_of_where || expires_at.is_some() || scopes.is_some() || administer.is_some()
    }

    /// The scope after the change.
    pub fn apply(&self, scope: KeyScope) -> KeyScope {
        KeyScope {
            tools: self.tools.clone().unwrap_or(scope.tools),
            origins: self.origins.clone().map_or(scope.origins, stored),
            cidrs: self.cidrs.clone().unwrap_or(scope.cidrs),
            expires_at: self.expires_at.unwrap_or(scope.expires_at),
            scopes: self.scopes.clone().unwrap_or(scope.scopes),
            administer: self.administer.unwrap_or(scope.administer),
        }
    }
}

/// A fault in a field.
pub fn invalid(field: &'static str, hint: impl Into<String>) -> IssuerError {
    IssuerError::Invalid { field, hint: hint.into() }
}

/// Reads a name.
///
/// # Errors
/// [`IssuerError::Invalid`].
pub fn name(text: &str) -> Result<UserName, IssuerError> {
    UserName::parse(text).map_err(|error| invalid("name", error.to_string()))
}

/// Reads how a key signs.
///
/// # Errors
/// [`IssuerError::Invalid`].
pub fn signing(text: &str) -> Result<SigningKind, IssuerError> {
    let kinds = [SigningKind::HmacSha256, SigningKind::Ed25519];
    let known = kinds.into_iter().find(|kind| kind.as_str() == text);
    known.ok_or_else(|| invalid("signing", "hmac-sha256 or ed25519"))
}

/// Reads tools by their form: whether they are there is for the service to say.
///
/// # Errors
/// [`IssuerError::Invalid`].
pub fn tools(texts: &[String]) -> Result<ToolSet, IssuerError> {
    if texts.iter().any(|text| text == "*") {
        return match texts {
            [_] => Ok(ToolSet::Any),
            _ => Err(invalid("tools", "\"*\" stands for every tool and goes with no other")),
        };
    }
    entries("tools", texts, |text| ToolId::parse(text).map_err(|error| error.to_string())).map(ToolSet::Only)
}

/// Reads the origins of pages, each in its one serialised form (R50).
///
/// # Errors
/// [`IssuerError::Invalid`].
pub fn origins(texts: &[String]) -> Result<Vec<Origin>, IssuerError> {
    entries("origins", texts, page_origin)
}

/// Origins that came in, for a row.
pub fn stored(origins: Vec<Origin>) -> Vec<StoredOrigin> {
    origins.into_iter().map(StoredOrigin::from).collect()
}

/// Reads networks, each in its one canonical form.
///
/// # Errors
/// [`IssuerError::Invalid`].
pub fn cidrs(texts: &[String]) -> Result<Vec<IpNet>, IssuerError> {
    entries("cidrs", texts, network)
}

/// Reads scopes of tokens, with a space between them.
///
/// # Errors
/// [`IssuerError::Invalid`].
pub fn scopes(field: &'static str, text: &str) -> Result<Scopes, IssuerError> {
    Scopes::parse(text).map_err(|error| invalid(field, error.to_string()))
}

/// Reads the end of a key's life in milliseconds since 1970; whole seconds are kept.
///
/// # Errors
/// [`IssuerError::Invalid`].
pub fn end_of_life(millis: i64, now: UnixTime) -> Result<i64, IssuerError> {
    let seconds = UnixTime(millis).seconds();
    if seconds <= now.seconds() {
        return Err(invalid("expires_at", "milliseconds since 1970, in the future"));
    }
    if seconds > LAST_SECOND {
        return Err(invalid("expires_at", "milliseconds since 1970, before the year 10000"));
    }
    Ok(seconds)
}

/// Reads the grace of a former secret.
///
/// # Errors
/// [`IssuerError::Invalid`].
pub fn grace(seconds: Option<i64>) -> Result<i64, IssuerError> {
    let seconds = seconds.unwrap_or(DEFAULT_GRACE_SECONDS);
    let allowed = (0..=MAX_GRACE_SECONDS).contains(&seconds);
    if allowed { Ok(seconds) } else { Err(invalid("grace_seconds", "0 to 604800")) }
}

/// Reads a network: an address and a prefix length with no bit set behind it, and IPv4 as IPv4.
///
/// # Errors
/// The fault, and what would be right.
pub fn network(text: &str) -> Result<IpNet, String> {
    let Ok(network) = text.parse::<IpNet>() else {
        return Err(match text.parse::<IpAddr>() {
            Ok(address) => format!("a network is an address and a length; did you mean {}?", IpNet::from(address)),
            Err(_) => "a network is an address and a length, like 10.0.0.0/8".to_owned(),
        });
    };
    if matches!(network.network(), IpAddr::V6(address) if address.to_ipv4_mapped().is_some()) {
        return Err("write an IPv4 network as one, like 10.0.0.0/8".to_owned());
    }
    match network.trunc() {
        canonical if canonical.to_string() == text => Ok(canonical),
        canonical => Err(format!("did you mean {canonical}?")),
    }
}

fn entries<T>(
    field: &'static str,
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, IssuerError> {
    if texts.len() > MAX_SCOPE_ENTRIES {
        return Err(invalid(field, format!("at most {MAX_SCOPE_ENTRIES}")));
    }
    let parse = |(index, text): (usize, &String)| {
        parse(text).map_err(|problem| invalid(field, format!("entry {}: {problem}", index.saturating_add(1))))
    };
    texts.iter().enumerate().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint<T: std::fmt::Debug>(result: Result<T, IssuerError>) -> String {
        result.unwrap_err().hint().unwrap().to_owned()
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn networks_have_one_spelling() {
        for good in ["10.0.0.0/8", "0.0.0.0/0", "192.0.2.7/32", "2001:db8::/32", "::/0"] {
            assert_eq!(network(good).map(|network| network.to_string()).as_deref(), Ok(good));
        }
        for (bad, right) in [
            ("10.0.0.1/8", "10.0.0.0/8"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("2001:db8:0::/32", "2001:db8::/32"),
        ] {
            let error = network(bad).unwrap_err();
            assert!(error.ends_with(&format!("did you mean {right}?")), "{bad}: {error}");
        }
        for bad in ["", "10.0.0.0/33", "10/8", "localhost", "::ffff:10.0.0.0/104", " 10.0.0.0/8", "10.0.0.0/08"] {
            assert!(network(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lists_are_bounded_and_name_the_wrong_entry() {
        let many: Vec<String> = (0..=MAX_SCOPE_ENTRIES).map(|number| format!("t{number}")).collect();
        assert!(tools(&many[1..]).is_ok());
        assert_eq!(hint(tools(&many)), "at most 64");
        assert_eq!(tools(&texts(&["*"])).unwrap(), ToolSet::Any);
        assert!(hint(tools(&texts(&["*", "geo"]))).contains("goes with no other"));
        assert!(hint(tools(&texts(&["geo", "Geo"]))).starts_with("entry 2: "));
        assert!(hint(origins(&texts(&["https://Shop.example"]))).contains("did you mean https://shop.example?"));
        assert!(cidrs(&texts(&[])).unwrap().is_empty());
    }

    #[test]
    fn a_life_ends_in_the_future_and_a_grace_within_a_week() {
        let now = UnixTime(1_000_500);
        assert_eq!(end_of_life(1_001_999, now).unwrap(), 1001);
        for bad in [1_000_999, 0, -1, i64::MIN, i64::MAX] {
            assert!(end_of_life(bad, now).is_err(), "{bad}");
        }
        assert_eq!(
            (grace(None).unwrap(), grace(Some(0)).unwrap(), grace(Some(604_800)).unwrap()),
            (86_400, 0, 604_800)
        );
        assert!(grace(Some(604_801)).is_err() && grace(Some(-1)).is_err());
        assert!(signing("ed25519").is_ok() && signing("none").is_err() && signing("HMAC-SHA256").is_err());
    }
}
