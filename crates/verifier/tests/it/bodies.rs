//! Step 10 of `verify.rs`: the body is the one that was signed.

use crate::actors::{NOW, TestIssuer, decide, get, post, set, without};
use axum::body::Body;
use http::Request;

/// A body whose length is not announced.
fn chunked(request: Request<Body>, chunks: &[&'static [u8]]) -> Request<Body> {
    let chunks: Vec<Result<&[u8], std::convert::Infallible>> = chunks.iter().map(|chunk| Ok(*chunk)).collect();
    request.map(|_| Body::from_stream(futures_util::stream::iter(chunks)))
}

#[tokio::test]
async fn r26_r27_step_10_the_body_is_the_signed_one() {
    let issuer = TestIssuer::new();
    let (verifier, page) = (issuer.verifier(|policy| policy.max_body = 100), issuer.mint(|_| {}));
    let empty = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
    let changed = post("/a", b"{\"a\":1}").sign(&page).map(|_| Body::from("{\"a\":2}"));
    assert_eq!(decide(&verifier, changed).await, Err("digest_mismatch"));
    // A body that was taken out on the way, announced or not.
    assert_eq!(decide(&verifier, post("/a", b"{}").sign(&page).map(|_| Body::empty())).await, Err("digest_mismatch"));
    assert_eq!(decide(&verifier, chunked(post("/a", b"{}").sign(&page), &[])).await, Err("digest_mismatch"));
    // A body without a digest, announced or not.
    assert_eq!(decide(&verifier, get("/a").sign(&page).map(|_| Body::from("x"))).await, Err("insufficient_coverage"));
    assert_eq!(decide(&verifier, chunked(get("/a").sign(&page), &[b"x"])).await, Err("insufficient_coverage"));
    assert_eq!(decide(&verifier, chunked(get("/a").sign(&page), &[])).await, Ok(()));
    // A digest that is right, but not covered (Kong).
    let uncovered = set(
        get("/a").sign(&page).map(|_| Body::from("x")),
        "content-digest",
        "sha-256=:LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=:",
    );
    assert_eq!(decide(&verifier, uncovered).await, Err("insufficient_coverage"));
    // A covered digest of the empty body.
    let with_empty = || {
        let authorization = format!("HTTPSig {}", page.token);
        let draft = get("/a");
        let request = bmap_protocol::sign::Request {
            method: "GET",
            authority: "geo.example",
            path: "/a",
            authorization: Some(&authorization),
            content_digest: Some(empty),
            ..Default::default()
        };
        let stamp = bmap_protocol::sign::Stamp { created: NOW.into(), nonce: draft.nonce, key_id: &page.jti };
        let signed = bmap_protocol::sign::sign(&request, &stamp, &page.key).unwrap();
        let request = set(draft.sign(&page), "content-digest", empty);
        set(set(request, "signature-input", &signed.signature_input), "signature", &signed.signature)
    };
    assert_eq!(decide(&verifier, with_empty()).await, Ok(()));
    assert_eq!(decide(&verifier, with_empty().map(|_| Body::from("x"))).await, Err("digest_mismatch"));
    // In pieces, and over the limit in pieces.
    let whole = post("/a", b"hello world").sign(&page);
    assert_eq!(decide(&verifier, chunked(whole, &[b"hello", b" ", b"world"])).await, Ok(()));
    let cut = post("/a", b"hello world").sign(&page);
    assert_eq!(decide(&verifier, chunked(cut, &[b"hello"])).await, Err("digest_mismatch"));
    let long = post("/a", &[b'x'; 101]).sign(&page);
    assert_eq!(decide(&verifier, chunked(long, &[&[b'x'; 60], &[b'x'; 60]])).await, Err("too_large"));
    let broken = post("/a", b"hello").sign(&page).map(|_| {
        Body::from_stream(futures_util::stream::iter([
            Ok::<&[u8], std::io::Error>(b"he"),
            Err(std::io::Error::other("gone")),
        ]))
    });
    assert_eq!(decide(&verifier, broken).await, Err("malformed_request"));
    // A covered digest of another algorithm.
    for (value, code) in [("sha-512=:AAAA:", "insufficient_coverage"), ("nonsense=", "malformed_request")] {
        let authorization = format!("HTTPSig {}", page.token);
        let request = bmap_protocol::sign::Request {
            method: "POST",
            authority: "geo.example",
            path: "/a",
            authorization: Some(&authorization),
            content_digest: Some(value),
            ..Default::default()
        };
        let draft = post("/a", b"x");
        let stamp = bmap_protocol::sign::Stamp { created: NOW.into(), nonce: draft.nonce, key_id: &page.jti };
        let signed = bmap_protocol::sign::sign(&request, &stamp, &page.key).unwrap();
        let request = without(set(draft.sign(&page), "content-digest", value), "content-type");
        let request = set(set(request, "signature-input", &signed.signature_input), "signature", &signed.signature);
        assert_eq!(decide(&verifier, request).await, Err(code), "{value}");
    }
}
