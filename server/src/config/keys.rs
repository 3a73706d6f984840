//! The table of keys: one list for the file, the environment, the flags and the documentation.

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name in the file.
    pub name: &'static str,
    /// Its environment variable.
    pub env: &'static str,
    /// Its flag, where it has one.
    pub flag: Option<&'static str>,
    /// Its default; `None` where it follows from something else.
    pub default: Option<&'static str>,
    /// Whether its value is never shown, and may be given as a file by the variable with `_FILE` added.
    pub secret: bool,
}

const fn key(name: &'static str, env: &'static str, default: Option<&'static str>) -> Key {
    Key { name, env, flag: None, default, secret: false }
}

const fn flag(key: Key, flag: &'static str) -> Key {
    Key { flag: Some(flag), ..key }
}

const fn secret(key: Key) -> Key {
    Key { secret: true, ..key }
}

/// Every key.
pub const KEYS: &[Key] = &[
    flag(key("listen", "BMAP_LISTEN", Some("127.0.0.1:4000")), "listen"),
    flag(key("data_dir", "BMAP_DATA_DIR", Some("./bmap-data")), "data-dir"),
    flag(key("issuer", "BMAP_ISSUER", None), "issuer"),
    secret(key("database_url", "BMAP_DATABASE_URL", None)),
    key("migrate_at_start", "BMAP_MIGRATE_AT_START", Some("true")),
    secret(key("root_secret", "BMAP_ROOT_SECRET", None)),
    key("root_secret_file", "BMAP_ROOT_SECRET_FILE", None),
    key("token_seconds", "BMAP_TOKEN_SECONDS", Some("300")),
    key("session_seconds", "BMAP_SESSION_SECONDS", Some("43200")),
    key("wildcard_origins", "BMAP_WILDCARD_ORIGINS", Some("false")),
    key("http_origins_on_lan", "BMAP_HTTP_ORIGINS_ON_LAN", Some("false")),
    key("refresh_grace_seconds", "BMAP_REFRESH_GRACE_SECONDS", Some("10")),
    key("metrics_listen", "BMAP_METRICS_LISTEN", None),
    key("requests_per_address", "BMAP_REQUESTS_PER_ADDRESS", Some("1200")),
    key("requests_per_key", "BMAP_REQUESTS_PER_KEY", Some("120000")),
    key("requests_per_user", "BMAP_REQUESTS_PER_USER", Some("1200")),
    key("max_connections", "BMAP_MAX_CONNECTIONS", Some("1024")),
    key("max_connections_per_address", "BMAP_MAX_CONNECTIONS_PER_ADDRESS", Some("256")),
    key("trusted_proxies", "BMAP_TRUSTED_PROXIES", Some("")),
    secret(key("mail_url", "BMAP_MAIL_URL", None)),
    key("mail_from", "BMAP_MAIL_FROM", None),
    key("mail_ca_file", "BMAP_MAIL_CA_FILE", None),
    key("registration", "BMAP_REGISTRATION", Some("open")),
    key("sign_in_origins", "BMAP_SIGN_IN_ORIGINS", Some("")),
    key("development", "BMAP_DEVELOPMENT", Some("false")),
    key("log", "BMAP_LOG", Some("info")),
    key("log_format", "BMAP_LOG_FORMAT", Some("text")),
];

/// Variables with our prefix that are not configuration of the server: read by commands, tools and tests.
pub const OTHER_ENVIRONMENT: &[&str] = &[
    "BMAP_CONFIG",
    "BMAP_TOOL_CREDENTIAL",
    "BMAP_TOOL_CREDENTIAL_FILE",
    "BMAP_KEY_ID",
    "BMAP_KEY_SECRET",
    "BMAP_KEY_SECRET_FILE",
    "BMAP_POLICY_FILE",
    "BMAP_STATE_DIR",
    "BMAP_LINK",
    "BMAP_LINK_MAX_STALENESS",
    "BMAP_API_SECRET",
    "BMAP_VECTORS",
    "BMAP_CHROMIUM",
];
