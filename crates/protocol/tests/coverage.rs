//! Components that a signature must cover, those that it may cover too, and how they are rebuilt: spoil this, expect that
//! code (profile §4).
#![cfg(feature = "check")]

use base64ct::{Base64, Encoding};
use bmap_protocol::check::{self, Received};
use bmap_protocol::code::Code;
use bmap_protocol::digest::BodyDigest;
use bmap_protocol::fields::Fields;
use bmap_protocol::keys::MacKey;
use bmap_protocol::received::UnverifiedSignature;
use bmap_protocol::refusal::Refusal;
use http::{HeaderMap, HeaderName, HeaderValue};

const ALWAYS: &[&str] = &["@method", "@authority", "@path", "@query"];
const BODY: &[u8] = b"{}";

/// Headers with a signature of `covered`; the signature's bytes are not looked at before step 6.
fn headers(covered: &[&str], lines: &[(&str, &str)]) -> HeaderMap {
    let list: Vec<String> = covered.iter().map(|name| format!("\"{name}\"")).collect();
    let parameters = r#";created=1;nonce="AAAAAAAAAAAAAAAAAAAAAA";keyid="k";tag="bmap-1""#;
    let mut headers = HeaderMap::new();
    let mut add = |name: &str, value: &str| {
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    };
    add("signature-input", &format!("bmap=({}){parameters}", list.join(" ")));
    add("signature", "bmap=:AAAA:");
    lines.iter().for_each(|(name, value)| add(name, value));
    headers
}

fn coverage(covered: &[&str], lines: &[(&str, &str)], has_body: bool) -> Result<(), Code> {
    let headers = headers(covered, lines);
    let fields = Fields::of(&headers);
    let signature = UnverifiedSignature::parse(&fields).unwrap();
    check::coverage(&signature, &fields, false, has_body).map_err(|refusal| refusal.code())
}

/// The base of a request to `/a?b`, line by line; what is covered is `covered`.
fn base(covered: &[&str], lines: &[(&str, &str)], query: Option<&str>) -> Result<Vec<String>, Refusal> {
    let headers = headers(covered, lines);
    let fields = Fields::of(&headers);
    let signature = UnverifiedSignature::parse(&fields)?;
    let received =
        Received { method: "POST", scheme: "https", authority: "geo.example:8443", path: "/a", query, fields: &fields };
    let base = String::from_utf8(check::base(&received, &signature)?).unwrap();
    Ok(base.lines().map(str::to_owned).collect())
}

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [ALWAYS, more].concat()
}

#[test]
fn each_of_the_four_is_covered_always() {
    assert_eq!(coverage(ALWAYS, &[], false), Ok(()));
    for left_out in ALWAYS {
        let covered: Vec<&str> = ALWAYS.iter().copied().filter(|name| name != left_out).collect();
        assert_eq!(coverage(&covered, &[], false), Err(Code::InsufficientCoverage), "{left_out}");
    }
}

#[test]
fn o11_what_describes_a_body_is_covered_where_there_is_one() {
    let lines = [("content-type", "text/plain"), ("content-encoding", "gzip"), ("content-digest", "sha-256=:AAAA:")];
    let names = lines.map(|(name, _)| name);
    assert_eq!(coverage(&with(&names), &lines, true), Ok(()));
    for left_out in names {
        let covered: Vec<&str> = names.into_iter().filter(|name| *name != left_out).collect();
        assert_eq!(coverage(&with(&covered), &lines, true), Err(Code::InsufficientCoverage), "{left_out}");
        // Where the header is not sent, there is nothing to cover; a digest there must be.
        let sent: Vec<(&str, &str)> = lines.into_iter().filter(|(name, _)| *name != left_out).collect();
        let expected = if left_out == "content-digest" { Err(Code::InsufficientCoverage) } else { Ok(()) };
        assert_eq!(coverage(&with(&covered), &sent, true), expected, "{left_out}");
    }
    assert_eq!(coverage(ALWAYS, &lines, false), Ok(()), "without a body they describe nothing");
    // Both lines of a header count as the header.
    let twice = [("content-digest", "sha-256=:AAAA:"), ("content-encoding", "gzip"), ("content-encoding", "br")];
    assert_eq!(coverage(&with(&["content-digest"]), &twice, true), Err(Code::InsufficientCoverage));
}

#[test]
fn o11_a_header_that_changes_the_meaning_is_covered_or_refused() {
    for name in ["x-http-method", "x-http-method-override", "x-method-override", "x-original-url", "x-rewrite-url"] {
        for name in [name.to_owned(), name.replace('-', "_"), name.replace('-', "."), name.replacen('-', "_", 1)] {
            let lines = [("accept", "text/plain"), (name.as_str(), "DELETE")];
            for has_body in [false, true] {
                let covered = with(&["content-digest"]);
                assert_eq!(coverage(&covered, &lines, has_body), Err(Code::MalformedRequest), "{name}");
                let covered = with(&["content-digest", &name]);
                assert_eq!(coverage(&covered, &lines, has_body), Ok(()), "{name}");
            }
        }
    }
    // The spelling that is covered is the one that was sent.
    let lines = [("x_original_url", "/admin"), ("x-original-url", "/")];
    assert_eq!(coverage(&with(&["x-original-url"]), &lines, false), Err(Code::MalformedRequest));
    assert_eq!(coverage(&with(&["x-original-url", "x_original_url"]), &lines, false), Ok(()));
    // A header that merely resembles one is a header as any other.
    assert_eq!(coverage(ALWAYS, &[("x-original-urls", "/"), ("x-requested-with", "x")], false), Ok(()));
}

