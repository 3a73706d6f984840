//! Hostile headers and targets: every pure step of a verifier in its order, on bytes that a sender may choose freely.

use bmap_protocol::check::{self, Received, Window};
use bmap_protocol::code::Code;
use bmap_protocol::digest::BodyDigest;
use bmap_protocol::fields::Fields;
use bmap_protocol::keys::MacKey;
use bmap_protocol::origin::Origin;
use bmap_protocol::received::UnverifiedSignature;
use bmap_protocol::refusal::Refusal;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

const NOW: i64 = 1_764_000_000;

/// Any value that an HTTP parser lets through: tab, and 0x20 to 0xff without DEL.
fn field_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![8 => 0x20..=0x7e_u8, 1 => Just(b'\t'), 2 => 0x80..=0xff_u8], 0..120)
}

/// Pieces of real headers in any order, with noise between.
fn near(pieces: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        9 => prop::sample::select(pieces).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(prop_oneof![0x20..=0x7e_u8, 0x80..=0xff_u8], 1..4),
    ];
    prop_oneof![1 => field_bytes(), 3 => prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())]
}

const INPUT: &[&str] = &[
    "bmap=(",
    "\"@method\"",
    "\"@authority\"",
    "\"@path\"",
    "\"@query\"",
    "\"authorization\"",
    "\"content-digest\"",
    "\"@target-uri\"",
    "\"x\"",
    " ",
    ")",
    "(",
    ";created=1764000000",
    ";created=-1",
    ";created=1.5",
    ";nonce=\"AAAAAAAAAAAAAAAAAAAAAA\"",
    ";nonce=",
    ";keyid=\"k\"",
    ";keyid=\"\\\"\"",
    ";tag=\"bmap-1\"",
    ";tag=bmap-1",
    ";expires=9",
    ";alg=\"x\"",
    ";req",
    ",",
    ", b=1",
    "*",
    "=",
    ";",
    "\"",
    "%\"é\"",
    "bmap=(\"@method\" \"@authority\" \"@path\" \"@query\" \"authorization\" \"content-type\" \"content-digest\");created=1764000000;nonce=\"AAAAAAAAAAAAAAAAAAAAAA\";keyid=\"k\";tag=\"bmap-1\"",
];
const SIGNATURE: &[&str] =
    &["bmap=", "b=", ":", "AAAA", "=", ",", " ", "bmap=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:", "()", ";a"];
const TOKEN: &[&str] = &["HTTPSig ", "httpsig ", "Bearer ", "e30", ".", "..", "eyJhbGciOiJFZERTQSJ9", "=", " ", ","];
const DIGEST: &[&str] =
    &["sha-256=", "sha-512=", ":", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", ",", " ", ";a=1", "()"];
const HOST: &[&str] = &["geo.example", "GEO.example", ":443", ":80", ":", "@", "[::1]", ".", "evil.example", " ", "/"];
const ORIGIN: &[&str] = &["https://", "http://", "shop.example", ":443", "null", ",", " ", "/"];

/// One request as a sender makes it up.
#[derive(Debug)]
struct Hostile {
    method: String,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
}

fn hostile() -> impl Strategy<Value = Hostile> {
    let line = |name: &'static str, pieces| (Just(name), prop::collection::vec(near(pieces), 0..3));
    let target = prop_oneof![3 => "/[a-z]{0,8}", 1 => any::<String>()];
    (
        ("[A-Z]{1,6}", target, prop::option::of(prop_oneof!["[ -~]{0,20}", any::<String>()])),
        (line("signature-input", INPUT), line("signature", SIGNATURE), line("authorization", TOKEN)),
        (line("content-digest", DIGEST), line("host", HOST), line("origin", ORIGIN)),
    )
        .prop_map(|((method, path, query), (a, b, c), (d, e, f))| {
            let mut headers = HeaderMap::new();
            for (name, lines) in [a, b, c, d, e, f] {
                for value in lines {
                    headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(&value).unwrap());
                }
            }
            Hostile { method, path, query, headers }
        })
}

/// The pure steps in the verifier's order, for a sender who has no key.
fn decide(request: &Hostile) -> Result<(), Refusal> {
    let (path, query, fields) = (request.path.as_str(), request.query.as_deref(), &Fields::of(&request.headers));
    let own = [Origin::parse("https://geo.example").unwrap()];
    check::request_target(path, query)?;
    let signature = UnverifiedSignature::parse(fields)?;
    let token = check::authorization(fields)?;
    let own = check::own_origin(check::authority(None, fields)?, &own)?;
    check::time_window(&signature, NOW, Window::DEFAULT)?;
    check::coverage(&signature, fields, token.is_some(), true)?;
    let received =
        Received { method: &request.method, scheme: own.scheme(), authority: own.authority(), path, query, fields };
    check::mac(&received, &signature, &MacKey::from_key_bytes(&[7; 32]))
}

/// Every refusal, whatever its cause, has a code of the profile that blames the sender.
fn coded(refusal: &Refusal) -> bool {
    let code = refusal.code();
    Code::from_name(code.as_str()) == Some(code)
        && matches!(code.status(), 400 | 401 | 403)
        && !refusal.to_string().is_empty()
}

proptest! {
    #![proptest_config(super::cases(1000))]

    #[test]
    fn a_sender_without_a_key_gets_a_code_and_never_a_panic(request in hostile()) {
        let refusal = decide(&request).unwrap_err();
        prop_assert!(coded(&refusal), "{:?}", refusal);
    }

    #[test]
    fn every_step_alone_takes_any_bytes(request in hostile()) {
        // The order above hides what comes after the first fault: here each parser gets its bytes.
        let (headers, fields) = (&request.headers, &Fields::of(&request.headers));
        if let Err(refusal) = check::request_target(&request.path, request.query.as_deref()) {
            prop_assert!(coded(&refusal));
        }
        let parsed = UnverifiedSignature::parse(fields);
        if let Ok(signature) = &parsed {
            let received = Received { method: "GET", scheme: "https", authority: "geo.example", path: "/", query: None, fields };
            let no_key = check::ed25519(&received, signature, &[3; 32]).unwrap_err();
            prop_assert!(coded(&no_key));
            let read = headers.get_all("signature-input").iter().any(|line| {
                line.as_bytes().windows(signature.params.len()).any(|window| window == signature.params.as_bytes())
            });
            prop_assert!(read && signature.params.starts_with('('), "{:?} is not what was received", signature.params);
        }
        let steps = [
            parsed.map(|_| ()),
            check::authorization(fields).map(|_| ()),
            check::authority(None, fields).map(|_| ()),
            check::authority(Some("geo.example"), fields).map(|_| ()),
            check::content_digest(fields, &BodyDigest::of(b"")),
        ];
        for refusal in steps.into_iter().filter_map(Result::err) {
            prop_assert!(coded(&refusal), "{:?}", refusal);
        }
        for line in headers.get_all("content-digest") {
            if let Err(fault) = BodyDigest::parse(line.as_bytes()) {
                prop_assert!(coded(&Refusal::Digest(fault)));
            }
        }
    }

    #[test]
    fn a_foreign_host_is_never_our_own(host in near(HOST)) {
        let own = [Origin::parse("https://geo.example").unwrap()];
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_bytes(&host).unwrap());
        let found = check::authority(None, &Fields::of(&headers)).and_then(|host| check::own_origin(host, &own)).is_ok();
        let ours = [&b"geo.example"[..], b"geo.example:443"].iter().any(|ours| host.eq_ignore_ascii_case(ours));
        prop_assert_eq!(found, ours);
    }
}
