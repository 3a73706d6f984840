//! The tool's credential: one text, whole or refused.

use crate::actors::TestIssuer;
use bmap_protocol::origin::Origin;
use bmap_protocol::token::Assurance;
use bmap_verifier::{AllowedOrigins, CredentialError, Policy, ReplayLimits, ToolCredential, UnixTime, Verifier};

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

#[test]
fn a_policy_of_the_tool_only_narrows_what_the_operator_set() {
    let mut credential = TestIssuer::new().credential("geo");
    let origin = |text: &str| text.parse::<Origin>().unwrap();
    credential.origins = AllowedOrigins::These([origin("https://shop.example"), origin("https://b.example")].into());
    credential.min_assurance = Assurance::User;
    credential.scopes = vec!["search".to_owned()];
    let limits = || ReplayLimits { entries: 64, per_key: 64 };
    let verifier = |change: fn(&mut Policy)| {
        let mut policy = Policy::default();
        change(&mut policy);
        let verifier = Verifier::with_policy(credential.clone(), policy, limits(), UnixTime::from_seconds(1));
        let policy = verifier.settings().policy.clone();
        (policy.origins, policy.min_assurance, policy.scopes.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    // A policy that says nothing does not open what the operator closed.
    let (origins, assurance, scopes) = verifier(|_| {});
    assert_eq!((origins, assurance, scopes), (credential.origins.clone(), Assurance::User, vec!["search".to_owned()]));
    let (origins, assurance, scopes) = verifier(|policy| {
        let own = ["https://shop.example", "https://evil.example"].map(|text| text.parse().unwrap());
        policy.origins = AllowedOrigins::These(own.into());
        policy.min_assurance = Assurance::Origin;
        policy.scopes = vec!["route".into(), "search".into()];
    });
    assert_eq!(origins, AllowedOrigins::These([origin("https://shop.example")].into()));
    assert_eq!((assurance, scopes), (Assurance::User, vec!["search".to_owned(), "route".to_owned()]));
    assert_eq!(verifier(|policy| policy.min_assurance = Assurance::Server).1, Assurance::Server);
    // Where the operator left pages to the tokens, the tool may name some.
    let open = TestIssuer::new().credential("geo");
    let mut policy = Policy::default();
    policy.origins = AllowedOrigins::These([origin("https://a.example")].into());
    let own = policy.origins.clone();
    let verifier = Verifier::with_policy(open, policy, limits(), UnixTime::from_seconds(1));
    assert_eq!(verifier.settings().policy.origins, own);
}
