//! Hostile input grows no memory beyond the stated limits (R05, R07, T25, T26).
//!
//! A binary of its own, because it counts what the whole process allocates.

#[path = "it/actors.rs"]
#[expect(dead_code, reason = "the actors of the other tests; a few are enough here")]
mod actors;

use actors::{Draft, PageToken, TestIssuer, edit_input, get, header, now, post, set};
use allocation_counter::{AllocationInfo, measure};
use axum::body::Body;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_verifier::replay::Record;
use bmap_verifier::{
    Fresh, MemoryReplayStore, NoRevocations, Policy, Refusal, ReplayLimits, ReplayStore, ToolKeys, Verifier,
};
use futures_util::FutureExt;
use http::{HeaderValue, Request};
use std::sync::Arc;

/// The most that one refused request may take, in all, whatever it holds.
const LIMIT: u64 = 64 << 10;

/// Decides once, with the head taken apart beforehand, and measures it.
fn refused<R: ReplayStore>(verifier: &Verifier<ToolKeys, R>, request: Request<Body>) -> (&'static str, AllocationInfo) {
    let (head, body) = request.into_parts();
    let mut code = "accepted";
    let counted = measure(|| {
        if let Err(refusal) = verifier.verify(&head, body, None, &now).now_or_never().unwrap() {
            code = refusal.code().as_str();
        }
    });
    (code, counted)
}

/// A good request with a token that is this text.
fn with_token(page: &PageToken, token: &str) -> Request<Body> {
    set(get("/a").sign(page), "authorization", &format!("HTTPSig {token}"))
}

