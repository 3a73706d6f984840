//! What is signed, and what is not.

use super::*;

const STAMP: Stamp<'static> = Stamp { created: 1_764_000_000, nonce: [0; 16], key_id: "jti" };

fn key() -> RequestKey {
    RequestKey::Hmac(MacKey::from_key_bytes(&[1; 32]))
}

fn get() -> Request<'static> {
    Request { method: "GET", authority: "geo.example", path: "/v1/x", ..Request::default() }
}

#[test]
fn the_parameters_stand_in_the_profile_order() {
    let request = Request { authorization: Some("HTTPSig t"), more: &[("accept-language", "bg")], ..get() };
    let headers = sign(&request, &STAMP, &key()).unwrap();
    assert_eq!(
        headers.signature_input,
        "bmap=(\"@method\" \"@authority\" \"@path\" \"@query\" \"authorization\" \"accept-language\")\
         ;created=1764000000;nonce=\"AAAAAAAAAAAAAAAAAAAAAA\";keyid=\"jti\";tag=\"bmap-1\""
    );
    assert!(headers.signature.starts_with("bmap=:") && headers.signature.len() == 6 + 44 + 1);
}

#[test]
fn the_base_is_what_is_signed() {
    let request = Request { query: Some("q=1"), ..get() };
    let base = base(&request, &STAMP).unwrap();
    assert_eq!(
        core::str::from_utf8(&base).unwrap(),
        "\"@method\": GET\n\"@authority\": geo.example\n\"@path\": /v1/x\n\"@query\": ?q=1\n\
         \"@signature-params\": (\"@method\" \"@authority\" \"@path\" \"@query\")\
         ;created=1764000000;nonce=\"AAAAAAAAAAAAAAAAAAAAAA\";keyid=\"jti\";tag=\"bmap-1\""
    );
    let mac = base64ct::Base64::encode_string(&MacKey::from_key_bytes(&[1; 32]).mac(&base));
    assert_eq!(sign(&request, &STAMP, &key()).unwrap().signature, format!("bmap=:{mac}:"));
}

#[test]
fn what_a_verifier_refuses_is_not_signed() {
    let refused = |request: Request<'_>, stamp: Stamp<'_>| sign(&request, &stamp, &key()).unwrap_err();
    assert_eq!(refused(Request { path: "/a/../b", ..get() }, STAMP), SignError::Target(TargetFault::DotSegment));
    assert_eq!(refused(Request { query: Some("a b"), ..get() }, STAMP), SignError::Target(TargetFault::ForbiddenByte));
    assert_eq!(refused(Request { method: "GE T", ..get() }, STAMP), SignError::Value);
    assert_eq!(refused(Request { authority: "", ..get() }, STAMP), SignError::Value);
    assert_eq!(refused(Request { authorization: Some("a\nb"), ..get() }, STAMP), SignError::Value);
    assert_eq!(refused(Request { content_type: Some(" text/plain"), ..get() }, STAMP), SignError::Value);
    assert_eq!(refused(get(), Stamp { key_id: "a\"b", ..STAMP }), SignError::Value);
    for more in [&[("Accept", "x")][..], &[("@method", "x")], &[("x", "1"), ("x", "2")], &[("signature", "x")]] {
        assert_eq!(refused(Request { more, ..get() }, STAMP), SignError::Header);
    }
    let many: Vec<String> = (0..=MAX_MORE).map(|i| format!("x{i}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "1")).collect();
    assert_eq!(
        refused(
            Request {
                more: &many,
                authorization: Some("a"),
                content_type: Some("b"),
                content_encoding: Some("gzip"),
                content_digest: Some("c"),
                ..get()
            },
            STAMP
        ),
        SignError::Header
    );
}

#[test]
fn a_token_hashed_beforehand_gives_the_mac_of_the_whole_base() {
    let key = SigningKey::from_bytes([1; 32]);
    let request =
        Request { content_type: Some("text/plain"), content_digest: Some("sha-256=:x:"), query: Some("q=1"), ..get() };
    let headers = sign(&request, &STAMP, &RequestKey::token(&key, "a.b.c").unwrap()).unwrap();
    let params = headers.signature_input.strip_prefix("bmap=").unwrap();
    assert!(
        params.starts_with(
            r#"("authorization" "@method" "@authority" "@path" "@query" "content-type" "content-digest");"#
        )
    );
    let base = format!(
        "\"authorization\": HTTPSig a.b.c\n\"@method\": GET\n\"@authority\": geo.example\n\"@path\": /v1/x\n\"@query\": ?q=1\n\
         \"content-type\": text/plain\n\"content-digest\": sha-256=:x:\n\"@signature-params\": {params}"
    );
    assert_eq!(headers.signature, encode(&MacKey::new(&key).mac(base.as_bytes())));
    assert_eq!(RequestKey::token(&key, "a\nb").unwrap_err(), SignError::Value);
}

#[test]
fn decimals() {
    for number in [0, 9, 10, 1_764_000_000, u64::MAX] {
        let mut text = String::new();
        push_decimal(&mut text, number);
        assert_eq!(text, number.to_string());
    }
}
