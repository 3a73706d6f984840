//! Each fast path of protocol and verifier against its slow one: the same verdict, the same reading.
#![no_main]

use arbitrary::Arbitrary;
use base64ct::{Base64, Encoding};
use bmap_fuzz::{CASES, OWN, decide, text, unhex, verifier};
use bmap_protocol::check::{self, Received, TokenMacKey};
use bmap_protocol::digest::BodyDigest;
use bmap_protocol::fields::Fields;
use bmap_protocol::keys::{MacKey, SigningKey};
use bmap_protocol::received::UnverifiedSignature;
use bmap_protocol::refusal::Refusal;
use bmap_protocol::sign::{Request, RequestKey, SignatureHeaders, Stamp, sign};
use bmap_protocol::target::{MAX_TARGET, check_path};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    /// `Signature-Input` and `Signature`: the canonical readers against the dictionary parser.
    Signature { lines: Vec<(bool, &'a [u8])> },
    /// The MAC of a known token, begun beforehand, against the whole one.
    Mac { scheme: &'a [u8], token: &'a str, list: Vec<u8>, sent: Option<Vec<u8>>, path: &'a str },
    /// A digest as our SDK spells it against the dictionary parser.
    Digest { body: &'a [u8], lines: Vec<&'a [u8]>, ours: Option<u8> },
    /// The table of plain bytes in a path against the rules of the profile as they are written there.
    Path(&'a [u8]),
    /// A token that was seen before against one that is new.
    Known { case: u8, path: &'a str, query: Option<&'a str>, body: &'a [u8], later: Vec<(u8, &'a [u8])>, cut: u16 },
}

fuzz_target!(|input: Input<'_>| match input {
    Input::Signature { lines } => signature(&lines),
    Input::Mac { scheme, token, list, sent, path } => mac(scheme, token, &list, sent.as_deref(), path),
    Input::Digest { body, lines, ours } => digest(body, &lines, ours),
    Input::Path(path) => assert_eq!(check_path(path).is_ok(), plain_path(path), "{path:?}"),
    Input::Known { case, path, query, body, later, cut } => known(case, path, query, body, &later, cut),
});

fn signature(lines: &[(bool, &[u8])]) {
    let mut headers = HeaderMap::new();
    for (input, line) in lines.iter().take(4) {
        let Ok(value) = HeaderValue::from_bytes(line) else { return };
        headers.append(if *input { "signature-input" } else { "signature" }, value);
    }
    let fields = Fields::of(&headers);
    let (fast, slow) = (UnverifiedSignature::parse(&fields), UnverifiedSignature::parse_slowly(&fields));
    match (fast, slow) {
        (Ok(fast), Ok(slow)) => assert!(same(&fast, &slow), "{fast:?} {slow:?}"),
        (fast, slow) => assert_eq!(fast.err(), slow.err()),
    }
}

fn same(fast: &UnverifiedSignature<'_>, slow: &UnverifiedSignature<'_>) -> bool {
    (fast.params, fast.created, fast.expires, fast.nonce, fast.key_id)
        == (slow.params, slow.created, slow.expires, slow.nonce, slow.key_id)
        && fast.signature() == slow.signature()
        && fast.components().eq(slow.components())
}

/// Components that `list` chooses from.
const NAMES: [&str; 8] =
    ["authorization", "@method", "@path", "@query", "@target-uri", "host", "content-type", "x-none"];

fn mac(scheme: &[u8], token: &str, list: &[u8], sent: Option<&[u8]>, path: &str) {
    // A known token was verified, so there is no white space in it that its line would be trimmed by.
    if token.is_empty() || token.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return;
    }
    let key = MacKey::from_key_bytes(&[5; 32]);
    let list: Vec<String> =
        list.iter().take(16).map(|at| format!("\"{}\"", NAMES[usize::from(*at) % NAMES.len()])).collect();
    let parameters = r#";created=1;nonce="AAAAAAAAAAAAAAAAAAAAAA";keyid="k";tag="bmap-1""#;
    let input = format!("bmap=({}){parameters}", list.join(" "));
    // The scheme as our SDK spells it, or another; the token is the known one in any case, as the cache found it by that.
    let scheme = if scheme.is_empty() { b"HTTPSig " } else { scheme };
    let Ok(authorization) = HeaderValue::from_bytes(&[scheme, token.as_bytes()].concat()) else { return };
    let mut headers = HeaderMap::new();
    headers.insert("authorization", authorization);
    headers.insert("host", HeaderValue::from_static("a.example"));
    headers.insert("signature-input", HeaderValue::from_str(&input).unwrap());
    headers.insert("signature", HeaderValue::from_static("bmap=:AAAA:"));
    let received = |headers: &HeaderMap| {
        let fields = Fields::of(headers);
        let signature = UnverifiedSignature::parse(&fields).ok()?;
        let received =
            Received { method: "GET", scheme: "https", authority: "a.example", path, query: None, fields: &fields };
        let presented = check::presented_token(&fields);
        let base = check::base(&received, &signature);
        let known = TokenMacKey::new(key.clone(), token);
        // The cache finds a known token by what stands behind the scheme.
        let verdicts = (presented == Ok(Some(token.as_bytes())))
            .then(|| (check::token_mac(&received, &signature, &known), check::mac(&received, &signature, &key)));
        Some((base, verdicts))
    };
    let Some((base, _)) = received(&headers) else { return };
    let mac = match (sent, base) {
        (None, Ok(base)) => key.mac(&base).to_vec(),
        (sent, _) => sent.unwrap_or_default().iter().copied().take(64).collect(),
    };
    let encoded = format!("bmap=:{}:", Base64::encode_string(&mac));
    headers.insert("signature", HeaderValue::from_str(&encoded).unwrap());
    if let Some((_, Some((fast, slow)))) = received(&headers) {
        assert_eq!(fast, slow);
    }
}

