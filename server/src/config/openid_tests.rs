use super::super::tests::shown;
use super::super::{Config, Environment, Flags};
use super::*;
use jsonwebtoken::Algorithm;
use std::fs;

const FILE: &str = r#"
sign_in_origins = ["https://shop.example"]
[openid.acme]
issuer = "https://login.acme.example/t"
client_id = "bmap"
client_secret = "hunter2"
label = "Acme & Sons"
algorithms = ["ES256"]
sign_up = false
[openid.public-one]
issuer = "https://public.example"
client_id = "p"
"#;

fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bmap.toml");
    fs::write(&path, file).unwrap();
    Config::load(&Flags { config: Some(path), values: Vec::new() }, &Environment::of(environment))
}

fn secret(config: &Config, at: usize) -> Option<&str> {
    config.openid[at].client_secret.as_ref().map(ClientSecret::expose)
}

#[test]
fn several_providers_are_read_from_the_file() {
    let config = load(FILE, &[]).unwrap();
    let [acme, public] = config.openid.as_slice() else { panic!() };
    assert_eq!((acme.name.as_str(), acme.issuer.as_str()), ("acme", "https://login.acme.example/t"));
    assert_eq!((acme.client_id.as_str(), acme.label.as_str(), acme.sign_up), ("bmap", "Acme & Sons", false));
    assert_eq!((acme.algorithms.as_slice(), secret(&config, 0)), ([Algorithm::ES256].as_slice(), Some("hunter2")));
    assert_eq!((public.name.as_str(), public.label.as_str(), public.sign_up), ("public-one", "public-one", true));
    assert_eq!(public.algorithms, [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA]);
    assert_eq!((public.scopes.join(" ").as_str(), secret(&config, 1)), ("openid email", None));
    assert!(load("", &[]).unwrap().openid.is_empty());
}

#[test]
fn the_environment_is_stronger_field_by_field_and_enough() {
    let environment = [
        ("BMAP_OPENID_ACME_SIGN_UP", "true"),
        ("BMAP_OPENID_PUBLIC_ONE_CLIENT_SECRET", "hunter3"),
        ("BMAP_OPENID_OTHER_ISSUER", "http://127.0.0.1:9"),
        ("BMAP_OPENID_OTHER_CLIENT_ID", "o"),
        ("BMAP_OPENID_OTHER_SCOPES", "openid, profile"),
    ];
    let config = load(FILE, &environment).unwrap();
    let names: Vec<&str> = config.openid.iter().map(|provider| provider.name.as_str()).collect();
    assert_eq!(names, ["acme", "other", "public-one"]);
    assert!(config.openid[0].sign_up && secret(&config, 0) == Some("hunter2"));
    assert_eq!((config.openid[1].scopes.join(" ").as_str(), secret(&config, 2)), ("openid profile", Some("hunter3")));
}

