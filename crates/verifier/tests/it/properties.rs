//! The whole decision on generated input: hostile bytes in any header that decides something are refused with a code, nothing
//! else changes, and a request of any shape that was signed is let in once.

use crate::actors::{Draft, PageToken, TestIssuer, get, now, post};
use axum::body::Body;
use bmap_protocol::code::Code;
use bmap_verifier::Verifier;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Request};
use proptest::prelude::*;
use proptest::test_runner::Config;

fn cases(number: u32) -> Config {
    Config { cases: number, failure_persistence: None, ..Config::default() }
}

/// The decision about a complete request.
fn decide(verifier: &Verifier, request: Request<Body>) -> Result<(), Code> {
    let (head, body) = request.into_parts();
    let decision = verifier.verify(&head, body, None, &now).now_or_never().expect("a whole body needs no waiting");
    decision.map(|_| ()).map_err(|refusal| refusal.code())
}

/// Header lines as a hostile sender makes them up.
fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let bytes = prop::collection::vec(prop_oneof![6 => 0x20..=0x7e_u8, 1 => Just(b'\t'), 2 => 0x80..=0xff_u8], 0..80);
    prop::collection::vec(bytes, 0..3)
}

const DECIDING: [&str; 6] = ["signature-input", "signature", "authorization", "content-digest", "host", "origin"];

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn hostile_bytes_in_a_header_that_decides_are_refused(at in 0..DECIDING.len(), lines in lines()) {
        let issuer = TestIssuer::new();
        let (verifier, page) = (issuer.verifier(|_| {}), issuer.mint(|_| {}));
        let mut request = post("/v1/nearby?a=1", b"{}").sign(&page);
        let headers = request.headers_mut();
        headers.remove(DECIDING[at]);
        for line in &lines {
            headers.append(HeaderName::from_static(DECIDING[at]), HeaderValue::from_bytes(line).unwrap());
        }
        let code = decide(&verifier, request).unwrap_err();
        prop_assert!(matches!(code.status(), 400 | 401 | 403), "{}", code.as_str());
    }

    #[test]
    fn hostile_bytes_anywhere_else_change_nothing(name in "x-[a-z]{1,12}|forwarded|x-forwarded-(for|host|proto|prefix|uri)|cookie|date|user-agent|referer", lines in lines()) {
        let issuer = TestIssuer::new();
        let (verifier, page) = (issuer.verifier(|_| {}), issuer.mint(|_| {}));
        let mut request = get("/v1/search?q=a").sign(&page);
        for line in &lines {
            request.headers_mut().append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(line).unwrap());
        }
        prop_assert_eq!(decide(&verifier, request), Ok(()));
    }

    #[test]
    fn a_request_of_any_shape_is_let_in_once(path in "(/[A-Za-z0-9~_=&+-]{1,8}){1,4}/?", query in prop::option::of("[!-\"$-~&&[^\"<>^`{|}\\\\]]{0,40}"), body in prop::collection::vec(any::<u8>(), 0..200), nonce: [u8; 16], age in 0..=60_u64) {
        let issuer = TestIssuer::new();
        let (verifier, page) = (issuer.verifier(|_| {}), issuer.mint(|_| {}));
        let target = query.map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
        let method = if body.is_empty() { "DELETE" } else { "PUT" };
        let draft = Draft { method, body, nonce, created: u64::from(crate::actors::NOW) - age, ..get(&target) };
        prop_assert_eq!(decide(&verifier, draft.sign(&page)), Ok(()));
        prop_assert_eq!(decide(&verifier, draft.sign(&page)), Err(Code::Replayed));
    }

    #[test]
    fn a_target_that_the_profile_refuses_is_refused(target in "/[a-z%./0-9\\\\;]{0,24}") {
        let issuer = TestIssuer::new();
        let (verifier, page) = (issuer.verifier(|_| {}), issuer.mint(|_| {}));
        let Ok(uri) = target.parse::<http::Uri>() else { return Ok(()) };
        let mut request = get("/plain").sign(&page);
        let plain = bmap_protocol::target::check_path(uri.path().as_bytes()).is_ok();
        *request.uri_mut() = uri;
        let expected = if plain { Code::InvalidSignature } else { Code::MalformedRequest };
        prop_assert_eq!(decide(&verifier, request), if target == "/plain" { Ok(()) } else { Err(expected) });
    }

    #[test]
    fn arbitrary_tokens_are_refused(token in prop_oneof!["[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,90}", "[!-~]{1,120}"]) {
        let issuer = TestIssuer::new();
        let verifier = issuer.verifier(|_| {});
        // By a sender who holds the key that belongs to this text: no more than the issuer's signature is left to refuse it.
        let insider: PageToken = issuer.hand_over("geo", token, "AAAAAAAAAAAAAAAAAAAAAA".to_owned());
        prop_assert_eq!(decide(&verifier, get("/a").sign(&insider)), Err(Code::InvalidToken));
    }
}
