//! Step 7 of `verify.rs`: the token, new and remembered.

use crate::actors::{Draft, NOW, TestIssuer, decide, decide_at, edit_input, get, header, post, set};
use bmap_protocol::tool_policy::ToolPolicy;
use bmap_verifier::UnixTime;
use serde_json::json;

#[tokio::test]
async fn step_7_tokens() {
    let issuer = TestIssuer::new();
    let verifier = issuer.verifier(|_| {});
    let cases: [(&str, serde_json::Value, &str); 9] = [
        ("iss", json!("https://evil.example"), "invalid_token"),
        ("exp", json!("never"), "invalid_token"),
        ("exp", json!(NOW), "token_expired"),
        ("exp", json!(NOW + 86_400), "invalid_token"),
        ("exp", json!(NOW - 10), "invalid_token"),
        ("iat", json!(NOW + 6), "invalid_token"),
        ("nbf", json!(NOW + 6), "invalid_token"),
        ("cnf", json!({"kid": "bt1.router.1"}), "invalid_token"),
        ("cnf", json!({"kid": "bt1.geo.2"}), "invalid_token"),
    ];
    for (claim, value, code) in cases {
        let page = issuer.mint(|claims| claims[claim] = value.clone());
        assert_eq!(decide(&verifier, get("/a").sign(&page)).await, Err(code), "{claim} {value}");
    }
    let mut page = issuer.mint(|_| {});
    page.jti = "AAAAAAAAAAAAAAAAAAAAAA".to_owned();
    assert_eq!(decide(&verifier, get("/a").sign(&page)).await, Err("invalid_signature"));
    // A remembered token ends like any other.
    let page = issuer.mint(|claims| claims["exp"] = json!(NOW + 10));
    assert_eq!(decide(&verifier, get("/a").sign(&page)).await, Ok(()));
    let later = Draft { created: u64::from(NOW) + 10, ..get("/a") };
    assert_eq!(decide_at(&verifier, later.sign(&page), UnixTime::from_seconds(NOW + 10)).await, Err("token_expired"));
}

#[tokio::test]
async fn r17_a_remembered_token_opens_nothing_else() {
    let issuer = TestIssuer::new();
    let verifier = issuer.verifier(|_| {});
    let read = issuer.mint(|claims| claims["scope"] = json!("read"));
    assert_eq!(decide(&verifier, get("/a").sign(&read)).await, Ok(()));
    let strict = issuer.verifier(|policy| policy.scopes = vec!["write".into()]);
    assert_eq!(decide(&strict, get("/a").sign(&read)).await, Err("scope_denied"));
    assert_eq!(decide(&strict, get("/a").sign(&read)).await, Err("scope_denied"), "also once it is remembered");
    // The same claims signed for another tool are another token.
    let router = issuer.mint(|claims| claims["aud"] = json!("router"));
    assert_eq!(decide(&verifier, get("/a").sign(&router)).await, Err("tool_denied"));
    assert_eq!(decide(&verifier, get("/a").sign(&router)).await, Err("tool_denied"));
}

#[tokio::test]
async fn r17_the_rules_of_a_policy_are_for_their_paths_and_methods() {
    let issuer = TestIssuer::new();
    let rules = r#"{"rules":[{"path":"/v1/admin","scopes":["write"]},{"path":"/v1/admin/users","methods":["POST"],"min_assurance":"server"},
        {"path":"/v1","scopes":["read"]}]}"#;
    let rules: ToolPolicy = serde_json::from_str(rules).unwrap();
    let verifier = issuer.verifier(|policy| *policy = policy.clone().with_tool_policy(&rules));
    let token = |scope: &str, assurance: &str| {
        issuer.mint(|claims| {
            claims["scope"] = json!(scope);
            claims["asr"] = json!(assurance);
        })
    };
    let (none, read, both) = (token("", "server"), token("read", "server"), token("read write", "user"));
    for (path, page, outcome) in [
        ("/", &none, Ok(())),
        ("/v1x", &none, Ok(())),
        ("/v1", &none, Err("scope_denied")),
        ("/v1/?q=/v2", &none, Err("scope_denied")),
        ("/%761/search", &none, Err("scope_denied")),
        ("/v1/search", &read, Ok(())),
        ("/v1/administrators", &read, Ok(())),
        ("/v1/admin", &read, Err("scope_denied")),
        ("/v1/%61dmin/x", &read, Err("scope_denied")),
        ("/v1/admin;x/y", &read, Err("scope_denied")),
        ("/v1/admin/users", &both, Ok(())),
    ] {
        assert_eq!(decide(&verifier, get(path).sign(page)).await, outcome, "{path}");
    }
    assert_eq!(decide(&verifier, post("/v1/admin/users", b"{}").sign(&both)).await, Err("assurance_too_low"));
    let server = token("read write", "server");
    assert_eq!(decide(&verifier, post("/v1/admin/users", b"{}").sign(&server)).await, Ok(()));
}

