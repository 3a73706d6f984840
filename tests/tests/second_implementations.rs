//! Second implementations agree: what PyPI's and npm's `http-message-signatures` sign is accepted, what we sign they accept, and
//! each refuses the same with one byte changed.

use bmap_tests::caller::Caller;
use bmap_tests::oracle::{ORACLES, Oracle};
use bmap_tests::program::finish;
use bmap_tests::stack::{ApiKey, PAGE, Stack};
use bmap_tests::wire::Request;
use serde_json::{Value, json};
use std::fs;

const JSON: &[u8] = br#"{"lat":42.7,"lon":23.3}"#;

fn token_key(caller: &Caller) -> Value {
    json!({"signing_key": caller.text("signing_key"), "key_id": caller.text("key_id")})
}

fn api_key(key: &ApiKey) -> Value {
    json!({"id": key.id, "secret": key.secret, "signing": key.signing})
}

/// The same text with one character changed, in its middle.
fn spoiled(text: &str) -> String {
    let at = text.len() / 2;
    format!("{}{}{}", &text[..at], if &text[at..=at] == "A" { "B" } else { "A" }, &text[at + 1..])
}

fn a_tool_accepts_what_it_signs(oracle: Oracle) {
    let stack = Stack::start();
    stack.wait_for_the_rule();
    let caller = Caller::new(&stack, &stack.api_key("hmac-sha256"));
    let authorization = format!("HTTPSig {}", caller.text("access_token"));
    let get = Request::new("GET", "/v1/search?q=Sofia", None).with("authorization", &authorization);
    let post = Request::new("POST", "/v1/nearby", Some(JSON))
        .with("authorization", &authorization)
        .with("content-type", "application/json");
    let bare = Request { target: "/v1/search".to_owned(), ..get.clone() };
    let signed = |request: &Request| oracle.sign(&token_key(&caller), request, &stack.tool_url);

    let found = stack.ask_tool(&signed(&get));
    assert_eq!((found.status, &found.json()["results"][0]["name"]), (200, &json!("Sofia")), "{found:?}");
    let near = stack.ask_tool(&signed(&post));
    assert_eq!((near.status, &near.json()["results"][0]["name"]), (200, &json!("Sofia")), "{near:?}");
    // Without a query there is `?` in the base; the tool itself then asks for one.
    assert_eq!(stack.ask_tool(&signed(&bare)).refusal(), (400, "invalid_query".to_owned()));
    assert_eq!(stack.entered(), 3);

    let changed_signature = |request: Request| {
        let changed = spoiled(request.header("signature"));
        request.replace("signature", changed)
    };
    for (what, request, code) in [
        ("query", Request { target: "/v1/search?q=Sofib".to_owned(), ..signed(&get) }, "invalid_signature"),
        ("method", Request { method: "HEAD".to_owned(), ..signed(&get) }, ""),
        ("signature", changed_signature(signed(&get)), "invalid_signature"),
        ("body", Request { body: Some(JSON.to_ascii_uppercase()), ..signed(&post) }, "digest_mismatch"),
        ("content type", signed(&post).replace("content-type", "application/jsom"), "invalid_signature"),
    ] {
        assert_eq!(stack.ask_tool(&request).refusal(), (401, code.to_owned()), "{what}");
    }
    assert_eq!(stack.entered(), 3);
}

#[test]
fn a_tool_accepts_what_python_signs() {
    a_tool_accepts_what_it_signs(Oracle::Python);
}

#[test]
fn a_tool_accepts_what_npm_signs() {
    a_tool_accepts_what_it_signs(Oracle::Npm);
}

#[test]
fn the_issuer_accepts_api_keys_that_sign_by_python_and_npm() {
    let stack = Stack::start();
    let ticket = json!({"tool": "places", "origin": PAGE}).to_string();
    for oracle in ORACLES {
        for signing in ["hmac-sha256", "ed25519"] {
            let key = stack.api_key(signing);
            let post =
                Request::new("POST", "/tickets", Some(ticket.as_bytes())).with("content-type", "application/json");
            let signed = || oracle.sign(&api_key(&key), &post, &stack.issuer_url);
            let made = stack.ask_issuer(signed());
            assert_eq!(made.status, 201, "{oracle:?} {signing}: {made:?}");
            assert!(made.json()["ticket"].as_str().is_some_and(|ticket| ticket.starts_with("bmt_")));
            let other_body = ticket.replace("shop", "shoq").into_bytes();
            let changed = Request { body: Some(other_body), ..signed() };
            assert_eq!(
                stack.ask_issuer(changed).refusal(),
                (401, "digest_mismatch".to_owned()),
                "{oracle:?} {signing}"
            );
            let changed = signed();
            let signature = spoiled(changed.header("signature"));
            let changed = changed.replace("signature", signature);
            assert_eq!(
                stack.ask_issuer(changed).refusal(),
                (401, "invalid_signature".to_owned()),
                "{oracle:?} {signing}"
            );
            // The other kind of signature with the same secret.
            let other = if signing == "ed25519" { "hmac-sha256" } else { "ed25519" };
            let confused = oracle.sign(&api_key(&ApiKey { signing: other, ..key.clone() }), &post, &stack.issuer_url);
            assert_eq!(
                stack.ask_issuer(confused).refusal(),
                (401, "invalid_signature".to_owned()),
                "{oracle:?} {signing}"
            );
        }
    }
}

