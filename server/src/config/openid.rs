//! OpenID providers: as many as there are names, each with the same few fields. `[openid.NAME]` in the file, and
//! `BMAP_OPENID_NAME_FIELD` in the environment, which is stronger, field by field.

use super::environment::{Environment, flat};
use super::error::ConfigError;
use super::shown::Shown;
use bmap_issuer::openid::provider::{ALGORITHMS, ClientSecret, Provider, ProviderIssuer};
use bmap_model::openid::provider_name::ProviderName;
use bmap_outbound::Authorities;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const PREFIX: &str = "BMAP_OPENID_";
const SECRET: &str = "client_secret";
const SECRET_FILE: &str = "client_secret_file";

/// A provider's fields: name in its table of the file, end of its variable, default.
pub const OPENID_FIELDS: &[(&str, &str, Option<&str>)] = &[
    ("issuer", "ISSUER", None),
    ("client_id", "CLIENT_ID", None),
    // The longer name first: a variable is read by how it ends.
    (SECRET_FILE, "CLIENT_SECRET_FILE", None),
    (SECRET, "CLIENT_SECRET", None),
    ("scopes", "SCOPES", Some("openid,email")),
    ("label", "LABEL", None),
    ("algorithms", "ALGORITHMS", Some("RS256,ES256,EdDSA")),
    ("sign_up", "SIGN_UP", Some("true")),
    ("ca_file", "CA_FILE", None),
];

/// A field's text and where it stands.
#[derive(Clone)]
struct Text {
    text: Zeroizing<String>,
    place: String,
}

type Fields = BTreeMap<&'static str, Text>;

/// Every provider's fields that have a value.
#[derive(Clone, Default)]
pub(super) struct ProviderLayers(BTreeMap<String, Fields>);

impl ProviderLayers {
    /// `[openid.NAME]` of the file.
    pub(super) fn add_table(&mut self, table: &toml::Value, path: &Path) -> Result<(), ConfigError> {
        let place = path.display().to_string();
        let no_table = |key: String| wrong(key, &place, "not a table");
        for (name, fields) in table.as_table().ok_or_else(|| no_table("openid".to_owned()))? {
            let key = format!("openid.{name}");
            if ProviderName::parse(name).is_none() {
                return Err(wrong(key, &place, "a provider's name is a-z, 0-9 and -, at most 32, and not `token`"));
            }
            let provider = self.0.entry(name.clone()).or_default();
            for (field, value) in fields.as_table().ok_or_else(|| no_table(key.clone()))? {
                let unknown = || ConfigError::UnknownKey { key: format!("{key}.{field}"), source_name: place.clone() };
                let (known, ..) = OPENID_FIELDS.iter().find(|(known, ..)| known == field).ok_or_else(unknown)?;
                let problem = "neither a text, a number, true, false nor a list of texts";
                let text = flat(value).ok_or_else(|| wrong(format!("{key}.{field}"), &place, problem))?;
                provider.insert(known, Text { text: text.into(), place: place.clone() });
            }
            if provider.contains_key(SECRET) && provider.contains_key(SECRET_FILE) {
                return Err(wrong(key, &place, "client_secret and client_secret_file are two ways to say one thing"));
            }
        }
        Ok(())
    }

    /// Whether a variable is a provider's.
    pub(super) fn is_variable(name: &str) -> bool {
        variable(name).is_some()
    }

    /// Every provider's variables. A secret of the environment takes the place of the file's, however either is given.
    pub(super) fn add_environment(&mut self, environment: &Environment) {
        for name in environment.names() {
            let (Some((provider, field)), Some(text)) = (variable(name), environment.get(name)) else { continue };
            let fields = self.0.entry(provider).or_default();
            if field == SECRET {
                fields.remove(SECRET_FILE);
            } else if field == SECRET_FILE {
                fields.remove(SECRET);
            }
            fields.insert(field, Text { text: text.to_owned().into(), place: name.to_owned() });
        }
        // Under systemd: `LoadCredential=bmap-openid-NAME-client-secret:…`.
        let Some(folder) = environment.get("CREDENTIALS_DIRECTORY").map(PathBuf::from) else { return };
        for (name, fields) in &mut self.0 {
            let path = folder.join(format!("bmap-openid-{name}-client-secret"));
            let is_said = [SECRET, SECRET_FILE]
                .iter()
                .any(|field| fields.get(field).is_some_and(|text| text.place.starts_with(PREFIX)));
            if path.exists() && !is_said {
                fields.remove(SECRET);
                let path = path.display().to_string();
                fields.insert(SECRET_FILE, Text { text: path.clone().into(), place: path });
            }
        }
    }

    /// The providers.
    ///
    /// # Errors
    /// [`ConfigError`]: the first field that is wrong.
    pub(super) fn read(&self) -> Result<Vec<Provider>, ConfigError> {
        let mut providers: Vec<Provider> = Vec::new();
        for (name, fields) in &self.0 {
            let reader = Reader { name, fields };
            let provider = reader.provider()?;
            // A user is known by issuer and subject, and an ID token by its issuer: two names for one issuer would be one
            // provider.
            if providers.iter().any(|other| other.issuer == provider.issuer) {
                return Err(reader.wrong("issuer", "another provider has it too"));
            }
            providers.push(provider);
        }
        Ok(providers)
    }

    /// The files that hold a provider's secret.
    pub(super) fn secret_files(&self) -> impl Iterator<Item = PathBuf> {
        self.0.values().filter_map(|fields| match (fields.get(SECRET), fields.get(SECRET_FILE)) {
            // In a file of the configuration, whose name is its place; a variable is no file.
            (Some(secret), _) => Some(PathBuf::from(&secret.place)).filter(|path| path.is_file()),
            (None, Some(file)) => Some(PathBuf::from(file.text.as_str())),
            (None, None) => None,
        })
    }

