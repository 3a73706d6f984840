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

#[test]
fn a_policy_in_a_credential_is_one_that_can_be_kept() {
    let with = |policy: &str| {
        let mut credential = TestIssuer::new().credential("geo");
        credential.policy = serde_json::from_str(policy).unwrap();
        ToolCredential::parse(&credential.expose())
    };
    let kept = with(r#"{"max_body":9,"allowed_ips":["10.0.0.0/8"],"rules":[{"path":"/a","scopes":["x"]}]}"#).unwrap();
    let policy = Policy::of(&kept);
    assert_eq!((policy.max_body, policy.rules.len()), (9, 1));
    assert_eq!(policy.allowed_ips, ["10.0.0.0/8".parse().unwrap()]);
    for policy in [r#"{"max_body":0}"#, r#"{"allowed_ips":["10.0.0"]}"#, r#"{"rules":[{"path":"a","scopes":["x"]}]}"#] {
        assert!(with(policy).is_err(), "{policy}");
    }
}

#[test]
fn addresses_and_proofs_that_both_allow_are_left() {
    use bmap_protocol::tool_policy::Proof;
    let mut operator = Policy::default();
    operator.allowed_ips = vec!["10.0.0.0/8".parse().unwrap()];
    operator.proofs = Some(vec![Proof::Capability]);
    let mut own = Policy::default();
    own.allowed_ips = vec!["10.1.0.0/16".parse().unwrap(), "192.0.2.0/24".parse().unwrap()];
    let narrowed = own.within(&operator);
    assert_eq!(
        (narrowed.allowed_ips, narrowed.proofs),
        (vec!["10.1.0.0/16".parse().unwrap()], operator.proofs.clone())
    );
    let alone = Policy::default().within(&operator);
    assert_eq!((alone.allowed_ips, alone.proofs), (operator.allowed_ips, operator.proofs));
}

/// An origin that the operator listed by its name, or by a pattern that covers it.
#[test]
fn a_page_below_the_operators_pattern_may_be_named_by_the_tool() {
    let these =
        |texts: &[&str]| AllowedOrigins::These(texts.iter().map(|text| Origin::parse_pattern(text).unwrap()).collect());
    let narrowed = |operator: &[&str], own: &[&str]| {
        let [mut policy, mut wider] = [Policy::default(), Policy::default()];
        (policy.origins, wider.origins) = (these(own), these(operator));
        policy.within(&wider).origins
    };
    let pattern = "https://*.pages.example";
    assert_eq!(
        narrowed(&[pattern], &["https://a.pages.example", "https://b.example"]),
        these(&["https://a.pages.example"])
    );
    assert_eq!(narrowed(&["https://a.example"], &["https://a.example"]), these(&["https://a.example"]));
    assert_eq!(narrowed(&[pattern], &[pattern]), these(&[pattern]));
    assert_eq!(narrowed(&["https://a.pages.example"], &[pattern]), these(&[]));
}
