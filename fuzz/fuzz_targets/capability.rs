//! Capability URLs: the parameter is taken off whole and none is left behind; text that was not sealed never opens; what opens says what was sealed.
#![no_main]

use arbitrary::Arbitrary;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_fuzz::{KEYS, text};
use bmap_protocol::capability::{self, CapabilityMac};
use bmap_protocol::ids::{Issuer, ToolId};
use bmap_protocol::keys::{CapabilityKey, MacKey};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    query: &'a str,
    foreign: &'a str,
    payload: &'a str,
    at: usize,
    to: u8,
}

fuzz_target!(|input: Input<'_>| {
    query(input.query);
    query(&format!("{}&bmap-cap={}", input.query, input.foreign));
    let (issuer, tool) = (Issuer::parse(text(&KEYS, "issuer")).unwrap(), ToolId::parse(text(&KEYS, "tool")).unwrap());
    // A key that seals nothing here: the fuzzer sees what is compared, and would learn a sealed text.
    let unused = CapabilityMac::new(&CapabilityKey::from_bytes([7; 32]));
    for foreign in [input.foreign.to_owned(), format!("bmc1.{}", input.foreign)] {
        assert!(unused.open(&foreign, &issuer, &tool, 7).is_err());
    }
    let signed = format!("bmc1.{}", Base64UrlUnpadded::encode_string(input.payload.as_bytes()));
    let mac = MacKey::from_key_bytes(&[9; 32]).mac(signed.as_bytes());
    let sealed = format!("{signed}.{}", Base64UrlUnpadded::encode_string(&mac));
    let key = CapabilityMac::new(&CapabilityKey::from_bytes([9; 32]));
    let mut changed = sealed.clone().into_bytes();
    let at = input.at % changed.len();
    changed[at] = input.to;
    if let Ok(changed) = String::from_utf8(changed)
        && changed != sealed
    {
        assert!(key.open(&changed, &issuer, &tool, 7).is_err(), "{changed} opens as {sealed}");
    }
    let Ok(opened) = key.open(&sealed, &issuer, &tool, 7) else { return };
    assert!(capability::is_path_prefix(&opened.path_prefix));
    let again = key.mint(&opened.claims, 7, &opened.path_prefix, opened.claims.expires_at);
    let said = Base64UrlUnpadded::decode_vec(again.split('.').nth(1).unwrap()).unwrap();
    let [said, sent]: [Value; 2] = [&*said, input.payload.as_bytes()].map(|json| serde_json::from_slice(json).unwrap());
    assert_eq!(said, sent, "member for member");
});

/// Beside a second reading, which unescapes every name.
fn query(query: &str) {
    let is_it = |parameter: &str| unescaped(parameter.split('=').next().unwrap_or_default()) == b"bmap-cap";
    let (last, others) = query.rsplit_once('&').map_or((query, None), |(others, last)| (last, Some(others)));
    let is_plain = last == "bmap-cap" || last.starts_with("bmap-cap=");
    let is_before = others.is_some_and(|others| others.split('&').any(is_it));
    match capability::find(Some(query)) {
        Err(_) => assert!(is_before || is_it(last) && !is_plain, "{query}"),
        Ok(None) => assert!(!is_before && !is_it(last), "{query}"),
        Ok(Some(found)) => {
            assert!(is_plain && !is_before, "{query}");
            assert_eq!(
                (found.text, found.rest),
                (last.split_once('=').map_or("", |(_, text)| text), others),
                "{query}"
            );
        }
    }
}

/// A text without its escapes; what is none stays.
fn unescaped(text: &str) -> Vec<u8> {
    let (bytes, mut at, mut out) = (text.as_bytes(), 0, Vec::new());
    while at < bytes.len() {
        let digits =
            bytes.get(at + 1..at + 3).filter(|digits| bytes[at] == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        out.push(
            digits.map_or(bytes[at], |digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()),
        );
        at += if digits.is_some() { 3 } else { 1 };
    }
    out
}