fn digest(body: &[u8], lines: &[&[u8]], ours: Option<u8>) {
    let actual = BodyDigest::of(body);
    let mut headers = HeaderMap::new();
    let own = actual.header_value();
    for (at, line) in lines.iter().take(4).enumerate() {
        // Now and then the right digest in the place of a line.
        let line = if ours.is_some_and(|ours| usize::from(ours) == at) { own.as_bytes() } else { line };
        let Ok(value) = HeaderValue::from_bytes(line) else { return };
        headers.append("content-digest", value);
    }
    let fast = check::content_digest(&Fields::of(&headers), &actual);
    let slow = BodyDigest::parse_lines(headers.get_all("content-digest").iter().map(HeaderValue::as_bytes));
    assert_eq!(fast.is_ok(), slow.is_ok_and(|claimed| claimed.matches(&actual)));
    for line in headers.get_all("content-digest") {
        let slow = BodyDigest::parse(line.as_bytes()).is_ok_and(|claimed| claimed.matches(&actual));
        assert!(slow || !actual.is_spelled(line.as_bytes()), "a fast path that takes more");
    }
}

/// The rules for a path (profile §4), one after the other.
fn plain_path(path: &[u8]) -> bool {
    let lower = path.to_ascii_lowercase();
    let holds = |part: &str| lower.windows(part.len()).any(|window| window == part.as_bytes());
    path.starts_with(b"/")
        && path.len() <= MAX_TARGET
        && path.iter().all(|byte| byte.is_ascii_graphic() && !b"\\#?".contains(byte))
        && !["//", "%2e", "%2f", "%5c", "%00"].into_iter().any(holds)
        && !path.split(|byte| *byte == b'/').any(|segment| segment == b"." || segment == b"..")
        && path
            .split(|byte| *byte == b'%')
            .skip(1)
            .all(|rest| rest.first_chunk::<2>().is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)))
}

/// Headers that are added to, or changed in, a signed request.
const CHANGED: [&str; 10] = [
    "authorization",
    "signature",
    "signature-input",
    "content-digest",
    "content-type",
    "content-encoding",
    "host",
    "origin",
    "x-original-url",
    "x-a",
];

fn known(case: u8, path: &str, query: Option<&str>, body: &[u8], later: &[(u8, &[u8])], cut: u16) {
    let sessions = CASES.iter().filter(|case| case["expect"].is_null()).collect::<Vec<_>>();
    let case = sessions[usize::from(case) % sessions.len()];
    let make = |nonce: u8| signed(case, path, query, body, nonce);
    let (Some((first, _)), Some((mut head, sent))) = (make(1), make(2)) else { return };
    for (name, value) in later.iter().take(3) {
        let Ok(value) = HeaderValue::from_bytes(value) else { return };
        let name = HeaderName::from_static(CHANGED[usize::from(*name) % CHANGED.len()]);
        if value.is_empty() {
            head.headers.remove(&name);
        } else {
            head.headers.append(name, value);
        }
    }
    let sent = sent.slice(..sent.len().saturating_sub(usize::from(cut) / 256 % 4));
    let warm = verifier();
    decide(&warm, &first, &Bytes::copy_from_slice(body)).expect("what the SDK signs is let in");
    // What the caller is told; for the log a key that is tried says less than one that is known.
    let verdict =
        |outcome: Result<(_, Bytes), Refusal>| outcome.map(|(_, bytes)| bytes).map_err(|refusal| refusal.code());
    let (fast, slow) = (verdict(decide(&warm, &head, &sent)), verdict(decide(&verifier(), &head, &sent)));
    assert_eq!(fast, slow);
}

/// A request of the case's page, as the SDK signs it.
fn signed(case: &serde_json::Value, path: &str, query: Option<&str>, body: &[u8], nonce: u8) -> Option<(Parts, Bytes)> {
    let key = SigningKey::from_bytes(unhex(text(case, "signing_key_hex")).try_into().ok()?);
    let digest = (!body.is_empty()).then(|| BodyDigest::of(body).header_value());
    let authority = &OWN["https://".len()..];
    let request =
        Request { method: "POST", authority, path, query, content_digest: digest.as_deref(), ..Request::default() };
    let stamp = Stamp { created: bmap_fuzz::NOW.into(), nonce: [nonce; 16], key_id: text(&case["claims"], "jti") };
    let key = RequestKey::token(&key, text(case, "token")).ok()?;
    let SignatureHeaders { signature_input, signature } = sign(&request, &stamp, &key).ok()?;
    let target = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut sent = http::Request::builder().method("POST").uri(&target).header("host", authority);
    sent = sent.header("authorization", format!("HTTPSig {}", text(case, "token")));
    sent = sent.header("signature-input", signature_input).header("signature", signature);
    if let Some(digest) = digest {
        sent = sent.header("content-digest", digest);
    }
    if let Some(origin) = case["claims"]["origin"].as_str() {
        sent = sent.header("origin", origin);
    }
    let (head, ()) = sent.body(()).ok()?.into_parts();
    // The library may read another target out of the text than was signed; that is the sender's fault, and not looked for here.
    let kept = head.uri.path() == path && head.uri.query() == query;
    kept.then(|| (head, Bytes::copy_from_slice(body)))
}
