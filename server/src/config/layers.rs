//! Gathering the layers: every key's text and where it came from. `config/mod.rs` reads the texts.

use super::environment::{Environment, OURS, flat};
use super::error::{ConfigError, SettingSource};
use super::keys::{KEYS, Key, OTHER_ENVIRONMENT};
use super::openid::ProviderLayers;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The values of flags, by key name.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// Key name and text.
    pub values: Vec<(&'static str, String)>,
}

/// A key's text and where it came from.
#[derive(Clone)]
pub(super) struct Value {
    pub(super) key: &'static str,
    pub(super) text: String,
    pub(super) source: SettingSource,
}

/// Every key that has a value.
#[derive(Clone)]
pub(super) struct Layers(BTreeMap<&'static str, Value>, ProviderLayers);

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Layers(…)")
    }
}

impl Layers {
    pub(super) fn gather(flags: &Flags, environment: &Environment) -> Result<Self, ConfigError> {
        let mut layers = Self(BTreeMap::new(), ProviderLayers::default());
        for key in KEYS {
            if let Some(default) = key.default {
                layers.set(key, default.to_owned(), SettingSource::Default);
            }
        }
        let file = flags.config.clone().or_else(|| environment.get("BMAP_CONFIG").map(PathBuf::from));
        if let Some(path) = file {
            layers.add_file(&path)?;
        }
        layers.add_environment(environment)?;
        for (name, text) in &flags.values {
            if let Some(key) = KEYS.iter().find(|key| key.name == *name) {
                layers.set(key, text.clone(), SettingSource::Flag(key.flag.unwrap_or(key.name)));
            }
        }
        Ok(layers)
    }

    /// The OpenID providers' own keys.
    pub(super) const fn openid(&self) -> &ProviderLayers {
        &self.1
    }

    /// The files that secrets were read from, each once.
    pub(super) fn secret_files(&self) -> Vec<PathBuf> {
        let is_secret = |value: &&Value| KEYS.iter().any(|key| key.secret && key.name == value.key);
        let of_keys = self.0.values().filter(is_secret).filter_map(|value| match &value.source {
            SettingSource::File(path) | SettingSource::SecretFile(path) => Some(path.clone()),
            SettingSource::Default | SettingSource::Environment(_) | SettingSource::Flag(_) => None,
        });
        let mut files: Vec<PathBuf> = of_keys.chain(self.1.secret_files()).collect();
        files.sort();
        files.dedup();
        files
    }

    pub(super) fn find(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// A key that has a default.
    pub(super) fn get(&self, key: &'static str) -> Result<&Value, ConfigError> {
        let missing = || ConfigError::Value { key, origin: SettingSource::Default, problem: "has no value".to_owned() };
        self.0.get(key).ok_or_else(missing)
    }

    fn set(&mut self, key: &Key, text: String, source: SettingSource) {
        self.0.insert(key.name, Value { key: key.name, text, source });
    }

    fn add_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path)
            .map(Zeroizing::new)
            .map_err(|cause| ConfigError::Unreadable { path: path.to_owned(), cause })?;
        let table: toml::Table = toml::from_str(&text).map_err(|cause: toml::de::Error| {
            let before = cause.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.split('\n').count();
            ConfigError::NotToml { path: path.to_owned(), line, problem: cause.message().to_owned() }
        })?;
        for (name, value) in table {
            if name == "openid" {
                self.1.add_table(&value, path)?;
                continue;
            }
            let Some(key) = KEYS.iter().find(|key| key.name == name) else {
                return Err(ConfigError::UnknownKey { key: name, source_name: path.display().to_string() });
            };
            let source = SettingSource::File(path.to_owned());
            let text = flat(&value).ok_or_else(|| ConfigError::Value {
                key: key.name,
                origin: source.clone(),
                problem: "neither a text, a number, true, false nor a list of texts".to_owned(),
            })?;
            self.set(key, text, source);
        }
        Ok(())
    }

    fn add_environment(&mut self, environment: &Environment) -> Result<(), ConfigError> {
        if let Some(variable) = environment.no_texts.first() {
            return Err(ConfigError::NoText { variable: variable.clone() });
        }
        for name in environment.texts.keys().filter(|name| name.starts_with(OURS)) {
            let is_secret_file = |key: &&Key| key.secret && name.strip_suffix("_FILE") == Some(key.env);
            let known = KEYS.iter().any(|key| key.env == name || is_secret_file(&key));
            let is_other = OTHER_ENVIRONMENT.contains(&name.as_str()) || ProviderLayers::is_variable(name);
            if !known && !is_other {
                return Err(ConfigError::UnknownKey { key: name.clone(), source_name: "the environment".to_owned() });
            }
            let other = name.strip_suffix("_FILE").filter(|other| environment.get(other).is_some());
            if let (Some(other), Some(_)) = (other, environment.get(name)) {
                return Err(ConfigError::TwoWays { variable: other.to_owned() });
            }
        }
        self.1.add_environment(environment);
        for key in KEYS {
            if let Some(text) = environment.get(key.env) {
                self.set(key, text.to_owned(), SettingSource::Environment(key.env));
            } else if key.secret && key.name != "root_secret" {
                // `BMAP_ROOT_SECRET_FILE` is a key of its own: its file is read as bytes and its mode is checked.
                self.add_secret_file(key, environment)?;
            }
        }
        Ok(())
    }

    /// `BMAP_…_FILE`, or `bmap-…` in systemd's folder of credentials.
    fn add_secret_file(&mut self, key: &Key, environment: &Environment) -> Result<(), ConfigError> {
        let named = environment.get(&format!("{}_FILE", key.env)).map(PathBuf::from);
        let folder = environment.get("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let credential = folder.map(|folder| folder.join(format!("bmap-{}", key.name.replace('_', "-"))));
        let Some(path) = named.or_else(|| credential.filter(|path| path.exists())) else { return Ok(()) };
        let text =
            std::fs::read_to_string(&path).map_err(|cause| ConfigError::Unreadable { path: path.clone(), cause })?;
        self.set(key, text.trim_end_matches(['\r', '\n']).to_owned(), SettingSource::SecretFile(path));
        Ok(())
    }
}
