//! Each step of `verify.rs`: spoil this, expect that code.

use crate::actors::{
    Draft, NOW, PAGE, TestIssuer, decide, decide_at, edit_input, get, header, now, post, set, without,
};
use axum::body::Body;
use bmap_verifier::{AllowedOrigins, PeerAddress, Rate, ReplayLimits, UnixTime};
use http::HeaderValue;
use serde_json::json;

#[tokio::test]
async fn a_page_and_a_tool() {
    let issuer = TestIssuer::new();
    let (verifier, page) = (issuer.verifier(|_| {}), issuer.mint(|_| {}));
    for draft in [
        get("/v1/search?q=Sofia"),
        get("/"),
        get("/x?"),
        post("/v1/nearby", b"{}"),
        Draft { method: "DELETE", ..get("/a") },
    ] {
        assert_eq!(decide(&verifier, draft.sign(&page)).await, Ok(()));
    }
    let (head, body) = get("/v1/search").sign(&page).into_parts();
    let (verified, _) = verifier.verify(&head, body, None, &now).await.unwrap();
    assert_eq!(verified.origin().unwrap().as_str(), PAGE);
    assert_eq!(verified.subject(), "usr_0192f0c1a7e27c3c9f60b2b4b1c7a001");
    assert!(verified.has_scope("route") && !verified.has_scope("rout"));
    assert_eq!(verified.end_user(), None);
    let named = issuer.mint(|claims| claims["end_user"] = json!("visitor-7"));
    let (head, body) = get("/v1/search").sign(&named).into_parts();
    assert_eq!(verifier.verify(&head, body, None, &now).await.unwrap().0.end_user(), Some("visitor-7"));
}

#[tokio::test]
async fn r13_step_2_request_targets() {
    let issuer = TestIssuer::new();
    let (verifier, page) = (issuer.verifier(|_| {}), issuer.mint(|_| {}));
    for target in ["/a/../b", "/a%2fb", "/a%5cb", "/a%00", "/api%2e/x", "//x", "/%zz", "/a/./b"] {
        let mut request = get("/plain").sign(&page);
        *request.uri_mut() = target.parse().unwrap();
        assert_eq!(decide(&verifier, request).await, Err("malformed_request"), "{target}");
    }
}