#[test]
fn r05_dots_cost_nothing() {
    let issuer = TestIssuer::new();
    let (verifier, page) = (issuer.verifier(|_| {}), issuer.mint(|_| {}));
    for dots in [15_000, 4096, 4095, 1000, 3, 2] {
        for token in
            [".".repeat(dots), format!("{}{}", &page.token[..100], ".".repeat(dots)), "e30.".repeat(dots.min(3700))]
        {
            let (code, counted) = refused(&verifier, with_token(&page, &token));
            assert!(["invalid_token", "invalid_signature"].contains(&code), "{code}");
            assert!(counted.bytes_total < LIMIT, "{dots} dots: {} bytes", counted.bytes_total);
        }
    }
    let (code, counted) = refused(&verifier, with_token(&page, &".".repeat(16 << 10)));
    assert_eq!((code, counted.bytes_total), ("too_large", 0));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long it takes is what is tested")]
fn r05_dots_take_no_time() {
    let issuer = TestIssuer::new();
    let (verifier, page) = (issuer.verifier(|_| {}), issuer.mint(|_| {}));
    let head = with_token(&page, &".".repeat(15_000)).into_parts().0;
    let began = std::time::Instant::now();
    for _ in 0..1000 {
        assert!(verifier.verify(&head, Body::empty(), None, &now).now_or_never().unwrap().is_err());
    }
    assert!(began.elapsed().as_millis() < 1000, "1 ms each is the limit: {:?} for 1000", began.elapsed());
}

#[test]
fn r07_a_long_kid_costs_its_own_length_at_most() {
    let issuer = TestIssuer::new();
    let verifier = issuer.verifier(|_| {});
    let page = issuer.mint(|_| {});
    let (_, rest) = page.token.split_once('.').unwrap();
    for length in [80, 1024, 2000, 4096] {
        let kid = "k".repeat(length);
        let header = format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{kid}"}}"#);
        let token = format!("{}.{rest}", Base64UrlUnpadded::encode_string(header.as_bytes()));
        // By a caller without the tool's key, and by one that has it: only then is the token's header read.
        let (code, counted) = refused(&verifier, with_token(&page, &token));
        assert!(["invalid_signature", "invalid_token"].contains(&code), "{code}");
        assert!(counted.bytes_total < LIMIT, "{length}: {}", counted.bytes_total);
        let insider = issuer.hand_over("geo", token, page.jti.clone());
        let (code, counted) = refused(&verifier, get("/a").sign(&insider));
        assert_eq!(code, "invalid_token");
        assert!(counted.bytes_total < LIMIT, "{length}: {}", counted.bytes_total);
    }
}

#[test]
fn t25_thousands_of_parameters_components_and_members_cost_nothing() {
    let issuer = TestIssuer::new();
    let (verifier, page) = (issuer.verifier(|_| {}), issuer.mint(|_| {}));
    let many = |piece: &dyn Fn(usize) -> String, count: usize| (0..count).map(piece).collect::<String>();
    let good = || get("/a").sign(&page);
    let input = |inserted: String| edit_input(good(), ";tag=", &format!("{inserted};tag="));
    // The token is known: what stays of a good one is not what is asked.
    assert_eq!(refused(&verifier, good()).0, "accepted");
    for (what, code, request) in [
        ("4096 parameters", "too_large", input(many(&|i| format!(";p{i}=1"), 4096))),
        ("4096 short parameters", "malformed_signature", input(";a".repeat(4096))),
        ("as many as fit", "invalid_signature", input(";a".repeat(1800))),
        ("different ones, as many as fit", "invalid_signature", input(many(&|i| format!(";a{i:x}"), 700))),
        ("a long parameter", "invalid_signature", input(format!(";a=\"{}\"", "x".repeat(3500)))),
        (
            "many components",
            "malformed_signature",
            edit_input(good(), "\"@method\"", &format!("\"@method\"{}", many(&|i| format!(" \"a{i}\""), 400))),
        ),
        (
            "many members",
            "malformed_signature",
            edit_input(good(), "bmap=", &format!("{}bmap=", many(&|i| format!("a{i}=(), "), 400))),
        ),
        ("many signatures", "malformed_signature", set(good(), "signature", &many(&|i| format!("a{i}=:AAAA:, "), 300))),
        ("a long signature", "malformed_signature", set(good(), "signature", &format!("bmap=:{}:", "A".repeat(4000)))),
        ("many digests, signed by a caller with a key", "digest_mismatch", signed_over_many_digests(&page)),
    ] {
        let (found, counted) = refused(&verifier, request);
        assert_eq!(found, code, "{what}");
        assert!(counted.bytes_total < LIMIT, "{what}: {}", counted.bytes_total);
        assert!(counted.bytes_current <= 0, "{what} stays");
    }
}

/// A request of a sender with a key, whose covered `Content-Digest` has hundreds of members and a wrong `sha-256`.
fn signed_over_many_digests(page: &PageToken) -> Request<Body> {
    let members: String = (0..700).map(|i| format!("a{i}=:AAAA:, ")).collect();
    let digest = format!("{members}sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:");
    let draft = post("/a", b"{}");
    let authorization = format!("HTTPSig {}", page.token);
    let request = bmap_protocol::sign::Request {
        method: "POST",
        authority: "geo.example",
        path: "/a",
        authorization: Some(&authorization),
        content_type: Some("application/json"),
        content_digest: Some(&digest),
        ..Default::default()
    };
    let stamp = bmap_protocol::sign::Stamp { created: draft.created, nonce: draft.nonce, key_id: &page.jti };
    let signed = bmap_protocol::sign::sign(&request, &stamp, &page.key).unwrap();
    let request = set(draft.sign(page), "content-digest", &digest);
    set(set(request, "signature-input", &signed.signature_input), "signature", &signed.signature)
}

/// A replay store that can be looked into while a verifier has it.
#[derive(Clone)]
struct Seen(Arc<MemoryReplayStore>);

impl ReplayStore for Seen {
    async fn record(&self, record: Record, fresh: Fresh) -> Result<(), Refusal> {
        self.0.record_now(&record, fresh.at().seconds())
    }

    fn forgot_until(&self) -> Option<i64> {
        self.0.forgot_until()
    }
}

fn verifier_and_store(issuer: &TestIssuer) -> (Verifier<ToolKeys, Seen>, Seen) {
    let (credential, policy) = (issuer.credential("geo"), Policy::default());
    let limits = ReplayLimits { entries: 4096, per_key: 1024 };
    let seen = Seen(Arc::new(MemoryReplayStore::new(limits, policy.window, now().seconds() - 1000)));
    let keys = ToolKeys::new(credential.tool, credential.epochs);
    let (own, issuer_keys) = (credential.own, credential.issuer_keys);
    (Verifier::new(credential.issuer, issuer_keys, own, policy, keys, seen.clone(), NoRevocations), seen)
}

/// The `number`-th of many requests by a caller without a key, each spoiled in another way.
fn garbage(issuer: &TestIssuer, page: &PageToken, number: usize) -> Request<Body> {
    let good = Draft { method: "POST", body: number.to_be_bytes().to_vec(), ..get("/a") }.sign(page);
    let forged_mac = "bmap=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:";
    match number % 6 {
        0 => set(good, "signature", forged_mac),
        // A token of their own making, signed with a key that is not the tool's.
        1 => get("/a").sign(&issuer.hand_over(
            "router",
            format!("{number}.{number}.{number}"),
            "AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        )),
        2 => {
            let nonce = header(&good, "signature-input").replacen("nonce=\"", "nonce=\"A", 1);
            set(good, "signature-input", &nonce)
        }
        3 => set(good, "content-digest", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"),
        4 => with_token(page, &".".repeat(number % 4000)),
        _ => {
            let mut request = good;
            request.headers_mut().insert(
                "signature-input",
                HeaderValue::from_bytes(&[0x80, 0xff, b'"', (number % 100) as u8 | 0x80]).unwrap(),
            );
            request
        }
    }
}

#[test]
fn t26_ten_thousand_garbage_requests_leave_nothing_behind() {
    let issuer = TestIssuer::new();
    let ((verifier, seen), page) = (verifier_and_store(&issuer), issuer.mint(|_| {}));
    let throw = |number: usize| {
        let (head, body) = garbage(&issuer, &page, number).into_parts();
        assert!(verifier.verify(&head, body, None, &now).now_or_never().unwrap().is_err(), "{number}");
    };
    // Memory that a process sets up once is not counted.
    (0..60).for_each(throw);
    let counted = measure(|| (0..10_000).for_each(throw));
    // An entry in the cache of tokens would be a kilobyte that stays.
    assert_eq!(counted.bytes_current, 0, "of {} bytes in all", counted.bytes_total);
    assert!(seen.0.is_empty());
    // The same count sees what a good request leaves: an entry each.
    let (head, body) = get("/a").sign(&page).into_parts();
    let counted = measure(|| assert!(verifier.verify(&head, body, None, &now).now_or_never().unwrap().is_ok()));
    assert!(counted.bytes_current > 500, "a known token");
    assert_eq!(seen.0.len(), 1);
}