#[test]
fn a_secret_comes_from_a_file_too_and_is_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("a"), "hunter4\n").unwrap();
    fs::write(path("bmap-openid-acme-client-secret"), "hunter5").unwrap();
    let of_file = FILE.replace("client_secret = \"hunter2\"", &format!("client_secret_file = {:?}", path("a")));
    let named = ("BMAP_OPENID_ACME_CLIENT_SECRET_FILE", path("a"));
    let systemd = ("CREDENTIALS_DIRECTORY", folder.path().display().to_string());
    for (file, environment, expected) in [
        (of_file.as_str(), vec![], "hunter4"),
        (FILE, vec![(named.0, named.1.as_str())], "hunter4"),
        (FILE, vec![(systemd.0, systemd.1.as_str())], "hunter5"),
        (FILE, vec![(systemd.0, systemd.1.as_str()), (named.0, named.1.as_str())], "hunter4"),
        (of_file.as_str(), vec![("BMAP_OPENID_ACME_CLIENT_SECRET", "hunter6")], "hunter6"),
    ] {
        let config = load(file, &environment).unwrap();
        assert_eq!(secret(&config, 0), Some(expected));
        let shown = format!("{} {config:?}", shown(&config));
        assert!(!shown.contains("hunter") && shown.contains("openid.acme.client_id = \"bmap\""), "{shown}");
    }
    assert!(shown(&load(FILE, &[]).unwrap()).contains("openid.acme.client_secret = (set, not shown)"));
    let missing = load(FILE, &[("BMAP_OPENID_ACME_CLIENT_SECRET_FILE", "/nonexistent/x")]).unwrap_err().to_string();
    assert!(missing.contains("/nonexistent/x"), "{missing}");
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (from, to, named) in [
        ("label =", "lable =", "openid.acme.lable"),
        ("https://login", "http://login", "openid.acme.issuer"),
        ("client_id = \"bmap\"", "", "openid.acme.client_id"),
        ("client_id = \"bmap\"", "client_id = \"\"", "openid.acme.client_id"),
        ("[\"ES256\"]", "[\"HS256\"]", "openid.acme.algorithms"),
        ("[\"ES256\"]", "[\"none\"]", "openid.acme.algorithms"),
        ("[\"ES256\"]", "[]", "openid.acme.algorithms"),
        ("sign_up = false", "sign_up = \"no\"", "openid.acme.sign_up"),
        ("sign_up = false", "scopes = [\"email\"]", "openid.acme.scopes"),
        ("https://public.example", "https://login.acme.example/t", "openid.public-one.issuer"),
        ("sign_up = false", "client_secret_file = \"x\"", "openid.acme"),
        ("\"hunter2\"", "\"\"", "openid.acme.client_secret"),
        ("\"hunter2\"", "1.5", "openid.acme.client_secret"),
        ("[openid.acme]", "[openid.token]", "openid.token"),
        ("[openid.acme]", "[openid.Acme]", "openid.Acme"),
        ("[\"https://shop.example\"]", "[\"https://shop.example/\"]", "sign_in_origins"),
        ("[\"https://shop.example\"]", "[\"http://shop.example\"]", "sign_in_origins"),
        ("[\"https://shop.example\"]", "[]", "sign_in_origins"),
    ] {
        let file = FILE.replacen(from, to, 1);
        assert_ne!(file, FILE);
        let error = load(&file, &[]).unwrap_err().to_string();
        assert!(error.contains(named) && !error.contains("hunter"), "{to}: {error}");
    }
    for name in ["BMAP_OPENID_ACME_LABLE", "BMAP_OPENID_ISSUER", "BMAP_OPENID__ISSUER", "BMAP_OPENID_acme_ISSUER"] {
        let error = load(FILE, &[(name, "x")]).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("environment"), "{error}");
    }
    assert!(load("openid = 1\n", &[]).unwrap_err().to_string().contains("openid"));
}

#[test]
fn a_providers_own_authorities_are_read_or_the_start_fails() {
    let folder = tempfile::tempdir().unwrap();
    let of = |content: Option<&str>| {
        let path = folder.path().join("ca.pem");
        if let Some(content) = content {
            fs::write(&path, content).unwrap();
        }
        load(FILE, &[("BMAP_OPENID_ACME_CA_FILE", path.to_str().unwrap())])
    };
    let error = of(None).unwrap_err().to_string();
    assert!(error.contains("openid.acme.ca_file (from BMAP_OPENID_ACME_CA_FILE)"), "{error}");
    assert!(error.contains("No such file"), "{error}");
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["ca.example".to_owned()]).unwrap();
    let good = params.self_signed(&key).unwrap().pem();
    let broken = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    for bad in ["", "nonsense", &key.serialize_pem(), &good[..200], broken, &format!("{good}{broken}")] {
        let error = of(Some(bad)).unwrap_err().to_string();
        assert!(error.contains("openid.acme.ca_file") && error.contains("holds no certificate"), "{error}");
    }
    let config = of(Some(&format!("A comment.\n{good}{good}"))).unwrap();
    assert_eq!(format!("{:?}", config.openid[0].authorities), "Some(Authorities(2))");
    assert!(config.openid[1].authorities.is_none());
    let shown = shown(&config);
    assert!(shown.contains("openid.acme.ca_file = ") && !shown.contains("BEGIN"), "{shown}");
}

#[test]
fn every_field_is_documented() {
    let page = include_str!("../../../docs/configuration.md");
    for (field, variable, default) in OPENID_FIELDS {
        assert!(page.contains(&format!("`{field}`")), "{field} is not in docs/configuration.md");
        assert!(
            page.contains(&format!("`BMAP_OPENID_<NAME>_{variable}`")),
            "{variable} is not in docs/configuration.md"
        );
        assert!(default.is_none_or(|default| page.contains(&format!("`{default}`"))), "{default:?}");
    }
}
