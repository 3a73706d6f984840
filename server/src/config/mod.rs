//! Configuration: flag > `BMAP_*` environment > file > default, one table of keys for all four.
//!
//! An unknown key is an error that names it and where it stands. A value that can't be read is an error that names its
//! key and its source.

mod environment;
mod error;
mod keys;
mod layers;
mod mail;
mod openid;
mod readable;
mod root;
mod root_text;
mod show;
mod shown;

pub use environment::Environment;
pub use error::{ConfigError, SettingSource};
pub use keys::{KEYS, Key, OTHER_ENVIRONMENT};
pub use layers::Flags;
pub use mail::MailConfig;
pub use openid::OPENID_FIELDS;
pub use readable::readable_by_others;
pub use root::{RootError, RootPlace, load_root};
pub use root_text::SecretText;
pub use show::show;
pub use shown::Shown;

use bmap_issuer::account::registration_mode::RegistrationMode;
use bmap_issuer::issuer::Lives;
use bmap_issuer::mint::MAX_TOKEN_SECONDS;
use bmap_issuer::openid::provider::Provider;
use bmap_issuer::request_limits::RequestRates;
use bmap_model::page_origin::OriginRules;
use bmap_protocol::ids::Issuer as IssuerUrl;
use bmap_protocol::origin::Origin;
use bmap_store::address::Address;
use bmap_store::data_dir::without_dots;
use ipnet::IpNet;
use layers::{Layers, Value};
use root_text::check_text;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tracing_subscriber::EnvFilter;

/// The configuration, read and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The data folder, absolute and without `..`.
    pub data_dir: PathBuf,
    /// The issuer's public URL, where it was said; else it follows from `listen`.
    pub issuer: Option<IssuerUrl>,
    /// The database's URL, where it is not the SQLite file in the data folder. May hold a password.
    pub database_url: Option<Address>,
    /// Whether the schema is brought up at the start; else a schema that is behind is refused.
    pub migrate_at_start: bool,
    /// The root secret itself, base64url, where it is not in a file.
    pub root_secret: Option<SecretText>,
    /// The root secret's file, where it is not in the data folder.
    pub root_secret_file: Option<PathBuf>,
    /// How long tokens and sessions live.
    pub lives: Lives,
    /// Where the numbers for Prometheus are shown; nowhere if this is not set.
    pub metrics_listen: Option<SocketAddr>,
    /// How many requests each caller may make.
    pub rates: RequestRates,
    /// Most connections at once.
    pub max_connections: usize,
    /// Most connections at once of one address; 0 for as many as come.
    pub max_connections_per_address: usize,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The mail server, where there is one.
    pub mail: Option<MailConfig>,
    /// Who may begin an account.
    pub registration: RegistrationMode,
    /// The pages that people sign in from with an OpenID provider.
    pub sign_in_origins: Vec<Origin>,
    /// The OpenID providers, by name.
    pub openid: Vec<Provider>,
    /// The rules for origins of pages that may be registered.
    pub origin_rules: OriginRules,
    /// Whether this is a developer's own server: without a mail server, links that would be mailed are logged.
    pub development: bool,
    /// The filter of the log.
    pub log: String,
    /// How it is logged.
    pub log_format: LogFormat,
    layers: Layers,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// A JSON object per line.
    Json,
}

