//! `Signature-Input` and `Signature`: what we accept the crate `sfv` accepts too, with the same members.
//!
//! Lines of the input are lines of the two headers in turn.
#![no_main]

use bmap_protocol::fields::Fields;
use bmap_protocol::received::UnverifiedSignature;
use bmap_protocol::signature_base::Component;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use sfv::{Dictionary, InnerList, ListEntry, Parser};

fuzz_target!(|input: &[u8]| {
    let mut headers = HeaderMap::new();
    for (at, line) in input.split(|byte| *byte == b'\n').enumerate().take(8) {
        let Ok(value) = HeaderValue::from_bytes(line) else { return };
        headers.append(if at % 2 == 0 { "signature-input" } else { "signature" }, value);
    }
    let Ok(ours) = UnverifiedSignature::parse(&Fields::of(&headers)) else { return };
    let members = dictionary(&headers, "signature-input");
    let tagged = |entry: &ListEntry| {
        let (ListEntry::Item(sfv::Item { params, .. }) | ListEntry::InnerList(InnerList { params, .. })) = entry;
        params.get("tag").and_then(|tag| tag.as_string()).is_some_and(|tag| tag.as_str() == "bmap-1")
    };
    let mut found = members.iter().filter(|(_, entry)| tagged(entry));
    let (label, entry) = found.next().expect("a member with our tag");
    assert!(found.next().is_none(), "two members with our tag");
    let ListEntry::InnerList(list) = entry else { panic!("a signature that is no list") };
    let covered: Vec<&str> = list.items.iter().map(|item| item.bare_item.as_string().unwrap().as_str()).collect();
    assert!(list.items.iter().all(|item| item.params.is_empty()), "a component with parameters");
    assert_eq!(ours.components().map(|component| component.name()).collect::<Vec<_>>(), covered);
    for name in &covered {
        assert!(ours.covers(Component::from_name(name).unwrap()));
        assert_eq!(covered.iter().filter(|other| other == &name).count(), 1, "{name} twice");
    }
    let number = |name: &str| list.params.get(name).map(|value| i64::from(value.as_integer().unwrap()));
    assert_eq!((Some(ours.created), ours.expires), (number("created"), number("expires")));
    assert_eq!(list.params["keyid"].as_string().map(|id| id.as_str()), Some(ours.key_id));
    assert!(list.params.get("alg").is_none(), "alg is refused");
    let signatures = dictionary(&headers, "signature");
    let ListEntry::Item(item) = &signatures[label] else { panic!("a signature that is a list") };
    assert_eq!(item.bare_item.as_byte_sequence(), Some(ours.signature()));
    // The bytes that go into the base are the member's own.
    let again: Dictionary =
        Parser::new(format!("x={}", ours.params).as_bytes()).parse().expect("what is signed is a member");
    assert_eq!(&again["x"], entry);
});

/// All lines of a header as one dictionary (RFC 9651 §4.2). Lines without a member do not count.
fn dictionary(headers: &HeaderMap, name: &str) -> Dictionary {
    let lines = headers.get_all(name).iter().map(|line| line.as_bytes().trim_ascii()).filter(|line| !line.is_empty());
    let joined = lines.collect::<Vec<_>>().join(&b", "[..]);
    Parser::new(&joined).parse().expect("sfv takes what we take")
}