    /// Every provider's fields, without their secrets.
    pub(super) fn show(&self) -> impl Iterator<Item = Shown> {
        self.0.iter().flat_map(|(name, fields)| {
            OPENID_FIELDS.iter().filter_map(move |(field, _, default)| {
                let key = format!("openid.{name}.{field}");
                match (fields.get(field), default) {
                    (Some(text), _) => Some(Shown::of(key, &text.text, *field == SECRET, text.place.clone())),
                    (None, Some(default)) => Some(Shown::of(key, default, false, "default".to_owned())),
                    (None, None) => None,
                }
            })
        })
    }
}

/// The provider and the field of `BMAP_OPENID_NAME_FIELD`; `_` in a name stands for `-`.
fn variable(name: &str) -> Option<(String, &'static str)> {
    let rest = name.strip_prefix(PREFIX)?;
    OPENID_FIELDS.iter().find_map(|(field, end, _)| {
        let name = rest.strip_suffix(end)?.strip_suffix('_')?;
        let is_upper = name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
        let name = name.to_ascii_lowercase().replace('_', "-");
        (is_upper && ProviderName::parse(&name).is_some()).then_some((name, *field))
    })
}

fn wrong(key: String, place: &str, problem: &str) -> ConfigError {
    ConfigError::Provider { key, place: place.to_owned(), problem: problem.to_owned() }
}

/// One provider, being read.
struct Reader<'a> {
    name: &'a str,
    fields: &'a Fields,
}

impl Reader<'_> {
    fn provider(&self) -> Result<Provider, ConfigError> {
        let name = ProviderName::parse(self.name).ok_or_else(|| self.wrong("", "not a provider's name"))?;
        let issuer = self.required("issuer")?;
        let issuer = ProviderIssuer::parse(&issuer).ok_or_else(|| {
            self.wrong("issuer", "not an https URL without query and fragment (http on this machine's loopback)")
        })?;
        let scopes: Vec<String> = self.list("scopes");
        let is_scope = |scope: &String| scope.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
        if !scopes.iter().any(|scope| scope == "openid") || !scopes.iter().all(is_scope) {
            return Err(self.wrong("scopes", "not a list of scopes with openid in it"));
        }
        let algorithms = self.list("algorithms");
        let known = |name: &String| ALGORITHMS.iter().find(|(known, _)| known == name).map(|(_, algorithm)| *algorithm);
        let algorithms: Option<Vec<_>> = algorithms.iter().map(known).collect();
        let algorithms = algorithms
            .filter(|algorithms| !algorithms.is_empty())
            .ok_or_else(|| self.wrong("algorithms", "not a list out of RS256, ES256 and EdDSA"))?;
        let label = self.text("label").unwrap_or_else(|| self.name.to_owned());
        if !(1..=64).contains(&label.chars().count()) || label.chars().any(char::is_control) {
            return Err(self.wrong("label", "not 1 to 64 printable characters"));
        }
        let sign_up = match self.text("sign_up").as_deref() {
            Some("true") => true,
            Some("false") => false,
            _ => return Err(self.wrong("sign_up", "neither true nor false")),
        };
        let client_id = self.required("client_id")?;
        let (client_secret, authorities) = (self.secret()?, self.authorities()?);
        Ok(Provider { name, label, issuer, client_id, client_secret, scopes, algorithms, sign_up, authorities })
    }

    fn authorities(&self) -> Result<Option<Authorities>, ConfigError> {
        let Some(path) = self.text("ca_file") else { return Ok(None) };
        let pem = std::fs::read(&path).map_err(|cause| self.wrong("ca_file", &format!("{path}: {cause}")))?;
        let authorities = Authorities::from_pem(&pem);
        let problem = || self.wrong("ca_file", &format!("{path} holds no certificate of an authority in PEM"));
        authorities.ok_or_else(problem).map(Some)
    }

    fn secret(&self) -> Result<Option<ClientSecret>, ConfigError> {
        let text = match (self.fields.get(SECRET), self.fields.get(SECRET_FILE)) {
            (Some(text), _) => text.text.clone(),
            (None, Some(file)) => {
                let path = PathBuf::from(file.text.as_str());
                let text = std::fs::read_to_string(&path).map(Zeroizing::new);
                let text = text.map_err(|cause| ConfigError::Unreadable { path, cause })?;
                Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned())
            }
            (None, None) => return Ok(None),
        };
        if text.is_empty() {
            return Err(self.wrong(SECRET, "is empty"));
        }
        Ok(Some(ClientSecret::new(text)))
    }

    fn text(&self, field: &str) -> Option<String> {
        let default = OPENID_FIELDS.iter().find(|(known, ..)| *known == field).and_then(|(.., default)| *default);
        self.fields.get(field).map(|text| text.text.to_string()).or_else(|| default.map(str::to_owned))
    }

    fn required(&self, field: &'static str) -> Result<String, ConfigError> {
        self.text(field).filter(|text| !text.is_empty()).ok_or_else(|| self.wrong(field, "is needed"))
    }

    fn list(&self, field: &'static str) -> Vec<String> {
        let text = self.text(field).unwrap_or_default();
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    fn wrong(&self, field: &str, problem: &str) -> ConfigError {
        let place = self.fields.get(field).map_or("not set", |text| &text.place);
        wrong(format!("openid.{}.{field}", self.name), place, problem)
    }
}

#[cfg(test)]
#[path = "openid_tests.rs"]
mod tests;