impl Config {
    /// Reads flags, environment and file.
    ///
    /// # Errors
    /// [`ConfigError`]: the first key that is wrong.
    pub fn load(flags: &Flags, environment: &Environment) -> Result<Self, ConfigError> {
        let layers = Layers::gather(flags, environment)?;
        let seconds = |key: &'static str, range: std::ops::RangeInclusive<i64>| {
            layers.get(key)?.parse(|text| {
                let number = text.parse::<i64>().ok().filter(|number| range.contains(number));
                number.ok_or_else(|| format!("not a number from {} to {}", range.start(), range.end()))
            })
        };
        let per_minute = |key| seconds(key, 0..=60_000_000).map(|number| u32::try_from(number).unwrap_or(0));
        let openid = layers.openid().read()?;
        Ok(Self {
            listen: layers
                .get("listen")?
                .parse(|text| text.parse().map_err(|_| "not an address and port".to_owned()))?,
            data_dir: layers.get("data_dir")?.parse(|text| Ok(without_dots(Path::new(text))))?,
            issuer: layers
                .find("issuer")
                .map(|value| value.parse(|text| text.parse::<IssuerUrl>().map_err(|error| error.to_string())))
                .transpose()?,
            database_url: layers.find("database_url").map(|value| value.parse(address)).transpose()?,
            root_secret: layers
                .find("root_secret")
                .map(|value| value.parse(check_text).map(|()| SecretText::new(value.text.clone())))
                .transpose()?,
            root_secret_file: layers.find("root_secret_file").map(|value| PathBuf::from(&value.text)),
            lives: Lives {
                token_seconds: seconds("token_seconds", 30..=MAX_TOKEN_SECONDS)?,
                session_seconds: seconds("session_seconds", 60..=30 * 86_400)?,
                refresh_grace_seconds: seconds("refresh_grace_seconds", 0..=60)?,
            },
            metrics_listen: layers
                .find("metrics_listen")
                .map(|value| value.parse(|text| text.parse().map_err(|_| "not an address and port".to_owned())))
                .transpose()?,
            rates: RequestRates {
                address: per_minute("requests_per_address")?,
                key: per_minute("requests_per_key")?,
                user: per_minute("requests_per_user")?,
            },
            max_connections: usize::try_from(seconds("max_connections", 1..=65_536)?).unwrap_or(1024),
            max_connections_per_address: usize::try_from(seconds("max_connections_per_address", 0..=65_536)?)
                .unwrap_or(usize::MAX),
            trusted_proxies: layers.get("trusted_proxies")?.parse(networks)?,
            mail: mail::read(&layers)?,
            origin_rules: OriginRules {
                http_on_lan: layers.get("http_origins_on_lan")?.parse(yes_or_no)?,
                wildcards: layers.get("wildcard_origins")?.parse(yes_or_no)?,
            },
            registration: layers.get("registration")?.parse(|text| {
                RegistrationMode::from_word(text).ok_or_else(|| "neither open, invited nor closed".to_owned())
            })?,
            development: layers.get("development")?.parse(yes_or_no)?,
            migrate_at_start: layers.get("migrate_at_start")?.parse(yes_or_no)?,
            sign_in_origins: layers.get("sign_in_origins")?.parse(|text| {
                let origins = origins(text)?;
                let is_missing = origins.is_empty() && !openid.is_empty();
                if is_missing { Err("is empty, and OpenID providers are configured".to_owned()) } else { Ok(origins) }
            })?,
            openid,
            log: layers.get("log")?.parse(log_filter)?,
            log_format: layers.get("log_format")?.parse(|text| match text {
                "text" => Ok(LogFormat::Text),
                "json" => Ok(LogFormat::Json),
                _ => Err("neither text nor json".to_owned()),
            })?,
            layers,
        })
    }

    /// The files of the configuration that hold a secret.
    pub fn secret_files(&self) -> Vec<PathBuf> {
        let of_tls = self.database_url.iter().flat_map(Address::tls_files);
        let keys = of_tls.filter(|(name, _)| name.contains("key")).map(|(_, file)| file);
        self.layers.secret_files().into_iter().chain(keys).collect()
    }

    /// The issuer's URL for an address that is listened on.
    pub fn issuer_for(&self, listen: SocketAddr) -> IssuerUrl {
        let default = || IssuerUrl::parse(&format!("http://{listen}"));
        match &self.issuer {
            Some(issuer) => issuer.clone(),
            // A socket address is always within the grammar.
            None => default().unwrap_or_else(|_| unreachable!("http:// and a socket address are an issuer URL")),
        }
    }
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("neither true nor false".to_owned()),
    }
}

/// A filter of the log. A word that is no level would be taken for the name of a target, and silence everything else.
fn log_filter(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let is_level = |part: &str| LEVELS.iter().any(|level| part.eq_ignore_ascii_case(level));
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    if let Some(word) = parts.into_iter().find(|part| !part.contains(['=', '[', ']']) && !is_level(part)) {
        return Err(format!("{word:?} is no level: {}, or TARGET=LEVEL like bmap_server=debug", LEVELS.join(", ")));
    }
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error}: a level is one of {}", LEVELS.join(", "))),
    }
}

fn address(text: &str) -> Result<Address, String> {
    Address::parse(text).map_err(|error| error.to_string())
}

fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
    texts.map(|text| text.parse().map_err(|_| format!("{text:?} is not a network like 10.0.0.0/8"))).collect()
}

fn origins(text: &str) -> Result<Vec<Origin>, String> {
    let origin = |text: &str| {
        let origin = Origin::parse(text).map_err(|error| format!("{text:?}: {error}"))?;
        let is_safe = origin.scheme() == "https" || (origin.is_web() && origin.is_loopback());
        if is_safe { Ok(origin) } else { Err(format!("{text:?} is neither https nor on this machine")) }
    };
    text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(origin).collect()
}

impl Value {
    fn parse<T>(&self, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, ConfigError> {
        parse(&self.text).map_err(|problem| ConfigError::Value { key: self.key, origin: self.source.clone(), problem })
    }
}

#[cfg(test)]
mod tests;
