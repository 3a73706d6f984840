//! The accept path of a decision takes nothing from the heap: not for a GET, not for a POST whose body comes in one frame.
//!
//! A binary of its own, because it counts what the whole process allocates.

#[path = "it/actors.rs"]
#[expect(dead_code, reason = "the actors of the other tests; a few are enough here")]
mod actors;

use actors::{Draft, PageToken, TestIssuer, get, now, post};
use allocation_counter::measure;
use bmap_protocol::sign::RequestKey;
use bmap_verifier::Verifier;
use bytes::Bytes;
use futures_util::FutureExt;
use http::request::Parts;
use http_body_util::Full;

/// A request on its way in: its head, and its body as a listener would have read it.
struct Arrived {
    head: Parts,
    body: Bytes,
}

fn arrive(draft: &Draft, page: &PageToken, body: Bytes) -> Arrived {
    Arrived { head: draft.sign(page).into_parts().0, body }
}

fn decide(verifier: &Verifier, request: &Arrived, body: Bytes) -> bool {
    verifier.verify(&request.head, Full::new(body), None, &now).now_or_never().unwrap().is_ok()
}

/// Allocations of one decision each, all accepted.
fn count(verifier: &Verifier, requests: &[Arrived]) -> u64 {
    let bodies: Vec<Bytes> = requests.iter().map(|request| request.body.clone()).collect();
    let counted = measure(|| {
        for (request, body) in requests.iter().zip(bodies) {
            assert!(decide(verifier, request, body));
        }
    });
    counted.count_total
}

const JSON: &[u8] = br#"{"lat":42.6977,"lon":23.3219}"#;

fn gets(page: &PageToken) -> Vec<Arrived> {
    (0..100).map(|_| arrive(&get("/v1/search?q=Sofia"), page, Bytes::new())).collect()
}

fn posts(page: &PageToken, body: impl Fn() -> Bytes) -> Vec<Arrived> {
    (0..100).map(|_| arrive(&post("/v1/nearby", JSON), page, body())).collect()
}

#[test]
fn a_known_token_is_accepted_without_the_heap() {
    let issuer = TestIssuer::new();
    let (verifier, mut page) = (issuer.verifier(|_| {}), issuer.mint(|_| {}));
    assert_eq!(
        count(&verifier, &gets(&page)[..1]).min(1),
        1,
        "a token that is new is remembered, which takes room: the counter counts"
    );
    assert_eq!(count(&verifier, &gets(&page)), 0, "GET, in the profile's order");
    assert_eq!(count(&verifier, &posts(&page, || Bytes::from_static(JSON))), 0, "POST, a static frame");
    assert_eq!(
        count(&verifier, &posts(&page, || Bytes::from(JSON.to_vec()))),
        0,
        "POST, a frame of the listener's own"
    );
    // As the SDK signs: `authorization` first.
    let signing_key = issuer.tool_key("geo").signing_key(&bmap_protocol::keys::TokenDigest::of(page.token.as_bytes()));
    page.key = RequestKey::token(&signing_key, &page.token).unwrap();
    assert_eq!(count(&verifier, &gets(&page)), 0, "GET, in the SDK's order");
    assert_eq!(count(&verifier, &posts(&page, || Bytes::from_static(JSON))), 0, "POST, in the SDK's order");
}

#[test]
fn what_does_take_the_heap_is_counted() {
    let issuer = TestIssuer::new();
    let (verifier, page) = (issuer.verifier(|_| {}), issuer.mint(|_| {}));
    assert!(count(&verifier, &gets(&page)[..1]) > 0, "a new token");
    let mut foreign = gets(&page).swap_remove(0);
    foreign.head.headers.append("signature", http::HeaderValue::from_static("other=:AAAA:"));
    assert!(count(&verifier, &[foreign]) > 0, "a foreign signature beside ours goes through the dictionary parser");
    assert_eq!(count(&verifier, &gets(&page)), 0);
}
