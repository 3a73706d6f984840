//! A tool's credential: one text in one environment variable, printed by `bmap tool credential`.

use crate::allowed_ips::networks;
use crate::allowed_origins::AllowedOrigins;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::ids::{Issuer, ToolId};
use bmap_protocol::keys::ToolKey;
use bmap_protocol::origin::Origin;
use bmap_protocol::token::{Assurance, IssuerKey};
use bmap_protocol::tool_policy::ToolPolicy;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use zeroize::Zeroizing;

/// The environment variable that holds the credential.
pub const VARIABLE: &str = "BMAP_TOOL_CREDENTIAL";
/// The environment variable that names a file with the credential.
pub const FILE_VARIABLE: &str = "BMAP_TOOL_CREDENTIAL_FILE";

/// The issuer in every credential that the feature `test` makes. Its name is reserved for tests
/// (RFC 6761 §6.2): no installation has it.
pub const TEST_ISSUER: &str = "https://issuer.test";

const PREFIX: &str = "bmap-tool-1.";
const NOT_TEXT: &str = "it is not text";

/// Issuer, tool, epoch keys, the issuer's public keys, and the policy that the operator set. Secret: redacted in `Debug`.
///
/// ```
/// use bmap_verifier::{CredentialError, ToolCredential};
///
/// # use bmap_verifier::protocol::{ids::{Issuer, ToolId}, keys::ToolKey, token::{Assurance, IssuerKey}};
/// # let issuer_key = ed25519_dalek::SigningKey::from_bytes(&[2; 32]).verifying_key().to_bytes();
/// # let credential = bmap_verifier::ToolCredential {
/// #     issuer: Issuer::parse("https://auth.example").unwrap(),
/// #     tool: ToolId::parse("geo").unwrap(),
/// #     own: vec!["https://geo.example".parse().unwrap()],
/// #     epochs: vec![(1, ToolKey::from_bytes([1; 32]))],
/// #     issuer_keys: vec![IssuerKey::new("bj1.a", &issuer_key).unwrap()],
/// #     origins: bmap_verifier::AllowedOrigins::NamedByToken,
/// #     min_assurance: Assurance::Origin,
/// #     scopes: Vec::new(),
/// #     policy: Default::default(),
/// # };
/// # let valid = credential.expose();
/// let credential = ToolCredential::parse(&valid)?;
/// assert_eq!(credential.tool.as_str(), "geo");
/// assert!(matches!(ToolCredential::parse("geo"), Err(CredentialError::Form(_))));
/// # Ok::<(), CredentialError>(())
/// ```
#[derive(Clone)]
pub struct ToolCredential {
    /// The issuer.
    pub issuer: Issuer,
    /// The tool.
    pub tool: ToolId,
    /// The origins of the tool's public base URLs: what `@authority` may be.
    pub own: Vec<Origin>,
    /// `K_tool` of each epoch in use, the current one first.
    pub epochs: Vec<(u32, ToolKey)>,
    /// The issuer's public keys.
    pub issuer_keys: Vec<IssuerKey>,
    /// Pages that may call.
    pub origins: AllowedOrigins,
    /// The lowest assurance that the tool accepts.
    pub min_assurance: Assurance,
    /// Scopes that a token must all have.
    pub scopes: Vec<String>,
    /// What the operator asks of requests beside.
    pub policy: ToolPolicy,
}

/// Why there is no credential, as a sentence that says what to do. Never repeats the credential's text.
///
/// `Debug` is the same sentence, because a process whose `main` returns an error ends with its `Debug`.
///
/// ```
/// use bmap_verifier::{CredentialError, ToolCredential};
///
/// let error = ToolCredential::parse("not a credential").unwrap_err();
/// assert!(error.to_string().starts_with("not a tool credential: "));
/// let missing = CredentialError::Missing;
/// assert!(missing.to_string().contains("set BMAP_TOOL_CREDENTIAL to what `bmap tool credential ID` prints"));
/// assert_eq!(format!("{missing:?}"), missing.to_string());
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// Neither variable is set.
    #[error(
        "there is no tool credential: set {VARIABLE} to what `bmap tool credential ID` prints at the issuer, or {FILE_VARIABLE} to the path of \
         a file that holds it"
    )]
    Missing,
    /// A variable is set to nothing, as by a command that failed in a shell's `$(…)`, and the other one is not set.
    #[error("{variable} is empty: {}", what_to_set(variable))]
    Empty {
        /// The variable.
        variable: &'static str,
    },
    /// Both variables are set: which one counts would be a guess.
    #[error("both {VARIABLE} and {FILE_VARIABLE} are set: unset one of them")]
    Both,
    /// The file can't be read.
    #[error(
        "{FILE_VARIABLE} names {path}, which can't be read ({why}): {}, and let the tool's user read it",
        what_to_set(FILE_VARIABLE)
    )]
    File {
        /// The file.
        path: String,
        /// The system's error.
        why: String,
    },
    /// The environment holds something else than a credential.
    #[error("{place} holds no tool credential: {why}; {}", what_to_set(place))]
    Environment {
        /// [`VARIABLE`], or [`FILE_VARIABLE`] where the text was in the file that it names.
        place: &'static str,
        /// What is wrong with the text.
        why: &'static str,
    },
    /// Not a credential.
    #[error("not a tool credential: {0}")]
    Form(&'static str),
}

