//! Cases that only bytes on a socket can show: requests that no decent client would send, to the issuer and a tool that
//! run.

use bmap_tests::caller::{Caller, Content};
use bmap_tests::stack::{PAGE, Stack, address};
use bmap_tests::wire::{Request, send};
use serde_json::json;

/// No harm was done: both processes run, and a good request still works.
fn assert_unharmed(stack: &mut Stack, caller: &Caller, entered: u64) {
    assert_eq!(stack.entered(), entered, "a refused request entered a handler");
    assert_eq!(stack.ask_tool(&caller.search()).status, 200);
    assert_eq!(stack.ask_issuer(Request::new("GET", "/readyz", None)).status, 200);
    assert!(stack.issuer.is_running() && stack.tool.is_running());
    for said in [stack.issuer.said(), stack.tool.said()] {
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn r20_bytes_outside_ascii_are_refused_by_the_tool() {
    let mut stack = Stack::start();
    let caller = Caller::new(&stack, &stack.api_key("hmac-sha256"));
    assert_eq!(stack.ask_tool(&caller.nearby()).status, 200, "without a byte in the wrong place it works");
    let deciding = ["authorization", "content-type", "content-digest", "signature-input", "signature"];
    for byte in 0x80..=0xff_u8 {
        for name in deciding {
            for at_start in [true, false] {
                let good = caller.nearby();
                let value = good.header(name).as_bytes().to_vec();
                let value =
                    if at_start { [&[byte], value.as_slice()].concat() } else { [value.as_slice(), &[byte]].concat() };
                let answer = stack.ask_tool(&good.replace(name, value));
                assert!(matches!(answer.status, 400 | 401), "{name} with {byte:#x}: {answer:?}");
            }
        }
        for (name, value) in [
            ("host", [address(&stack.tool_url).as_bytes(), &[byte]].concat()),
            ("origin", [PAGE.as_bytes(), &[byte]].concat()),
        ] {
            let answer = stack.ask_tool(&caller.search().with(name, value));
            assert!(matches!(answer.status, 400 | 401), "{name} with {byte:#x}: {answer:?}");
        }
    }
    assert_unharmed(&mut stack, &caller, 1);
}

#[test]
fn r20_bytes_outside_ascii_are_refused_by_the_issuer() {
    let mut stack = Stack::start();
    let key = stack.api_key("hmac-sha256");
    let caller = Caller::new(&stack, &key);
    let body = json!({"tool": "places", "origin": PAGE}).to_string();
    let ticket = |name: &str, value: &[u8]| {
        Request::new("POST", "/tickets", Some(body.as_bytes()))
            .with("content-type", "application/json")
            .with(name, value)
    };
    assert_eq!(stack.ask_issuer(ticket("authorization", key.basic().as_bytes())).status, 201);
    let form = b"grant_type=client_credentials&audience=places";
    for byte in 0x80..=0xff_u8 {
        for name in ["authorization", "x-api-key", "x-api-secret", "signature-input", "signature"] {
            for value in
                [[key.basic().as_bytes(), &[byte]].concat(), [&[byte], key.basic().as_bytes()].concat(), vec![byte]]
            {
                let answer = stack.ask_issuer(ticket(name, &value));
                assert!(matches!(answer.status, 400 | 401), "{name} with {byte:#x}: {answer:?}");
            }
        }
        let form = [form.as_slice(), &[byte]].concat();
        let request = Request::new("POST", "/oauth/token", Some(&form)).with("authorization", key.basic());
        let answer = stack.ask_issuer(request.with("content-type", "application/x-www-form-urlencoded"));
        assert!(matches!(answer.status, 400 | 401), "form with {byte:#x}: {answer:?}");
    }
    assert_unharmed(&mut stack, &caller, 0);
}

#[test]
fn r20_bytes_outside_ascii_in_the_request_line_and_in_names_are_refused() {
    let mut stack = Stack::start();
    let caller = Caller::new(&stack, &stack.api_key("hmac-sha256"));
    let good = String::from_utf8(caller.search().bytes(address(&stack.tool_url))).unwrap();
    for byte in 0x80..=0xff_u8 {
        for place in ["GET", "/v1/search", "q=Sofia", "HTTP/1.1", "signature-input"] {
            let at = good.find(place).unwrap() + place.len();
            let spoiled = [&good.as_bytes()[..at], &[byte], &good.as_bytes()[at..]].concat();
            for address in [&stack.tool_url, &stack.issuer_url].map(|url| address(url)) {
                // A listener may also close without a word.
                let status = send(address, &spoiled).map(|answer| answer.status);
                assert!(matches!(status, None | Some(400 | 401 | 404 | 405)), "{byte:#x} behind {place}: {status:?}");
            }
            assert!(send(address(&stack.tool_url), &spoiled).is_none_or(|answer| matches!(answer.status, 400 | 401)));
        }
    }
    assert_unharmed(&mut stack, &caller, 0);
}

const FORWARDED: [(&str, &str); 12] = [
    ("forwarded", "for=10.0.0.1;host=evil.example;proto=https"),
    ("x-forwarded-for", "10.0.0.1"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-port", "443"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-scheme", "https"),
    ("x-forwarded-server", "evil.example"),
    ("x-forwarded-prefix", "/admin"),
    ("x-forwarded-uri", "/admin"),
    ("x-forwarded-method", "DELETE"),
    ("x-original-method", "DELETE"),
    ("x-real-ip", "10.0.0.1"),
];

#[test]
fn r08_r18_forwarded_headers_change_no_decision_of_the_tool() {
    let mut stack = Stack::start();
    let caller = Caller::new(&stack, &stack.api_key("hmac-sha256"));
    let plain = stack.ask_tool(&caller.search()).json();
    let all =
        |request: Request| FORWARDED.into_iter().fold(request, |request, (name, value)| request.with(name, value));
    assert_eq!(stack.ask_tool(&all(caller.search())).json(), plain);
    for (name, value) in FORWARDED {
        assert_eq!(stack.ask_tool(&caller.search().with(name, value)).json(), plain, "{name}");
    }
    // Some frameworks take the method or the path from these: uncovered they are refused (O11).
    for (name, value) in [
        ("x-original-url", "/admin"),
        ("x-rewrite-url", "/admin"),
        ("x-http-method", "DELETE"),
        ("x-http-method-override", "DELETE"),
        ("x-method-override", "DELETE"),
        ("x_http.method-override", "DELETE"),
    ] {
        let refused = stack.ask_tool(&caller.search().with(name, value)).refusal();
        assert_eq!(refused, (400, "malformed_request".to_owned()), "{name}");
    }
    // A request that was signed for this host, path and method is good for no other, whatever a header says that it
    // was.
    let (host, invalid) = (address(&stack.tool_url), (401, "invalid_signature".to_owned()));
    let moved = |target: &str| Request { target: target.to_owned(), ..caller.search() };
    for (request, code) in [
        (caller.search().with("host", "evil.example").with("x-forwarded-host", host), &invalid),
        (caller.search().with("host", "evil.example").with("forwarded", format!("host=\"{host}\"")), &invalid),
        (moved("/v1/search?q=Varna").with("x-forwarded-uri", "/v1/search?q=Sofia"), &invalid),
        (moved("/admin/v1/search?q=Sofia").with("x-forwarded-prefix", "/admin"), &invalid),
        (Request { method: "POST".to_owned(), ..caller.search() }.with("x-forwarded-method", "GET"), &invalid),
    ] {
        assert_eq!(&stack.ask_tool(&request).refusal(), code, "{request:?}");
    }
    // They do not help an unsigned request.
    let unsigned = all(Request::new("GET", "/v1/search?q=Sofia", None));
    assert_eq!(stack.ask_tool(&unsigned).refusal(), (401, "missing_signature".to_owned()));
    let entered = 2 + FORWARDED.len() as u64;
    assert_unharmed(&mut stack, &caller, entered);
}

#[test]
fn r09_identity_headers_of_the_caller_do_not_name_it() {
    let stack = Stack::start();
    let caller = Caller::new(&stack, &stack.api_key("hmac-sha256"));
    let plain = stack.ask_tool(&caller.search()).json();
    assert!(plain["caller"]["user"].as_str().is_some_and(|user| user.starts_with("usr_")), "{plain}");
    for name in
        ["bmap-user", "bmap_user", "x-bmap-user", "X_Bmap_User", "bmap-principal", "x-auth-user", "x-forwarded-user"]
    {
        assert_eq!(stack.ask_tool(&caller.search().with(name, "admin")).json(), plain, "{name}");
        let unsigned = Request::new("GET", "/v1/search?q=Sofia", None).with(name, "admin");
        assert_eq!(stack.ask_tool(&unsigned).refusal(), (401, "missing_signature".to_owned()), "{name}");
    }
}

#[test]
fn r13_r30_targets_that_two_readers_could_read_differently_are_refused() {
    let mut stack = Stack::start();
    let caller = Caller::new(&stack, &stack.api_key("hmac-sha256"));
    let malformed = (400, "malformed_request".to_owned());
    for target in [
        "/v1/../v1/search",
        "/v1/%2e%2e/search",
        "/v1%2fsearch",
        "/v1%5csearch",
        "/v1/search%00",
        "//v1/search",
        "/v1/./search",
        "/v1/%zz",
        "/v1/search/.",
    ] {
        let request = Request { target: format!("{target}?q=Sofia"), ..caller.search() };
        assert_eq!(stack.ask_tool(&request).refusal(), malformed, "{target}");
    }
    let (tool, host) = (stack.tool_url.clone(), address(&stack.tool_url).to_owned());
    let absolute = |url: &str| Request { target: format!("{url}/v1/search?q=Sofia"), ..caller.search() };
    // Absolute form: the same authority as `Host`, or no answer but 400.
    assert_eq!(stack.ask_tool(&absolute(&tool)).status, 200);
    assert_eq!(stack.ask_tool(&absolute("http://evil.example")).refusal(), malformed);
    assert_eq!(stack.ask_tool(&absolute(&tool).with("host", "evil.example")).refusal(), malformed);
    assert_eq!(
        stack.ask_tool(&absolute("http://evil.example").with("host", "evil.example")).refusal(),
        (401, "invalid_signature".to_owned())
    );
    let two_hosts = caller.search().with("host", &host).with("host", "evil.example");
    assert_eq!(stack.ask_tool(&two_hosts).status, 400);
    assert_unharmed(&mut stack, &caller, 1);
}

#[test]
fn r13_a_fragment_never_arrives() {
    // hyper's URI type cuts it off before a layer can see it, and so refuse it. So the verifier and the tool read the same target, and what
    // was behind the `#` is in no signature, for the sending end signs no such target.
    let mut stack = Stack::start();
    let caller = Caller::new(&stack, &stack.api_key("hmac-sha256"));
    let plain = stack.ask_tool(&caller.search()).json();
    let sent_to = |target: &str| Request { target: target.to_owned(), ..caller.search() };
    assert_eq!(stack.ask_tool(&sent_to("/v1/search?q=Sofia#/../admin")).json(), plain);
    for target in ["/v1/search#?q=Sofia", "/v1#/search?q=Sofia", "/v1/search?q=#Sofia"] {
        assert_eq!(stack.ask_tool(&sent_to(target)).refusal(), (401, "invalid_signature".to_owned()), "{target}");
    }
    assert_unharmed(&mut stack, &caller, 2);
}

#[test]
fn r24_r15_there_is_no_other_way_in() {
    let mut stack = Stack::start();
    let caller = Caller::new(&stack, &stack.api_key("hmac-sha256"));
    let signed = caller.search();
    let missing = (401, "missing_signature".to_owned());
    // The signature in the query instead of the headers.
    let in_query = format!("/v1/search?q=Sofia&Signature-Input={}&Signature={}", "bmap=()", "bmap=:AAAA:");
    let in_query = Request {
        target: in_query,
        headers: vec![("authorization".to_owned(), signed.header("authorization").into())],
        ..signed.clone()
    };
    assert_eq!(stack.ask_tool(&in_query).refusal(), missing);
    for agent in ["kube-probe/1.30", "GoogleHC/1.0", "ELB-HealthChecker/2.0"] {
        for target in ["/v1/search?q=Sofia", "/healthz", "/metrics"] {
            let probe = Request::new("GET", target, None).with("user-agent", agent);
            assert_eq!(stack.ask_tool(&probe).refusal(), missing, "{agent} {target}");
        }
    }
    // The digest in a trailer, where nothing covers it.
    let good = caller.nearby();
    let body = good.body.clone().unwrap();
    let (digest, chunk) = (
        good.header("content-digest").to_owned(),
        format!("{:x}\r\n{}\r\n0\r\n", body.len(), String::from_utf8_lossy(&body)),
    );
    let mut request = Request { body: None, ..good.clone() };
    request.headers.retain(|(name, _)| name != "content-digest");
    let request = request.with("transfer-encoding", "chunked").with("trailer", "content-digest");
    let bytes =
        [request.bytes(address(&stack.tool_url)), format!("{chunk}content-digest: {digest}\r\n\r\n").into_bytes()]
            .concat();
    assert_eq!(send(address(&stack.tool_url), &bytes).unwrap().refusal(), (401, "invalid_signature".to_owned()));
    // The same body in the same chunk, with the digest where it belongs, is let in.
    let chunked = Request { body: None, ..caller.nearby() }.with("transfer-encoding", "chunked");
    let bytes = [chunked.bytes(address(&stack.tool_url)), format!("{chunk}\r\n").into_bytes()].concat();
    assert_eq!(send(address(&stack.tool_url), &bytes).unwrap().status, 200);
    // Other methods on the same path, and an unknown path.
    for (method, target) in
        [("OPTIONS", "/v1/search?q=Sofia"), ("TRACE", "/v1/search?q=Sofia"), ("GET", "/"), ("GET", "/v1/nearby")]
    {
        assert_eq!(stack.ask_tool(&Request::new(method, target, None)).refusal(), missing, "{method} {target}");
        let signed = caller.sign(&stack.tool_url, method, target, Content::default());
        assert!(matches!(stack.ask_tool(&signed).status, 404 | 405), "{method} {target}");
    }
    assert_unharmed(&mut stack, &caller, 1);
}
