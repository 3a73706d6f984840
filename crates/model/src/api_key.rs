//! API keys: their rows, and their rights once a row has opened.
//!
//! A [`SealedApiKey`] is a row of the database. Nothing may be done with it but to [`open`](SealedApiKey::open) it, and it
//! opens only as it was written: every use of a key goes through there, so a row that was edited by hand is refused (T13).

use super::audit::Event;
use super::audit::detail::Fact;
use super::roots::Roots;
use super::scope::Scopes;
use super::stored_origin::StoredOrigin;
use super::user::UserName;
use crate::clock::UnixTime;
use bmap_protocol::api_key::StoredHash;
use bmap_protocol::ids::{ApiKeyId, ToolId, UserId};
use bmap_protocol::keys::SigningKey;
use bmap_protocol::seal::{ApiKeyRow, SealError, SigningKind};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Most entries of each kind in a key's scope: so that the sealed row's associated data stays small.
pub const MAX_SCOPE_ENTRIES: usize = 64;

/// A row as the database has it: not to be believed before it has opened.
#[derive(Clone, Debug)]
pub struct SealedApiKey {
    /// Public id.
    pub id: ApiKeyId,
    /// The user that the row names.
    pub owner: UserId,
    /// Its name; not sealed, decides nothing.
    pub name: UserName,
    /// How it signs.
    pub signing: SigningKind,
    /// Epoch of the root that sealed it.
    pub epoch: u32,
    /// Canonical scope, byte for byte.
    pub scope: String,
    /// Hash of the secret.
    pub stored_hash: StoredHash,
    /// `K_api` or the Ed25519 public key, sealed to all of the above.
    pub sealed: String,
    /// When it was made.
    pub created_at: UnixTime,
    /// Whether it was revoked.
    pub state: KeyState,
}

/// Whether a key was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It works until it ends.
    Active,
    /// It does not work any more.
    Revoked {
        /// Since when.
        at: UnixTime,
    },
}

/// A key whose row has opened.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// Public id.
    pub id: ApiKeyId,
    /// Its user.
    pub owner: UserId,
    /// The material that verifies its signatures.
    pub material: KeyMaterial,
    /// Its rights.
    pub scope: KeyScope,
    /// Hash of the secret.
    pub stored_hash: StoredHash,
    /// Whether it was revoked.
    pub state: KeyState,
}

/// The material that checks a key's signatures.
#[derive(Clone, Debug)]
pub enum KeyMaterial {
    /// `K_api`.
    Hmac(SigningKey),
    /// The public key.
    Ed25519([u8; 32]),
}

/// A row that can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenRow {
    /// The seal does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The root secret of its epoch is not at hand.
    #[error("there is no root secret of epoch {epoch}")]
    Epoch {
        /// The epoch.
        epoch: u32,
    },
    /// It opened, and its content is not key material or a scope.
    #[error("the sealed value opened, but its content is not a key")]
    Content,
}

impl SealedApiKey {
    /// The row as the seal binds it.
    pub fn row(&self) -> ApiKeyRow<'_> {
        ApiKeyRow {
            epoch: self.epoch,
            key_id: &self.id,
            signing: self.signing,
            owner: &self.owner,
            scope: &self.scope,
            stored_hash: &self.stored_hash,
        }
    }

    /// Opens the row: the one way from a row to a key.
    ///
    /// # Errors
    /// [`BrokenRow`] for a row that is not as it was written.
    pub fn open(&self, roots: &Roots) -> Result<ApiKey, BrokenRow> {
        let epoch = roots.of(self.epoch).ok_or(BrokenRow::Epoch { epoch: self.epoch })?;
        let material = self.row().open(&epoch.kek(), &self.sealed)?;
        let bytes: [u8; 32] = material.as_slice().try_into().map_err(|_| BrokenRow::Content)?;
        Ok(ApiKey {
            id: self.id.clone(),
            owner: self.owner.clone(),
            material: match self.signing {
                SigningKind::HmacSha256 => KeyMaterial::Hmac(SigningKey::from_bytes(bytes)),
                SigningKind::Ed25519 => KeyMaterial::Ed25519(bytes),
            },
            scope: KeyScope::from_canonical(&self.scope).map_err(|_| BrokenRow::Content)?,
            stored_hash: self.stored_hash.clone(),
            state: self.state,
        })
    }
}