impl fmt::Debug for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn what_to_set(variable: &str) -> &'static str {
    if variable == FILE_VARIABLE {
        "set it to the path of a file with what `bmap tool credential ID` prints at the issuer, whole"
    } else {
        "set it to what `bmap tool credential ID` prints at the issuer, whole"
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    issuer: String,
    tool: String,
    base_urls: Vec<String>,
    epochs: Vec<WireEpoch>,
    issuer_keys: Vec<WireKey>,
    origins: Vec<String>,
    min_assurance: Assurance,
    scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "ToolPolicy::is_empty")]
    policy: ToolPolicy,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireEpoch {
    epoch: u32,
    key: Zeroizing<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireKey {
    kid: String,
    x: String,
}

impl ToolCredential {
    /// Reads it from `BMAP_TOOL_CREDENTIAL`, or from the file that `BMAP_TOOL_CREDENTIAL_FILE` names. A variable that is set to nothing counts as
    /// not set where the other one is set.
    ///
    /// # Errors
    /// [`CredentialError`], which says what to set.
    pub fn from_env() -> Result<Self, CredentialError> {
        let value = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let is_empty = |name: &str| std::env::var_os(name).is_some_and(|value| value.is_empty());
        let (place, text) = match (value(VARIABLE), value(FILE_VARIABLE)) {
            (Some(_), Some(_)) => return Err(CredentialError::Both),
            (Some(text), None) => (VARIABLE, text.into_string().map_err(|_| NOT_TEXT)),
            (None, Some(path)) => {
                let path = Path::new(&path);
                let text = std::fs::read(path)
                    .map_err(|why| CredentialError::File { path: path.display().to_string(), why: why.to_string() })?;
                warn_if_readable_by_others(path);
                (FILE_VARIABLE, String::from_utf8(text).map_err(|_| NOT_TEXT))
            }
            (None, None) => {
                let variable = [VARIABLE, FILE_VARIABLE].into_iter().find(|name| is_empty(name));
                return Err(variable.map_or(CredentialError::Missing, |variable| CredentialError::Empty { variable }));
            }
        };
        let text = text.map_err(|why| CredentialError::Environment { place, why })?;
        let credential = Self::parse(&Zeroizing::new(text)).map_err(|fault| match fault {
            CredentialError::Form(why) => CredentialError::Environment { place, why },
            fault => fault,
        })?;
        if credential.issuer.as_str() == TEST_ISSUER {
            tracing::warn!("{place}: a credential of the test issuer, for tests of this tool only");
        }
        Ok(credential)
    }

    /// Reads the text; white space around it is ignored.
    ///
    /// # Errors
    /// [`CredentialError::Form`]. One of the test issuer ([`TEST_ISSUER`]) is taken with the feature `test` alone.
    pub fn parse(text: &str) -> Result<Self, CredentialError> {
        let form = CredentialError::Form;
        let text = text.trim();
        if text.is_empty() {
            return Err(form("it is empty"));
        }
        let encoded = text.strip_prefix(PREFIX).ok_or(form("it does not start with bmap-tool-1."))?;
        let json = Base64UrlUnpadded::decode_vec(encoded).map_err(|_| form("it is cut or damaged"))?;
        let wire: Wire =
            serde_json::from_slice(&Zeroizing::new(json)).map_err(|_| form("its content is of another version"))?;
        let origins = match wire.origins.as_slice() {
            [any] if any == "*" => AllowedOrigins::NamedByToken,
            list => AllowedOrigins::These(
                parse_all(list).ok_or(form("an allowed origin is not a serialised origin"))?.into(),
            ),
        };
        let own = wire.base_urls.iter().map(|url| base_origin(url)).collect::<Option<Vec<_>>>();
        let epochs = wire.epochs.iter().map(|epoch| Some((epoch.epoch, ToolKey::from_bytes(bytes(&epoch.key)?))));
        let keys = wire.issuer_keys.iter().map(|key| IssuerKey::new(&key.kid, &bytes(&key.x)?).ok());
        let credential = Self {
            issuer: Issuer::parse(&wire.issuer).map_err(|_| form("the issuer is not a URL"))?,
            tool: ToolId::parse(&wire.tool).map_err(|_| form("the tool id is outside its grammar"))?,
            own: own.filter(|own| !own.is_empty()).ok_or(form("a base URL is missing or not http(s)"))?,
            epochs: epochs.collect::<Option<_>>().ok_or(form("an epoch's key is not 32 bytes"))?,
            issuer_keys: keys.collect::<Option<_>>().ok_or(form("an issuer key is not an Ed25519 key"))?,
            origins,
            min_assurance: wire.min_assurance,
            scopes: wire.scopes,
            policy: wire.policy,
        };
        if credential.policy.check().is_err() || networks(&credential.policy).is_none() {
            return Err(form("its policy is not one that a verifier can keep"));
        }
        if credential.epochs.is_empty() || credential.issuer_keys.is_empty() {
            return Err(form("it holds no key"));
        }
        if is_out_of_place(&credential.issuer, cfg!(feature = "test")) {
            return Err(form("it is one of the test issuer, and this build takes none of these"));
        }
        Ok(credential)
    }

    /// The text, for the tool's environment. Its holder can forge requests to this one tool.
    pub fn expose(&self) -> Zeroizing<String> {
        let wire = Wire {
            issuer: self.issuer.to_string(),
            tool: self.tool.to_string(),
            base_urls: self.own.iter().map(Origin::to_string).collect(),
            epochs: self
                .epochs
                .iter()
                .map(|(epoch, key)| WireEpoch {
                    epoch: *epoch,
                    key: Base64UrlUnpadded::encode_string(key.expose()).into(),
                })
                .collect(),
            issuer_keys: self
                .issuer_keys
                .iter()
                .map(|key| WireKey {
                    kid: key.kid().to_owned(),
                    x: Base64UrlUnpadded::encode_string(&key.public_key()),
                })
                .collect(),
            origins: match &self.origins {
                AllowedOrigins::NamedByToken => vec!["*".to_owned()],
                AllowedOrigins::These(list) => list.iter().map(Origin::to_string).collect(),
            },
            min_assurance: self.min_assurance,
            scopes: self.scopes.clone(),
            policy: self.policy.clone(),
        };
        // A struct of texts and numbers always serialises.
        let json = Zeroizing::new(serde_json::to_vec(&wire).unwrap_or_default());
        let encoded = Zeroizing::new(Base64UrlUnpadded::encode_string(&json));
        Zeroizing::new(format!("{PREFIX}{}", *encoded))
    }
}

impl fmt::Debug for ToolCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolCredential")
            .field("issuer", &self.issuer.as_str())
            .field("tool", &self.tool.as_str())
            .finish_non_exhaustive()
    }
}