/// The output of `bmap sign --json`, as a request.
fn signed_by_bmap(stack: &Stack, arguments: &[&str], key: Option<&ApiKey>, request: &Request, url: &str) -> Request {
    let mut command = stack.bmap();
    command.args(["sign", "--json"]).args(arguments).arg(format!("{url}{}", request.target));
    if let Some(key) = key {
        command.env("BMAP_KEY_ID", &key.id).env("BMAP_KEY_SECRET", &key.secret).args(["--signing", key.signing]);
    }
    if let Some(body) = &request.body {
        command.args(["--data", std::str::from_utf8(body).unwrap()]);
    }
    let headers: serde_json::Map<String, Value> = serde_json::from_str(&finish(&mut command)).unwrap();
    headers.iter().fold(request.clone(), |request, (name, value)| request.with(name, value.as_str().unwrap()))
}

#[test]
fn python_and_npm_verify_what_bmap_signs_with_a_token() {
    let stack = Stack::start();
    stack.wait_for_the_rule();
    let caller = Caller::new(&stack, &stack.api_key("hmac-sha256"));
    let file = stack.folder().join("token.json");
    fs::write(&file, caller.response.to_string()).unwrap();
    let token = ["--token", file.to_str().unwrap()];
    for request in [
        Request::new("GET", "/v1/search?q=Sofia", None),
        Request::new("GET", "/v1/search", None),
        Request::new("POST", "/v1/nearby?units=km", Some(JSON)),
    ] {
        let signed = signed_by_bmap(&stack, &token, None, &request, &stack.tool_url);
        let answer = stack.ask_tool(&signed);
        assert!(answer.status == 200 || answer.json()["code"] == "invalid_query", "{answer:?}");
        for oracle in ORACLES {
            assert_agrees(oracle, &token_key(&caller), &signed, &stack.tool_url);
        }
    }
}

#[test]
fn python_and_npm_verify_what_bmap_signs_with_an_api_key() {
    let stack = Stack::start();
    let ticket = json!({"tool": "places", "origin": PAGE}).to_string();
    let request = Request::new("POST", "/tickets", Some(ticket.as_bytes()));
    for signing in ["hmac-sha256", "ed25519"] {
        let key = stack.api_key(signing);
        let signed = signed_by_bmap(&stack, &[], Some(&key), &request, &stack.issuer_url);
        assert_eq!(stack.ask_issuer(signed.clone()).status, 201);
        for oracle in ORACLES {
            assert_agrees(oracle, &api_key(&key), &signed, &stack.issuer_url);
        }
    }
}

/// The oracle takes what was signed, and nothing that differs from it by one character.
fn assert_agrees(oracle: Oracle, key: &Value, signed: &Request, url: &str) {
    let mut requests = vec![
        signed.clone(),
        Request { method: "PUT".to_owned(), ..signed.clone() },
        Request { target: signed.target.replacen('/', "/x", 1), ..signed.clone() },
        Request {
            target: format!("{}{}x", signed.target, if signed.target.contains('?') { "" } else { "?" }),
            ..signed.clone()
        },
        signed.clone().replace("signature", spoiled(signed.header("signature"))),
        signed
            .clone()
            .replace("signature-input", signed.header("signature-input").replacen(";created=1", ";created=2", 1)),
        signed.clone().replace(
            "signature-input",
            signed.header("signature-input").replacen("\"@method\" \"@authority\"", "\"@authority\" \"@method\"", 1),
        ),
    ];
    if signed.body.is_some() {
        requests.push(Request { body: Some(b"{}".to_vec()), ..signed.clone() });
        requests.push(signed.clone().replace("content-type", "text/plain"));
    }
    let taken = oracle.verifies(key, &requests, url);
    for (number, (request, taken)) in requests.iter().zip(taken).enumerate() {
        assert_eq!(taken, number == 0, "{oracle:?}: {request:?}");
    }
}