#[tokio::test]
async fn a_token_that_is_covered_first_is_the_same_token() {
    use bmap_protocol::keys::TokenDigest;
    use bmap_protocol::sign::RequestKey;
    let issuer = TestIssuer::new();
    let verifier = issuer.verifier(|_| {});
    let mut page = issuer.mint(|_| {});
    let key = issuer.tool_key("geo").signing_key(&TokenDigest::of(page.token.as_bytes()));
    page.key = RequestKey::token(&key, &page.token).unwrap();
    // Once new, then remembered; with and without a body.
    for draft in [get("/a"), get("/a?b=c"), post("/a", b"{}")] {
        let request = draft.sign(&page);
        assert!(header(&request, "signature-input").starts_with("bmap=(\"authorization\" \"@method\""));
        assert_eq!(decide(&verifier, request).await, Ok(()));
    }
    // The scheme's spelling is part of what was signed.
    let respelled = set(get("/a").sign(&page), "authorization", &format!("httpsig {}", page.token));
    assert_eq!(decide(&verifier, respelled).await, Err("invalid_signature"));
    let moved = edit_input(get("/a").sign(&page), "\"authorization\" \"@method\"", "\"@method\" \"authorization\"");
    assert_eq!(decide(&verifier, moved).await, Err("invalid_signature"));
    let twice = edit_input(get("/a").sign(&page), "\"authorization\"", "\"authorization\" \"authorization\"");
    assert_eq!(decide(&verifier, twice).await, Err("malformed_signature"));
    let other = issuer.mint(|_| {});
    let swapped = set(get("/a").sign(&page), "authorization", &format!("HTTPSig {}", other.token));
    assert_eq!(decide(&verifier, swapped).await, Err("invalid_signature"));
}

#[tokio::test]
async fn spaces_between_scheme_and_token_are_as_many_as_were_signed() {
    let issuer = TestIssuer::new();
    let (verifier, page) = (issuer.verifier(|_| {}), issuer.mint(|_| {}));
    // RFC 9110 §11.4: one or more. Also for a token that is remembered, whose usual line is hashed beforehand.
    for spaces in ["  ", " ", "   ", "  "] {
        let authorization = format!("HTTPSig{spaces}{}", page.token);
        let draft = get("/a");
        let request = bmap_protocol::sign::Request {
            method: "GET",
            authority: "geo.example",
            path: "/a",
            authorization: Some(&authorization),
            ..Default::default()
        };
        let stamp = bmap_protocol::sign::Stamp { created: NOW.into(), nonce: draft.nonce, key_id: &page.jti };
        let signed = bmap_protocol::sign::sign(&request, &stamp, &page.key).unwrap();
        let sent = set(draft.sign(&page), "authorization", &authorization);
        let sent = set(set(sent, "signature-input", &signed.signature_input), "signature", &signed.signature);
        assert_eq!(decide(&verifier, sent).await, Ok(()), "{spaces:?}");
        let other = set(get("/a").sign(&page), "authorization", &format!("HTTPSig    {}", page.token));
        assert_eq!(decide(&verifier, other).await, Err("invalid_signature"), "not as it was signed");
    }
    let tab = set(get("/a").sign(&page), "authorization", &format!("HTTPSig\t{}", page.token));
    assert_eq!(decide(&verifier, tab).await, Err("invalid_token"));
}