impl SealedApiKey {
    /// The same secret with another scope, sealed anew in the newest epoch. A row that does not open is not sealed again.
    ///
    /// # Errors
    /// [`BrokenRow`], also for a scope that is too large to be sealed.
    pub fn with_scope(&self, scope: &KeyScope, roots: &Roots, nonce: [u8; 12]) -> Result<Self, BrokenRow> {
        let material = self.open(roots)?.material;
        let epoch = roots.sealing();
        let mut changed = Self { scope: scope.to_canonical(), epoch: epoch.epoch(), ..self.clone() };
        changed.sealed = match &material {
            KeyMaterial::Hmac(key) => changed.row().seal(&epoch.kek(), nonce, key.expose())?,
            KeyMaterial::Ed25519(public_key) => changed.row().seal(&epoch.kek(), nonce, public_key)?,
        };
        Ok(changed)
    }
}

/// The rights of a key. The seal binds their canonical JSON: members in this order, entries sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyScope {
    /// Tools that it may get tokens for.
    pub tools: ToolSet,
    /// Origins of pages that it may make tickets for; none for a key that only servers use.
    pub origins: Vec<StoredOrigin>,
    /// Networks that it may be used from; none means any.
    pub cidrs: Vec<IpNet>,
    /// End of its life, in seconds since 1970.
    pub expires_at: Option<i64>,
    /// Scopes that its tokens may have at most; `None` for whatever its owner may have.
    pub scopes: Option<Scopes>,
    /// Whether it administers this installation: the key printed at the first start does.
    pub administer: bool,
}

/// Which tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolSet {
    /// Every tool, also those to come.
    Any,
    /// These.
    Only(Vec<ToolId>),
}

impl From<&ToolSet> for Fact {
    fn from(tools: &ToolSet) -> Self {
        match tools {
            ToolSet::Any => Self::from("*"),
            ToolSet::Only(tools) => Self::from(tools.as_slice()),
        }
    }
}

impl Default for ToolSet {
    fn default() -> Self {
        Self::Only(Vec::new())
    }
}