#[tokio::test]
async fn step_3_parsing() {
    let issuer = TestIssuer::new();
    let (verifier, page) = (issuer.verifier(|_| {}), issuer.mint(|_| {}));
    let good = || get("/a").sign(&page);
    let unsigned = without(without(good(), "signature"), "signature-input");
    assert_eq!(decide(&verifier, unsigned).await, Err("missing_signature"));
    assert_eq!(decide(&verifier, without(good(), "signature-input")).await, Err("missing_signature"));
    assert_eq!(decide(&verifier, without(good(), "signature")).await, Err("malformed_signature"));
    assert_eq!(decide(&verifier, edit_input(good(), "bmap-1", "bmap-2")).await, Err("missing_signature"));
    assert_eq!(decide(&verifier, set(good(), "signature", "bmap=:AAAA")).await, Err("malformed_signature"));
    assert_eq!(decide(&verifier, set(good(), "signature", "other=:AAAA:")).await, Err("malformed_signature"));
    for (from, to) in [
        ("bmap=(", "bmap=\"("),
        (";created=", ";alg=\"hmac-sha256\";created="),
        (";created=1764000000", ""),
        (";created=1764000000", ";created=\"1764000000\""),
        (";created=1764000000", ";created=1764000000.5"),
        (";created=1764000000", ";created=1764000000;created=1764000000"),
        (";tag=", ";nonce=\"AAAAAAAAAAAAAAAAAAAAAA\";tag="),
        ("\"@method\"", "\"@method\";req"),
        ("\"@method\"", "\"@method\" \"@method\""),
        ("\"@method\"", "\"@method\" \"@query-param\""),
        ("\"@method\"", "\"@Method\""),
        ("\"@method\"", "method"),
        ("\"authorization\"", "\"Authorization\""),
        (";keyid=\"", ";keyid=\"../../"),
        (";keyid=\"", ";keyid=\"' OR 1=1--"),
        (";keyid=\"", &format!(";keyid=\"{}", "A".repeat(59))), // with the 22 of a token's, one too many
    ] {
        assert_eq!(decide(&verifier, edit_input(good(), from, to)).await, Err("malformed_signature"), "{to}");
    }
    // A second signature with our tag, and too many foreign ones.
    let input = header(&good(), "signature-input");
    let second = format!("{input}, {}", input.replacen("bmap=", "b=", 1));
    assert_eq!(decide(&verifier, set(good(), "signature-input", &second)).await, Err("malformed_signature"));
    let twice = format!("{input}, {input}");
    assert_eq!(decide(&verifier, set(good(), "signature-input", &twice)).await, Err("malformed_signature"));
    let foreign = |count: usize| (0..count).map(|i| format!(", f{i}=(\"x\");tag=\"f\"")).collect::<String>();
    let four = format!("{input}{}", foreign(4));
    assert_eq!(decide(&verifier, set(good(), "signature-input", &four)).await, Err("malformed_signature"));
    let long = format!("{input}, f=(\"{}\")", "x".repeat(5000));
    assert_eq!(decide(&verifier, set(good(), "signature-input", &long)).await, Err("malformed_signature"));
    // Headers that decide something stand once, in plain text.
    for name in ["authorization", "host", "origin"] {
        let mut request = good();
        let value = request.headers()[name].clone();
        request.headers_mut().append(name, value);
        assert_eq!(decide(&verifier, request).await, Err("malformed_request"), "{name}");
        assert_eq!(decide(&verifier, set(good(), name, "\u{e9}")).await, Err("malformed_request"), "{name}");
    }
    assert_eq!(decide(&verifier, without(good(), "host")).await, Err("malformed_request"));
    for authorization in ["HTTPSig", "Bearer abc", "HTTPSig a.b", "HTTPSig  x"] {
        assert_eq!(
            decide(&verifier, set(good(), "authorization", authorization)).await,
            Err("invalid_token"),
            "{authorization}"
        );
    }
}

#[tokio::test]
async fn three_foreign_signatures_in_any_place_are_ignored() {
    let issuer = TestIssuer::new();
    let (verifier, page) = (issuer.verifier(|_| {}), issuer.mint(|_| {}));
    let request = get("/a").sign(&page);
    let (input, signature) = (header(&request, "signature-input"), header(&request, "signature"));
    let mixed = format!("f1=(\"@status\";req \"x\");alg=\"x\";created=\"y\" , {input} \t,\t f2=(), f3=1;tag=\"z\"");
    let request = set(request, "signature-input", &mixed);
    let request = set(request, "signature", &format!("f1=:AA==:, {signature}, f2=:AAAA:"));
    assert_eq!(decide(&verifier, request).await, Ok(()));
    // On lines of their own, too.
    let mut request = get("/b").sign(&page);
    request.headers_mut().append("signature-input", HeaderValue::from_static("f1=(\"x\")"));
    request.headers_mut().append("signature", HeaderValue::from_static("f1=:AAAA:"));
    assert_eq!(decide(&verifier, request).await, Ok(()));
}

#[tokio::test]
async fn step_4_time_window_at_its_edges() {
    let issuer = TestIssuer::new();
    let (verifier, page) = (issuer.verifier(|_| {}), issuer.mint(|_| {}));
    for (age, outcome) in [(-6, Err("clock_skew")), (-5, Ok(())), (0, Ok(())), (60, Ok(())), (61, Err("clock_skew"))] {
        let draft = Draft { created: (i64::from(NOW) - age).cast_unsigned(), ..get("/a") };
        assert_eq!(decide(&verifier, draft.sign(&page)).await, outcome, "{age}");
    }
    for (expires, outcome) in [(NOW - 1, Err("clock_skew")), (NOW, Err("clock_skew"))] {
        let request = edit_input(get("/a").sign(&page), ";nonce=", &format!(";expires={expires};nonce="));
        assert_eq!(decide(&verifier, request).await, outcome);
    }
}

