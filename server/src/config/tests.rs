use super::*;
use std::fs;

fn load(
    file: Option<&str>,
    environment: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bmap.toml");
    let config = file.map(|text| {
        fs::write(&path, text).unwrap();
        path.clone()
    });
    let values = flags.iter().map(|(key, text)| (*key, (*text).to_owned())).collect();
    Config::load(&Flags { config, values }, &Environment::of(environment))
}

/// Everything that is shown, for people and for programs.
pub(super) fn shown(config: &Config) -> String {
    let shown = show(config);
    let lines: Vec<String> = shown.iter().map(ToString::to_string).collect();
    format!("{}\n{}", lines.join("\n"), serde_json::to_string(&shown).unwrap())
}

#[test]
fn without_anything_there_are_defaults() {
    let config = load(None, &[], &[]).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:4000");
    assert_eq!(config.issuer_for(config.listen).as_str(), "http://127.0.0.1:4000");
    assert_eq!(config.data_dir, std::path::absolute("bmap-data").unwrap());
    assert_eq!(config.lives, Lives::default());
    assert!(config.trusted_proxies.is_empty());
}

#[test]
fn flag_over_environment_over_file_over_default() {
    let file = "listen = \"127.0.0.1:1\"\ntoken_seconds = 100\ntrusted_proxies = [\"10.0.0.0/8\", \"::1/128\"]\n";
    let seconds = |environment: &[(&str, &str)]| load(Some(file), environment, &[]).unwrap().lives.token_seconds;
    assert_eq!(seconds(&[]), 100);
    assert_eq!(seconds(&[("BMAP_TOKEN_SECONDS", "200")]), 200);
    let config = load(Some(file), &[("BMAP_LISTEN", "127.0.0.1:2")], &[("listen", "127.0.0.1:3")]).unwrap();
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.trusted_proxies.len(), 2);
    assert!(!config.development && load(Some("development = true\n"), &[], &[]).unwrap().development);
}

#[test]
fn an_unknown_key_is_named_with_its_place() {
    let error = load(Some("tokn_seconds = 1\n"), &[], &[]).unwrap_err().to_string();
    assert!(error.contains("tokn_seconds") && error.contains("bmap.toml"), "{error}");
    let error = load(None, &[("BMAP_LISTEM", "x")], &[]).unwrap_err().to_string();
    assert!(error.contains("BMAP_LISTEM") && error.contains("environment"), "{error}");
    assert!(
        load(None, &[("BMAP_TOOL_CREDENTIAL", "x"), ("BMAP_STATE_DIR", "x"), ("BMAP_LINK", "on"), ("BMAPX", "x")], &[])
            .is_ok()
    );
}

#[test]
fn a_secret_that_is_said_in_two_ways_is_refused() {
    for (variable, secret) in [
        ("BMAP_DATABASE_URL", "postgres://u:hunter2@db/bmap"),
        ("BMAP_MAIL_URL", "smtps://u:hunter2@mail.example"),
        ("BMAP_ROOT_SECRET", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"),
        ("BMAP_OPENID_ACME_CLIENT_SECRET", "hunter2"),
    ] {
        let file = format!("{variable}_FILE");
        let error = load(None, &[(variable, secret), (&file, "/nonexistent")], &[]).unwrap_err().to_string();
        assert!(error.contains(variable) && error.contains(&file) && !error.contains(secret), "{error}");
    }
}

#[test]
fn a_variable_that_is_no_text_is_named_and_not_passed_over() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let of = |name: &str| Environment::of_variables([(name.into(), OsString::from_vec(b"10.0.0.0/8\xff".to_vec()))]);
    let error = Config::load(&Flags::default(), &of("BMAP_TRUSTED_PROXIES")).unwrap_err().to_string();
    assert!(error.contains("BMAP_TRUSTED_PROXIES") && error.contains("UTF-8"), "{error}");
    Config::load(&Flags::default(), &of("LESSOPEN")).unwrap();
}

#[test]
fn t33_a_file_that_is_not_toml_is_named_with_the_line_and_without_what_stands_there() {
    for file in [
        "log = \"info\"\nmail_url = \"smtps://bmap:hunter2@mail.example\n",
        "log = \"info\"\nroot_secret = hunter2\n",
        "log = \"info\"\nroot_secret = \"a\" \"hunter2\"\n",
        "log = \"info\"\nhunter2\n",
    ] {
        let error = load(Some(file), &[], &[]).unwrap_err();
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(!text.contains("hunter2"), "{text}");
        }
        let text = error.to_string();
        assert!(text.contains("bmap.toml") && text.contains("line 2"), "{text}");
    }
}

