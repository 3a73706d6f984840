//! The tool's credential: one text, whole or refused.

use crate::actors::TestIssuer;
use bmap_verifier::{AllowedOrigins, CredentialError, ToolCredential};

#[test]
fn a_credential_comes_back() {
    let mut credential = TestIssuer::new().credential("geo");
    credential.origins = AllowedOrigins::These(["https://shop.example".parse().unwrap()].into());
    credential.scopes = vec!["search".to_owned()];
    let text = credential.expose();
    let read = ToolCredential::parse(&format!(" {}\n", *text)).unwrap();
    assert_eq!(*read.expose(), *text);
    assert_eq!(read.tool.as_str(), "geo");
    assert_eq!(read.epochs[0].1.expose(), credential.epochs[0].1.expose());
}

#[test]
fn a_damaged_one_is_refused_and_never_repeated() {
    let text = TestIssuer::new().credential("geo").expose();
    for cut in 0..text.len() {
        assert!(matches!(ToolCredential::parse(&text[..cut]), Err(CredentialError::Form(_))), "{cut}");
    }
    let other = text.replacen("bmap-tool-1.", "bmap-tool-2.", 1);
    let error = ToolCredential::parse(&other).unwrap_err();
    assert!(!error.to_string().contains(&text[20..40]), "{error}");
    let mut empty = TestIssuer::new().credential("geo");
    empty.epochs.clear();
    assert!(ToolCredential::parse(&empty.expose()).is_err());
}

#[test]
fn t33_a_credential_does_not_print_its_keys() {
    let credential = TestIssuer::new().credential("geo");
    assert_eq!(format!("{credential:?}"), "ToolCredential { issuer: \"https://auth.example\", tool: \"geo\", .. }");
}