#[tokio::test]
async fn r30_created_outside_all_reason_is_no_panic() {
    let issuer = TestIssuer::new();
    let (verifier, page) = (issuer.verifier(|_| {}), issuer.mint(|_| {}));
    for (created, code) in [
        ("-1", "clock_skew"),
        ("-999999999999999", "clock_skew"),
        ("999999999999999", "clock_skew"),
        ("9223372036854775807", "malformed_signature"),
        ("1.5", "malformed_signature"),
        ("\"1\"", "malformed_signature"),
        ("?1", "malformed_signature"),
        ("1e9", "malformed_signature"),
    ] {
        let request = edit_input(get("/a").sign(&page), "created=1764000000", &format!("created={created}"));
        assert_eq!(decide(&verifier, request).await, Err(code), "{created}");
    }
    let swapped = set(get("/a").sign(&page), "host", "evil.example");
    assert_eq!(decide(&verifier, swapped).await, Err("invalid_signature"));
    let mut absolute = get("/a").sign(&page);
    *absolute.uri_mut() = "https://evil.example/a".parse().unwrap();
    assert_eq!(decide(&verifier, absolute).await, Err("malformed_request"));
}

#[tokio::test]
async fn f08_what_may_have_been_accepted_before_the_start_is_refused_and_the_answer_says_for_how_long() {
    let issuer = TestIssuer::new();
    let page = issuer.mint(|_| {});
    let start = || bmap_verifier::Verifier::from_credential(issuer.credential("geo"), now());
    // Signed up to 5 s ahead, it may have been let in by a process that ended a moment ago.
    for ahead in 0..=5 {
        let (verifier, draft) = (start(), Draft { created: u64::from(NOW) + ahead, ..get("/a") });
        for later in ahead.saturating_sub(5)..=60 + ahead {
            let at = UnixTime::from_seconds(NOW + u32::try_from(later).unwrap());
            let (head, body) = draft.sign(&page).into_parts();
            let refusal = verifier.verify(&head, body, None, &move || at).await.unwrap_err();
            assert_eq!(refusal.code().as_str(), "replay_store_unavailable", "{ahead} s ahead, {later} s later");
            assert_eq!(refusal.retry_after(), Some(u32::try_from(6 - ahead).unwrap()));
        }
    }
    let later = Draft { created: u64::from(NOW) + 6, ..get("/a") };
    assert_eq!(decide_at(&start(), later.sign(&page), UnixTime::from_seconds(NOW + 1)).await, Ok(()));
}

#[tokio::test]
async fn t22_a_clock_that_goes_back_is_not_believed() {
    let issuer = TestIssuer::new();
    let (verifier, page) = (issuer.verifier(|_| {}), issuer.mint(|_| {}));
    assert_eq!(decide(&verifier, get("/a").sign(&page)).await, Ok(()));
    let at = |seconds: u32| {
        let draft = Draft { created: seconds.into(), ..get("/a") };
        decide_at(&verifier, draft.sign(&page), UnixTime::from_seconds(seconds))
    };
    assert_eq!(at(NOW - 5).await, Ok(()));
    assert_eq!(at(NOW - 6).await, Err("clock_unreliable"));
    assert_eq!(at(NOW + 1).await, Ok(()));
}

#[tokio::test]
async fn step_5_coverage() {
    let issuer = TestIssuer::new();
    let (verifier, page) = (issuer.verifier(|_| {}), issuer.mint(|_| {}));
    for component in ["\"@method\" ", "\"@authority\" ", "\"@path\" ", "\"@query\" ", " \"authorization\""] {
        let request = edit_input(get("/a").sign(&page), component, "");
        assert_eq!(decide(&verifier, request).await, Err("insufficient_coverage"), "{component}");
    }
    for component in [" \"content-digest\"", " \"content-type\""] {
        let request = edit_input(post("/a", b"{}").sign(&page), component, "");
        assert_eq!(decide(&verifier, request).await, Err("insufficient_coverage"), "{component}");
    }
}

