//! docs/openid.md, run as it stands: a real server process and a real provider.

use super::real::{RealProvider, client};
use super::secret;
use crate::docs::script;
use crate::operator::Operator;
use std::process::Command;

#[test]
fn t33_docs_openid_does_what_it_says_and_no_log_level_shows_a_secret() {
    let mut provider = RealProvider::start();
    let operator = Operator::new();
    let client_secret = secret("acme");
    let server = operator.serve_with(&[
        ("BMAP_LOG", "trace"),
        ("BMAP_DEVELOPMENT", "true"),
        ("BMAP_SIGN_IN_ORIGINS", "https://shop.example"),
        ("BMAP_OPENID_ACME_ISSUER", &provider.issuer),
        ("BMAP_OPENID_ACME_CLIENT_ID", "bmap-at-acme"),
        ("BMAP_OPENID_ACME_CLIENT_SECRET", &client_secret),
        ("BMAP_OPENID_ACME_LABEL", "Acme"),
    ]);
    let issuer = format!("http://{}", server.address);
    provider.serve(&[client("acme", &issuer, "EdDSA")]);
    let script = script(include_str!("../../../../docs/openid.md"));
    assert!(script.matches("next ").count() > 6, "{script}");
    let output = Command::new("sh")
        .args(["-x", "-c", &script])
        .env("ISSUER", &issuer)
        .env("PROVIDER", &provider.issuer)
        .env("LOG", operator.path("log"))
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let log = String::from_utf8_lossy(&std::fs::read(operator.path("log")).unwrap()).into_owned();
    assert!(output.status.success(), "{out}\n{err}\n{log}");

    let words = err.split(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c)));
    let secret = |word: &&str| ["bmr_", "bmi_", "bmo_", "eyJ"].iter().any(|start| word.starts_with(start));
    let secrets: Vec<&str> = words.filter(secret).filter(|word| word.len() > 8).collect();
    assert!(secrets.len() >= 4, "{secrets:?}");
    for secret in secrets.into_iter().chain([client_secret.as_str()]) {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} is in the log: {line:?}");
    }
}
