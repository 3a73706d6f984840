//! What the targets share: the known answers of `bmap-1`, a verifier that has their keys, and requests as bytes.

use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::check::Window;
use bmap_protocol::ids::{Issuer, ToolId};
use bmap_protocol::keys::ToolKey;
use bmap_protocol::origin::Origin;
use bmap_protocol::refusal::Refusal;
use bmap_protocol::token::IssuerKey;
use bmap_verifier::{
    MemoryReplayStore, NoRevocations, Policy, ReplayLimits, ToolKeys, UnixTime, Verified, VerifiedBody, Verifier,
};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request};
use http_body_util::Full;
use serde_json::Value;
use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

/// The vectors' time, seconds.
pub const NOW: u32 = 1_764_000_000;
/// The vectors' own base URL.
pub const OWN: &str = "https://geo.bmap.example";

/// A file of the known answers.
fn vectors(name: &str) -> Value {
    let text = match name {
        "keys" => include_str!("../../vectors/bmap-1/keys.json"),
        "requests" => include_str!("../../vectors/bmap-1/requests.json"),
        _ => include_str!("../../vectors/bmap-1/refusals.json"),
    };
    serde_json::from_str(text).unwrap()
}

/// `keys.json`.
pub static KEYS: LazyLock<Value> = LazyLock::new(|| vectors("keys"));

/// `requests.json` and then `refusals.json`; with a token each.
pub static CASES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let lists = ["requests", "refusals"].map(vectors);
    lists.iter().flat_map(|list| list.as_array().unwrap()).filter(|case| case["token"].is_string()).cloned().collect()
});

/// A member that is a text.
pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// The bytes behind hex digits.
pub fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}

/// 32 bytes behind hex digits.
pub fn unhex32(text: &str) -> [u8; 32] {
    unhex(text).try_into().unwrap()
}

/// The issuer's public key of the vectors.
pub static ISSUER_KEY: LazyLock<IssuerKey> = LazyLock::new(|| {
    let jwk = &KEYS["issuer_jwk"];
    let key = Base64UrlUnpadded::decode_vec(text(jwk, "x")).unwrap();
    IssuerKey::new(text(jwk, "kid"), &key.try_into().unwrap()).unwrap()
});

/// A tool's verifier with the vectors' keys, which has seen nothing.
pub fn verifier() -> Verifier {
    let tool = ToolId::parse(text(&KEYS, "tool")).unwrap();
    let key = ToolKey::from_bytes(unhex32(text(&KEYS, "tool_key_hex")));
    let mut policy = Policy::default();
    policy.known_tokens = 16;
    Verifier::new(
        Issuer::parse(text(&KEYS, "issuer")).unwrap(),
        vec![ISSUER_KEY.clone()],
        vec![Origin::parse(OWN).unwrap(), Origin::parse("https://geo.bmap.example:8443").unwrap()],
        policy,
        ToolKeys::new(tool, vec![(7, key)]),
        MemoryReplayStore::new(ReplayLimits { entries: 64, per_key: 64 }, Window::DEFAULT, 0),
        NoRevocations,
    )
}

/// A clock that shows [`NOW`]. No body here is waited for, so its timer is not used.
struct Stopped;

impl bmap_verifier::Clock for Stopped {
    fn now(&self) -> UnixTime {
        UnixTime::from_seconds(NOW)
    }

    fn sleep(&self, _: std::time::Duration) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
}

/// Puts a request to a verifier at the vectors' time. Nothing here waits.
pub fn decide(verifier: &Verifier, head: &Parts, body: &Bytes) -> Result<(Verified, Bytes), Refusal> {
    let decision = verifier.verify(head, Full::new(body.clone()), None, &Stopped);
    match pin!(decision).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome.map(|(verified, body)| match body {
            VerifiedBody::Whole(bytes) => (verified, bytes),
            VerifiedBody::Empty(_) => (verified, Bytes::new()),
        }),
        Poll::Pending => panic!("a body that is there at once is not waited for"),
    }
}

/// A request as text: `METHOD target`, header lines, an empty line, the body. `None` for what no HTTP library hands on.
pub fn request(bytes: &[u8]) -> Option<(Parts, Bytes)> {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n")?;
    let (head, body) = (&bytes[..end], &bytes[end + 2..]);
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = lines.next()?;
    let space = first.iter().position(|byte| *byte == b' ')?;
    let mut request = Request::builder().method(&first[..space]).uri(&first[space + 1..]);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let value = line[colon + 1..].trim_ascii();
        request = request.header(HeaderName::from_bytes(&line[..colon]).ok()?, HeaderValue::from_bytes(value).ok()?);
    }
    let (head, ()) = request.body(()).ok()?.into_parts();
    Some((head, Bytes::copy_from_slice(body)))
}

/// A known answer as the text that [`request`] reads.
pub fn seed(case: &Value) -> Vec<u8> {
    let query = if text(case, "query") == "?" { "" } else { text(case, "query") };
    let mut seed =
        format!("{} {}{query}\nhost: {}\n", text(case, "method"), text(case, "path"), text(case, "authority"));
    for (name, value) in case["headers"].as_object().unwrap() {
        seed.push_str(&format!("{name}: {}\n", value.as_str().unwrap()));
    }
    if let Some(origin) = case["claims"]["origin"].as_str() {
        seed.push_str(&format!("origin: {origin}\n"));
    }
    seed.push('\n');
    let mut seed = seed.into_bytes();
    seed.extend_from_slice(&unhex(text(case, "body_hex")));
    seed
}
