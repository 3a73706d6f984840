//! A request's head, and its body, to a verdict: no panic, and nothing is accepted but what a known answer's signature covers.
#![no_main]

use bmap_fuzz::{CASES, decide, request, text, unhex, verifier};
use bmap_protocol::check::{Received, base};
use bmap_protocol::fields::Fields;
use bmap_protocol::received::UnverifiedSignature;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((head, body)) = request(input) else { return };
    let accepted = match decide(&verifier(), &head, &body) {
        Ok((_, accepted)) => accepted,
        Err(refusal) => {
            let code = refusal.code();
            assert!(matches!(code.status(), 400..=503), "{code:?}");
            return;
        }
    };
    assert_eq!(accepted, body, "the tool gets the bytes that were verified");
    // The fuzzer has no key: what was accepted is what a case of the vectors signs, read here without a fast path. Some of those
    // are refused for what they leave out, and good where the header that they leave out is not sent.
    let fields = Fields::of(&head.headers);
    let signature = UnverifiedSignature::parse_slowly(&fields).unwrap();
    let host =
        head.uri.authority().map_or_else(|| fields.all()["host"].to_str().unwrap(), |authority| authority.as_str());
    let authority = host.to_ascii_lowercase();
    let received = Received {
        method: head.method.as_str(),
        scheme: "https",
        authority: authority.strip_suffix(":443").unwrap_or(&authority),
        path: head.uri.path(),
        query: head.uri.query(),
        fields: &fields,
    };
    let rebuilt = base(&received, &signature).unwrap();
    let known = CASES.iter().find(|case| text(case, "signature_base").as_bytes() == rebuilt);
    let known = known.unwrap_or_else(|| panic!("accepted without a key: {}", String::from_utf8_lossy(&rebuilt)));
    assert_eq!(unhex(text(known, "body_hex")), body, "another body");
});