#[test]
fn the_derived_components_that_may_be_covered_are_those_of_rfc_9421() {
    let covered = ["@target-uri", "@scheme", "@request-target", "@query"];
    let lines = base(&covered, &[], Some("b=%20")).unwrap();
    assert_eq!(
        &lines[..4],
        [
            "\"@target-uri\": https://geo.example:8443/a?b=%20",
            "\"@scheme\": https",
            "\"@request-target\": /a?b=%20",
            "\"@query\": ?b=%20",
        ]
    );
    let lines = base(&covered, &[], None).unwrap();
    assert_eq!(lines[0], "\"@target-uri\": https://geo.example:8443/a");
    assert_eq!(lines[2..4], ["\"@request-target\": /a", "\"@query\": ?"]);
    assert_eq!(base(&covered, &[], Some("")).unwrap()[2], "\"@request-target\": /a?");
    // Each of them once, and no others.
    for covered in
        [&["@scheme", "@scheme"][..], &["@target-uri", "@target-uri"], &["@query-param"], &["@status"], &["@x"]]
    {
        assert_eq!(base(covered, &[], None).unwrap_err().code(), Code::MalformedSignature, "{covered:?}");
    }
    // They stand beside the four, and do not replace them.
    for instead in ["@target-uri", "@request-target"] {
        assert_eq!(coverage(&["@method", "@authority", "@path", instead], &[], false), Err(Code::InsufficientCoverage));
        assert_eq!(coverage(&with(&[instead]), &[], false), Ok(()));
    }
}

#[test]
fn a_mac_binds_the_scheme_where_it_is_covered() {
    let key = MacKey::from_key_bytes(&[1; 32]);
    for covered in ["@scheme", "@target-uri"] {
        let mut headers = headers(&with(&[covered]), &[]);
        let sign = |headers: &HeaderMap, scheme: &str| {
            let fields = Fields::of(headers);
            let signature = UnverifiedSignature::parse(&fields).unwrap();
            let received =
                Received { method: "GET", scheme, authority: "geo.example", path: "/", query: None, fields: &fields };
            (check::base(&received, &signature).unwrap(), check::mac(&received, &signature, &key).is_ok())
        };
        let mac = key.mac(&sign(&headers, "https").0);
        let encoded = Base64::encode_string(&mac);
        headers.insert("signature", HeaderValue::from_str(&format!("bmap=:{encoded}:")).unwrap());
        assert!(sign(&headers, "https").1, "{covered}");
        assert!(!sign(&headers, "http").1, "{covered}");
    }
}

#[test]
fn a_header_in_several_lines_is_one_value() {
    let covered = ["accept-language", "content-type", "content-digest", "x-empty"];
    let sent = [
        ("accept-language", "bg "),
        ("content-type", "text/plain"),
        ("accept-language", "\ten;q=0.5"),
        ("content-digest", "sha-512=:AAAA:"),
        ("content-digest", "sha-256=:AAAA:"),
        ("content-type", "text/html"),
        ("x-empty", ""),
    ];
    assert_eq!(
        base(&covered, &sent, None).unwrap()[..4],
        [
            "\"accept-language\": bg, en;q=0.5",
            "\"content-type\": text/plain, text/html",
            "\"content-digest\": sha-512=:AAAA:, sha-256=:AAAA:",
            "\"x-empty\": ",
        ]
    );
    assert_eq!(base(&["x-none"], &sent, None).unwrap_err().code(), Code::InvalidSignature);
}

#[test]
fn r26_a_content_digest_in_several_lines_is_one_dictionary() {
    let actual = BodyDigest::of(BODY);
    let (good, other) = (actual.header_value(), BodyDigest::of(b"[]").header_value());
    let digest = |lines: &[&str]| {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("content-digest", HeaderValue::from_str(line).unwrap());
        }
        check::content_digest(&Fields::of(&headers), &actual).map_err(|refusal| refusal.code())
    };
    assert_eq!(digest(&[&good]), Ok(()));
    assert_eq!(digest(&["sha-512=:AAAA:", &good]), Ok(()));
    assert_eq!(digest(&[&good, "unixsum=:AAAA:"]), Ok(()));
    assert_eq!(digest(&["sha-512=:AAAA:", &other]), Err(Code::DigestMismatch));
    // Which of two digests counts is not left to the reader.
    assert_eq!(digest(&[&good, &other]), Err(Code::MalformedRequest));
    assert_eq!(digest(&[&good, &good]), Err(Code::MalformedRequest));
    assert_eq!(digest(&[&good, "sha-512"]), Err(Code::MalformedRequest));
    assert_eq!(digest(&["sha-512=:AAAA:", "unixsum=:AAAA:"]), Err(Code::InsufficientCoverage));
    assert_eq!(digest(&[]), Err(Code::InsufficientCoverage));
}