impl ToolSet {
    /// Whether `tool` is one of them.
    pub fn contains(&self, tool: &ToolId) -> bool {
        match self {
            ToolSet::Any => true,
            ToolSet::Only(tools) => tools.contains(tool),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CanonicalScope {
    tools: Vec<String>,
    origins: Vec<String>,
    cidrs: Vec<IpNet>,
    expires_at: Option<i64>,
    // Left out where there is nothing to say: so a scope from before there were any is canonical as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    administer: bool,
}

/// A text that is not a canonical scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a canonical scope of an API key")]
pub struct InvalidKeyScope;

impl KeyScope {
    /// The canonical JSON: `{"tools":[…],"origins":[…],"cidrs":[…],"expires_at":null|seconds}`, and behind these `"scopes":[…]` where the
    /// key has some of its own, and `"administer":true` where it has that capability.
    pub fn to_canonical(&self) -> String {
        let sorted = |mut texts: Vec<String>| {
            texts.sort_unstable();
            texts.dedup();
            texts
        };
        let mut cidrs = self.cidrs.clone();
        cidrs.sort_unstable();
        cidrs.dedup();
        let canonical = CanonicalScope {
            tools: match &self.tools {
                ToolSet::Any => vec!["*".to_owned()],
                ToolSet::Only(tools) => sorted(tools.iter().map(ToString::to_string).collect()),
            },
            origins: sorted(self.origins.iter().map(ToString::to_string).collect()),
            cidrs,
            expires_at: self.expires_at,
            scopes: self.scopes.as_ref().map(|scopes| scopes.words().map(str::to_owned).collect()),
            administer: self.administer,
        };
        // Strings and numbers: nothing in it can fail to serialise.
        serde_json::to_string(&canonical).unwrap_or_default()
    }

    /// Reads the canonical JSON.
    ///
    /// # Errors
    /// [`InvalidKeyScope`].
    pub fn from_canonical(text: &str) -> Result<Self, InvalidKeyScope> {
        let canonical: CanonicalScope = serde_json::from_str(text).map_err(|_| InvalidKeyScope)?;
        let tools = match canonical.tools.as_slice() {
            [any] if any == "*" => ToolSet::Any,
            tools => ToolSet::Only(
                tools.iter().map(|id| ToolId::parse(id)).collect::<Result<_, _>>().map_err(|_| InvalidKeyScope)?,
            ),
        };
        let origins = canonical.origins.iter().map(|origin| StoredOrigin::of_row(origin)).collect::<Option<_>>();
        let origins = origins.ok_or(InvalidKeyScope)?;
        let scopes = canonical.scopes.map(|words| Scopes::of_words(&words)).transpose().map_err(|_| InvalidKeyScope)?;
        let CanonicalScope { cidrs, expires_at, administer, .. } = canonical;
        Ok(Self { tools, origins, cidrs, expires_at, scopes, administer })
    }

    /// The event, with the rights of the scope.
    pub fn told(&self, event: Event) -> Event {
        let event = event.with("tools", &self.tools).with("origins", self.origins.as_slice());
        let event = event.with("cidrs", self.cidrs.as_slice());
        let event = match self.expires_at {
            Some(end) => event.with("expires_at", end),
            None => event,
        };
        let event = match &self.scopes {
            Some(scopes) => event.with("scopes", scopes),
            None => event,
        };
        if self.administer { event.with("administer", true) } else { event }
    }

    /// Whether the key may be used from `address`.
    pub fn allows_address(&self, address: IpAddr) -> bool {
        // A v4 address that arrives on a v6 socket is that v4 address.
        let address = address.to_canonical();
        self.cidrs.is_empty() || self.cidrs.iter().any(|cidr| cidr.contains(&address))
    }

    /// Whether a former secret with this scope still works: it always has an end, that of its grace.
    pub fn is_within_grace(&self, now: UnixTime) -> bool {
        self.expires_at.is_some_and(|end| now.seconds() < end)
    }

    /// Whether its life is over.
    pub fn is_over(&self, now: UnixTime) -> bool {
        self.expires_at.is_some_and(|end| now.seconds() >= end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> KeyScope {
        KeyScope {
            tools: ToolSet::Only(vec![ToolId::parse("places").unwrap(), ToolId::parse("geocoder").unwrap()]),
            origins: vec![StoredOrigin::of_row("https://shop.example").unwrap()],
            cidrs: vec!["10.0.0.0/8".parse().unwrap()],
            expires_at: Some(1_764_000_000),
            ..KeyScope::default()
        }
    }

    #[test]
    fn the_canonical_form_is_the_one_of_the_known_answers() {
        let known = r#"{"tools":["geocoder"],"origins":["https://shop.example"],"cidrs":[],"expires_at":null}"#;
        assert_eq!(KeyScope::from_canonical(known).unwrap().to_canonical(), known);
        let sorted = r#"{"tools":["geocoder","places"],"origins":["https://shop.example"],"cidrs":["10.0.0.0/8"],"expires_at":1764000000}"#;
        assert_eq!(scope().to_canonical(), sorted);
        let any = KeyScope { tools: ToolSet::Any, ..KeyScope::default() };
        assert_eq!(KeyScope::from_canonical(&any.to_canonical()), Ok(any));
        let more = KeyScope { scopes: Some(Scopes::parse("b a").unwrap()), administer: true, ..scope() };
        assert!(more.to_canonical().ends_with(r#""expires_at":1764000000,"scopes":["a","b"],"administer":true}"#));
        let again = KeyScope::from_canonical(&more.to_canonical()).unwrap();
        assert_eq!((again.to_canonical(), again.scopes, again.administer), (more.to_canonical(), more.scopes, true));
        let none = KeyScope { scopes: Some(Scopes::default()), ..KeyScope::default() };
        assert_eq!(KeyScope::from_canonical(&none.to_canonical()), Ok(none), "no scope at all is not every scope");
    }

    #[test]
    fn other_scopes_are_refused() {
        for text in [
            "",
            "{}",
            r#"{"tools":["*","geo"],"origins":[],"cidrs":[],"expires_at":null}"#,
            r#"{"tools":[],"origins":["null"],"cidrs":[],"expires_at":null}"#,
            r#"{"tools":[],"origins":[],"cidrs":[],"expires_at":null,"admin":true}"#,
            r#"{"tools":[],"origins":[],"cidrs":["10.0.0.0/40"],"expires_at":null}"#,
            r#"{"tools":[],"origins":[],"cidrs":[],"expires_at":null,"scopes":["a b"]}"#,
            r#"{"tools":[],"origins":[],"cidrs":[],"expires_at":null,"administer":1}"#,
        ] {
            assert_eq!(KeyScope::from_canonical(text), Err(InvalidKeyScope), "{text}");
        }
    }

    #[test]
    fn limits_bind() {
        let scope = scope();
        assert!(scope.allows_address("10.1.2.3".parse().unwrap()));
        assert!(scope.allows_address("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!scope.allows_address("192.168.0.1".parse().unwrap()));
        assert!(KeyScope::default().allows_address("192.168.0.1".parse().unwrap()));
        assert!(!scope.is_over(UnixTime(1_763_999_999_999)));
        assert!(scope.is_over(UnixTime(1_764_000_000_000)));
        assert!(!KeyScope::default().is_over(UnixTime(i64::MAX)));
        assert!(!KeyScope::default().tools.contains(&ToolId::parse("geo").unwrap()));
        assert!(ToolSet::Any.contains(&ToolId::parse("geo").unwrap()));
    }
}