#[tokio::test]
async fn o11_what_gives_a_request_another_meaning_is_covered_or_refused() {
    let issuer = TestIssuer::new();
    let (verifier, page) = (issuer.verifier(|_| {}), issuer.mint(|_| {}));
    for name in ["x-http-method-override", "x_original_url", "x.rewrite.url", "x-http_method", "x-method-override"] {
        for request in [get("/a").sign(&page), post("/a", b"{}").sign(&page)] {
            assert_eq!(decide(&verifier, set(request, name, "DELETE")).await, Err("malformed_request"), "{name}");
        }
    }
    let packed = set(post("/a", b"{}").sign(&page), "content-encoding", "gzip");
    assert_eq!(decide(&verifier, packed).await, Err("insufficient_coverage"));
    // Without a body the header describes nothing.
    assert_eq!(decide(&verifier, set(get("/a").sign(&page), "content-encoding", "gzip")).await, Ok(()));
}

#[tokio::test]
async fn step_6_and_r35_every_signed_thing_counts() {
    let issuer = TestIssuer::new();
    let (verifier, page) = (issuer.verifier(|_| {}), issuer.mint(|_| {}));
    let good = || post("/v1/a?b=1", b"{}").sign(&page);
    let moved = |target: &str| {
        let mut request = good();
        *request.uri_mut() = target.parse().unwrap();
        request
    };
    let mut put = good();
    *put.method_mut() = http::Method::PUT;
    let other_token = format!("HTTPSig {}", issuer.mint(|_| {}).token);
    for (what, request) in [
        ("method", put),
        ("path", moved("/v1/b?b=1")),
        ("query", moved("/v1/a?b=2")),
        ("no query", moved("/v1/a")),
        ("authorization", set(good(), "authorization", &other_token)),
        ("content-type", set(good(), "content-type", "text/plain")),
        ("content-digest", set(good(), "content-digest", "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:")),
        ("absent header", without(good(), "content-digest")),
        // R35: each parameter, their order, and the order of the components are in the base.
        ("created", edit_input(good(), "created=1764000000", "created=1764000001")),
        ("nonce", edit_input(good(), "nonce=\"A", "nonce=\"B")),
        ("keyid", edit_input(good(), "keyid=\"", "keyid=\"A")),
        ("unknown parameter", edit_input(good(), ";tag=", ";x=1;tag=")),
        ("expires", edit_input(good(), ";nonce=", ";expires=1764000050;nonce=")),
        ("order of parameters", {
            let input = header(&good(), "signature-input");
            let (list, rest) = input.split_once(";created=1764000000").unwrap();
            set(good(), "signature-input", &format!("{list}{rest};created=1764000000"))
        }),
        ("order of components", edit_input(good(), "\"@method\" \"@authority\"", "\"@authority\" \"@method\"")),
        ("signature", set(good(), "signature", "bmap=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:")),
        ("short signature", set(good(), "signature", "bmap=:AAAA:")),
        ("empty signature", set(good(), "signature", "bmap=::")),
    ] {
        assert_eq!(decide(&verifier, request).await, Err("invalid_signature"), "{what}");
    }
    assert_eq!(decide(&verifier, good()).await, Ok(()));
    // The key of a token for another tool.
    let other = issuer.hand_over("router", page.token.clone(), page.jti.clone());
    assert_eq!(decide(&verifier, get("/a").sign(&other)).await, Err("invalid_signature"));
    // An API key, at a tool's own verifier.
    let mut api = get("/a").sign(&page);
    api.headers_mut().remove("authorization");
    let api = edit_input(edit_input(api, " \"authorization\"", ""), &page.jti, "bmk_0192f0c1a7e27c3c9f60b2b4b1c7a0ff");
    assert_eq!(decide(&verifier, api).await, Err("invalid_signature"));
}