#[test]
fn a_bad_value_is_named_with_its_source() {
    for (environment, key) in [
        (("BMAP_LISTEN", "localhost"), "listen"),
        (("BMAP_ISSUER", "https://a/"), "issuer"),
        (("BMAP_TOKEN_SECONDS", "601"), "token_seconds"),
        (("BMAP_SESSION_SECONDS", "1h"), "session_seconds"),
        (("BMAP_MAX_CONNECTIONS", "0"), "max_connections"),
        (("BMAP_MAX_CONNECTIONS_PER_ADDRESS", "-1"), "max_connections_per_address"),
        (("BMAP_TRUSTED_PROXIES", "10.0.0.1/8, x"), "trusted_proxies"),
        (("BMAP_LOG_FORMAT", "xml"), "log_format"),
        (("BMAP_DEVELOPMENT", "yes"), "development"),
        (("BMAP_DATABASE_URL", "mysql://root:hunter2@db"), "database_url"),
        (("BMAP_DATABASE_URL", "postgres://root:hunter2@db/x?sslmode=prefer"), "database_url"),
        (("BMAP_MIGRATE_AT_START", "no"), "migrate_at_start"),
        (("BMAP_MAIL_URL", "smtp://u:hunter2@mail.example?tls=none"), "mail_url"),
        (("BMAP_MAIL_FROM", "no-address"), "mail_from"),
        (("BMAP_MAIL_FROM", "a@b.example\r\nBcc: c@d.example"), "mail_from"),
        (("BMAP_MAIL_CA_FILE", "/nonexistent/ca.pem"), "mail_ca_file"),
    ] {
        let error = load(None, &[environment], &[]).unwrap_err().to_string();
        assert!(error.starts_with(key) && error.contains(environment.0), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let error = load(Some("listen = 1.5\n"), &[], &[]).unwrap_err().to_string();
    assert!(error.contains("listen") && error.contains("bmap.toml"), "{error}");
}

#[test]
fn secrets_come_from_files_too_and_are_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("url"), "postgres://u:hunter2@db/bmap\n").unwrap();
    fs::write(folder.path().join("bmap-database-url"), "postgres://u:hunter3@db/bmap").unwrap();
    let path = folder.path().join("url").display().to_string();
    let config = load(None, &[("BMAP_DATABASE_URL_FILE", &path)], &[]).unwrap();
    assert_eq!(config.database_url.as_ref().unwrap().expose(), "postgres://u:hunter2@db/bmap?sslmode=verify-full");
    let shown = format!("{} {config:?}", shown(&config));
    assert!(shown.contains("database_url = (set, not shown)") && !shown.contains("hunter"), "{shown}");
    let directory = folder.path().display().to_string();
    let config = load(None, &[("CREDENTIALS_DIRECTORY", &directory)], &[]).unwrap();
    assert_eq!(config.database_url.unwrap().expose(), "postgres://u:hunter3@db/bmap?sslmode=verify-full");
}

#[test]
fn a_mail_server_needs_a_sender_and_its_authority_is_a_certificate() {
    assert!(load(None, &[("BMAP_MAIL_FROM", "a@b.example")], &[]).unwrap().mail.is_none());
    let url = ("BMAP_MAIL_URL", "smtps://u:hunter2@mail.example");
    let error = load(None, &[url], &[]).unwrap_err().to_string();
    assert!(error.starts_with("mail_from") && error.contains("mail_url"), "{error}");
    let from = ("BMAP_MAIL_FROM", "Places <no-reply@b.example>");
    let config = load(None, &[url, from], &[]).unwrap();
    let shown = format!("{} {config:?}", shown(&config));
    assert!(shown.contains("mail_url = (set, not shown)") && !shown.contains("hunter"), "{shown}");
    assert!(shown.contains("mail.example:465") && shown.contains("no-reply@b.example"), "{shown}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    fs::write(&path, "no certificate").unwrap();
    let error = load(None, &[url, from, ("BMAP_MAIL_CA_FILE", &path.display().to_string())], &[]).unwrap_err();
    assert!(error.to_string().starts_with("mail_ca_file"), "{error}");
}

#[test]
fn the_root_secret_is_made_once() {
    use bmap_model::rng::SystemRandom;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    let config = load(None, &[("BMAP_DATA_DIR", &path)], &[]).unwrap();
    let kek = |environment: &[(&str, &str)]| {
        *load_root(&config, &Environment::of(environment), &SystemRandom).unwrap().sealing().kek().expose()
    };
    assert_eq!(kek(&[]), kek(&[]));
    let text = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
    let config = load(None, &[("BMAP_ROOT_SECRET", text)], &[]).unwrap();
    let given = load_root(&config, &Environment::default(), &SystemRandom).unwrap();
    assert_eq!(
        given.sealing().kek().expose(),
        bmap_protocol::keys::RootSecret::from_bytes([7; 32]).epoch(1).kek().expose()
    );
    let raw = load(None, &[("BMAP_ROOT_SECRET", "0123456789abcdef0123456789abcdef")], &[]).unwrap_err().to_string();
    assert!(raw.starts_with("root_secret (from BMAP_ROOT_SECRET)") && !raw.contains("0123456789"), "{raw}");
    let config = load(None, &[("BMAP_ROOT_SECRET_FILE", "/nonexistent/root")], &[]).unwrap();
    assert!(matches!(load_root(&config, &Environment::default(), &SystemRandom), Err(RootError::Missing(_))));
}

#[test]
fn every_key_is_documented() {
    let page = include_str!("../../../docs/configuration.md");
    for key in KEYS {
        assert!(page.contains(&format!("`{}`", key.name)), "{} is not in docs/configuration.md", key.name);
        assert!(page.contains(&format!("`{}`", key.env)), "{} is not in docs/configuration.md", key.env);
        if let Some(default) = key.default.filter(|default| !default.is_empty()) {
            assert!(page.contains(&format!("`{default}`")), "{default} is not in docs/configuration.md");
        }
    }
    for name in OTHER_ENVIRONMENT {
        assert!(page.contains(&format!("`{name}`")), "{name} is not in docs/configuration.md");
    }
}