/// Names a credential's file in the log where every user of the machine can read it.
#[cfg(unix)]
fn warn_if_readable_by_others(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let Ok(file) = std::fs::metadata(path) else { return };
    let mode = file.permissions().mode() & 0o7777;
    if mode & 0o006 != 0 {
        tracing::warn!(
            "{FILE_VARIABLE}: {} has mode {mode:04o}: every user of this machine can read the credential, and forge requests to this \
             tool; chmod 600",
            path.display()
        );
    }
}

#[cfg(not(unix))]
fn warn_if_readable_by_others(_: &Path) {}

/// Whether a credential is one of the test issuer, in a build without the feature `test`.
fn is_out_of_place(issuer: &Issuer, is_test_build: bool) -> bool {
    issuer.as_str() == TEST_ISSUER && !is_test_build
}

/// The origin of a base URL: the part before its path.
pub fn base_origin(url: &str) -> Option<Origin> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    Origin::parse(&format!("{scheme}://{authority}")).ok().filter(Origin::is_web)
}

fn parse_all(list: &[String]) -> Option<Vec<Origin>> {
    list.iter().map(|origin| Origin::parse_pattern(origin).ok()).collect()
}

fn bytes(encoded: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let decoded = Base64UrlUnpadded::decode(encoded, &mut bytes).ok()?;
    (decoded.len() == 32).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_of_the_test_issuer_is_for_builds_with_the_feature() {
        for (issuer, is_test_build, is_refused) in [
            (TEST_ISSUER, false, true),
            (TEST_ISSUER, true, false),
            ("https://auth.example", false, false),
            ("https://auth.example", true, false),
        ] {
            assert_eq!(is_out_of_place(&Issuer::parse(issuer).unwrap(), is_test_build), is_refused, "{issuer}");
        }
    }
}