#[tokio::test]
async fn step_9_origin_assurance_scope() {
    let issuer = TestIssuer::new();
    let verifier = issuer.verifier(|_| {});
    let page = issuer.mint(|_| {});
    let from = |origin: Option<&'static str>| Draft { origin, ..get("/a") };
    for origin in [
        None,
        Some("https://evil.example"),
        Some("null"),
        Some("https://shop.example:443"),
        Some("HTTPS://shop.example"),
        Some("https://shop.example."),
    ] {
        assert_eq!(decide(&verifier, from(origin).sign(&page)).await, Err("origin_denied"), "{origin:?}");
    }
    // No `Origin` where page and tool share theirs: browsers leave it out.
    let own_page = issuer.mint(|claims| claims["origin"] = json!("https://geo.example"));
    assert_eq!(decide(&verifier, from(None).sign(&own_page)).await, Ok(()));
    // A direct token has no origin and is not for pages.
    let direct = issuer.mint(|claims| {
        claims.as_object_mut().unwrap().remove("origin");
    });
    assert_eq!(decide(&verifier, from(None).sign(&direct)).await, Ok(()));
    assert_eq!(decide(&verifier, from(Some(PAGE)).sign(&direct)).await, Err("origin_denied"));
    // A tool with a list of its own.
    let listed = issuer.verifier(|policy| {
        policy.origins = AllowedOrigins::These(["https://other.example".parse().unwrap()].into());
    });
    assert_eq!(decide(&listed, from(Some(PAGE)).sign(&page)).await, Err("origin_denied"));
    for (asr, outcome) in [("origin", Err("assurance_too_low")), ("user", Ok(())), ("server", Ok(()))] {
        let strict = issuer.verifier(|policy| policy.min_assurance = bmap_protocol::token::Assurance::User);
        let page = issuer.mint(|claims| claims["asr"] = json!(asr));
        assert_eq!(decide(&strict, get("/a").sign(&page)).await, outcome, "{asr}");
    }
}

#[tokio::test]
async fn r29_step_11_once() {
    let issuer = TestIssuer::new();
    let (verifier, page) = (issuer.verifier(|_| {}), issuer.mint(|_| {}));
    let draft = get("/a");
    assert_eq!(decide(&verifier, draft.sign(&page)).await, Ok(()));
    assert_eq!(decide(&verifier, draft.sign(&page)).await, Err("replayed"));
    // The nonce is what is remembered, whatever it is used for a second time.
    let again = Draft { created: u64::from(NOW) - 1, nonce: draft.nonce, ..get("/other") };
    assert_eq!(decide(&verifier, again.sign(&page)).await, Err("replayed"));
    // Another token's nonces are its own.
    assert_eq!(decide(&verifier, draft.sign(&issuer.mint(|_| {}))).await, Ok(()));
    // A stale `created` beside a fresh `Date` stays stale.
    let stale = Draft { created: u64::from(NOW) - 61, ..get("/a") };
    let stale = set(stale.sign(&page), "date", "Mon, 24 Nov 2025 16:00:00 GMT");
    assert_eq!(decide(&verifier, stale).await, Err("clock_skew"));
}

#[tokio::test]
async fn what_is_refused_uses_up_no_nonce() {
    let issuer = TestIssuer::new();
    let (verifier, page) = (issuer.verifier(|_| {}), issuer.mint(|_| {}));
    let draft = post("/a", b"{}");
    assert_eq!(decide(&verifier, draft.sign(&page).map(|_| Body::from("[]"))).await, Err("digest_mismatch"));
    assert_eq!(decide(&verifier, draft.sign(&page)).await, Ok(()));
}

#[tokio::test]
async fn t26_full_is_503_and_a_heavy_user_is_429_first() {
    let issuer = TestIssuer::new();
    let verifier = issuer.verifier_with(ReplayLimits { entries: 4096, per_key: 10 }, |_| {});
    let page = issuer.mint(|_| {});
    for _ in 0..10 {
        assert_eq!(decide(&verifier, get("/a").sign(&page)).await, Ok(()));
    }
    assert_eq!(decide(&verifier, get("/a").sign(&page)).await, Err("rate_limited"));
    assert_eq!(decide(&verifier, get("/a").sign(&issuer.mint(|_| {}))).await, Ok(()));
    let tiny = issuer.verifier_with(ReplayLimits { entries: 1, per_key: 10 }, |_| {});
    let mut outcome = Ok(());
    for _ in 0..64 {
        outcome = outcome.and(decide(&tiny, get("/a").sign(&issuer.mint(|_| {}))).await);
    }
    assert_eq!(outcome, Err("replay_store_unavailable"));
}

