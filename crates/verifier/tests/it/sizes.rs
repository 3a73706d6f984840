//! Step 1: bounds on head and body.

use crate::actors::{TestIssuer, decide, get, post, set};
use http::HeaderValue;

#[tokio::test]
async fn step_1_sizes() {
    let issuer = TestIssuer::new();
    let (verifier, page) = (issuer.verifier(|policy| policy.max_body = 1000), issuer.mint(|_| {}));
    assert_eq!(decide(&verifier, post("/a", &[b'x'; 1000]).sign(&page)).await, Ok(()));
    assert_eq!(decide(&verifier, post("/a", &[b'x'; 1001]).sign(&page)).await, Err("too_large"));
    assert_eq!(decide(&verifier, set(get("/a").sign(&page), "x-long", &"x".repeat(16 << 10))).await, Err("too_large"));
    let mut many = get("/a").sign(&page);
    for _ in 0..64 {
        many.headers_mut().append("x-many", HeaderValue::from_static("1"));
    }
    assert_eq!(decide(&verifier, many).await, Err("too_large"));
}

#[tokio::test]
async fn step_1_bounds_on_the_head_are_exact() {
    let issuer = TestIssuer::new();
    let page = issuer.mint(|_| {});
    let size = |request: &http::Request<axum::body::Body>| -> usize {
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
    };
    let draft = || get("/a").sign(&page);
    let (bytes, lines) = (size(&draft()), draft().headers().len());
    for (max_head, max_headers, outcome) in
        [(bytes, lines, Ok(())), (bytes - 1, lines, Err("too_large")), (bytes, lines - 1, Err("too_large"))]
    {
        let bounded = issuer.verifier(|policy| (policy.max_head, policy.max_headers) = (max_head, max_headers));
        assert_eq!(decide(&bounded, draft()).await, outcome, "{max_head} bytes, {max_headers} lines");
    }
}