#[tokio::test]
async fn step_12_addresses_and_rate() {
    let issuer = TestIssuer::new();
    let page = issuer.mint(|_| {});
    let verifier = issuer.verifier(|policy| policy.allowed_ips = vec!["10.0.0.0/8".parse().unwrap()]);
    let from = |address: &str| {
        let mut request = get("/a").sign(&page);
        request.extensions_mut().insert(PeerAddress(address.parse().unwrap()));
        request
    };
    assert_eq!(decide(&verifier, from("10.1.2.3")).await, Ok(()));
    assert_eq!(decide(&verifier, from("11.1.2.3")).await, Err("ip_denied"));
    assert_eq!(decide(&verifier, get("/a").sign(&page)).await, Err("ip_denied"));
    // A forwarded address counts for nothing (R08).
    let spoofed = set(from("11.1.2.3"), "x-forwarded-for", "10.1.2.3");
    assert_eq!(decide(&verifier, spoofed).await, Err("ip_denied"));

    let verifier = issuer.verifier(|policy| policy.rate = Some(Rate { per_second: 2, burst: 3 }));
    for _ in 0..3 {
        assert_eq!(decide(&verifier, get("/a").sign(&page)).await, Ok(()));
    }
    assert_eq!(decide(&verifier, get("/a").sign(&page)).await, Err("rate_limited"));
    let later = UnixTime::from_millis(now().millis() + 500);
    assert_eq!(decide_at(&verifier, get("/a").sign(&page), later).await, Ok(()));
    assert_eq!(decide_at(&verifier, get("/a").sign(&page), later).await, Err("rate_limited"));
}

#[tokio::test]
async fn r08_forwarded_headers_change_nothing() {
    let issuer = TestIssuer::new();
    let (verifier, page) = (issuer.verifier(|_| {}), issuer.mint(|_| {}));
    for (name, value) in [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-uri", "/admin"),
        ("x-forwarded-prefix", "/admin"),
        ("x-forwarded-method", "DELETE"),
        ("forwarded", "host=evil.example;proto=http"),
        ("x-real-ip", "10.0.0.1"),
    ] {
        assert_eq!(decide(&verifier, set(get("/a").sign(&page), name, value)).await, Ok(()), "{name}");
        let swapped = set(set(get("/a").sign(&page), "host", "evil.example"), name, "geo.example");
        assert_eq!(decide(&verifier, swapped).await, Err("invalid_signature"), "{name}");
    }
}

#[tokio::test]
async fn two_hundred_copies_at_once_let_one_in() {
    let issuer = TestIssuer::new();
    let (verifier, page) = (std::sync::Arc::new(issuer.verifier(|_| {})), issuer.mint(|_| {}));
    let draft = get("/a");
    let copies = (0..200).map(|_| {
        let (verifier, request) = (verifier.clone(), draft.sign(&page));
        std::thread::spawn(move || {
            let (head, body) = request.into_parts();
            futures_util::FutureExt::now_or_never(verifier.verify(&head, body, None, &now)).unwrap().is_ok()
        })
    });
    let copies: Vec<_> = copies.collect();
    assert_eq!(copies.into_iter().map(|copy| copy.join().unwrap()).filter(|let_in| *let_in).count(), 1);
}

#[tokio::test]
async fn what_the_address_alone_decides_comes_before_everything() {
    let issuer = TestIssuer::new();
    let (verifier, page) =
        (issuer.verifier(|policy| policy.allowed_ips = vec!["10.0.0.0/8".parse().unwrap()]), issuer.mint(|_| {}));
    let draft = get("/a");
    // Not even sizes and form are looked at.
    let large = set(draft.sign(&page), "x-large", &"x".repeat(20_000));
    assert_eq!(decide(&verifier, large).await, Err("ip_denied"));
    assert_eq!(decide(&verifier, without(draft.sign(&page), "signature")).await, Err("ip_denied"));
    let mut allowed = draft.sign(&page);
    allowed.extensions_mut().insert(bmap_verifier::PeerAddress("10.1.2.3".parse().unwrap()));
    assert_eq!(decide(&verifier, allowed).await, Ok(()), "and no nonce was used up");
}
