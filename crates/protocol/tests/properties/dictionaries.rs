//! `Signature` and `Content-Digest`: the path for the one form that our SDK sends agrees with a dictionary parser, and so does ours.
//!
//! The second opinion is `sfv`'s own dictionary type, which shares no code with the visitors and none with the fast paths.

use base64ct::{Base64, Encoding};
use bmap_protocol::digest::{BodyDigest, DigestFault};
use bmap_protocol::fields::Fields;
use bmap_protocol::received::{MAX_SIGNATURES, SignatureFault, UnverifiedSignature};
use bmap_protocol::refusal::Refusal;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use sfv::{Dictionary, ListEntry, Parser};

const INPUT: &str = r#"bmap=("@method");created=1;nonce="AAAAAAAAAAAAAAAAAAAAAA";keyid="k";tag="bmap-1""#;

/// Byte sequences as they should be, as lenient decoders take them, and other values in their place.
fn member_value() -> impl Strategy<Value = String> {
    let bytes = |length: usize| prop::collection::vec(any::<u8>(), length);
    let canonical = prop::sample::select(vec![0, 1, 16, 31, 32, 33, 48, 63, 64, 65])
        .prop_flat_map(bytes)
        .prop_map(|bytes| format!(":{}:", Base64::encode_string(&bytes)));
    let spoil = (
        canonical.clone(),
        any::<prop::sample::Index>(),
        prop::sample::select(vec!["", "=", " ", "-", "A", "/", ":", "\u{e9}"]),
    );
    prop_oneof![
        4 => canonical.clone(),
        1 => canonical.clone().prop_map(|value| value.replace('=', "")),
        2 => spoil.prop_map(|(value, at, to)| {
            let at = at.index(value.len());
            format!("{}{to}{}", &value[..at], &value[at + 1..])
        }),
        1 => (canonical, "(;[a-z]{1,3}(=[0-9]{1,3})?){1,2}").prop_map(|(value, parameters)| format!("{value}{parameters}")),
        1 => prop::sample::select(vec!["1", "?1", "token", "\"text\"", "(:AAAA:)", "()", ":", "::", ""]).prop_map(str::to_owned),
    ]
}

/// A dictionary of up to six members with labels of their own.
fn dictionary(labels: &'static [&'static str]) -> impl Strategy<Value = String> {
    let one = (prop::sample::select(labels), member_value()).prop_map(|(label, value)| vec![(label, value)]);
    let some = prop::sample::subsequence(labels, 0..=labels.len())
        .prop_shuffle()
        .prop_flat_map(|labels| labels.into_iter().map(|label| (Just(label), member_value())).collect::<Vec<_>>());
    let separator = prop::sample::select(vec![",", ", ", " ,\t ", " ", ",,"]);
    let around = prop::sample::select(vec![("", ""), (" ", ""), ("", " "), ("", ","), ("\t", "")]);
    (
        prop_oneof![one, some],
        prop_oneof![8 => Just(", "), 1 => separator],
        prop_oneof![8 => Just(("", "")), 1 => around],
    )
        .prop_map(|(members, separator, (before, after))| {
            let members: Vec<String> = members.into_iter().map(|(label, value)| format!("{label}={value}")).collect();
            format!("{before}{}{after}", members.join(separator))
        })
}

/// The members of a dictionary of byte sequences; `None` for anything else.
fn members(value: &str) -> Option<Vec<(String, Vec<u8>)>> {
    let dictionary: Dictionary = Parser::new(value.as_bytes()).parse().ok()?;
    let bytes = |entry: &ListEntry| match entry {
        ListEntry::Item(item) => item.bare_item.as_byte_sequence().map(<[u8]>::to_vec),
        ListEntry::InnerList(_) => None,
    };
    dictionary.iter().map(|(label, entry)| Some((label.as_str().to_owned(), bytes(entry)?))).collect()
}

fn signature(lines: &[&str]) -> Result<Vec<u8>, SignatureFault> {
    let mut headers = HeaderMap::new();
    headers.insert("signature-input", HeaderValue::from_static(INPUT));
    for line in lines {
        headers.append("signature", HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    match UnverifiedSignature::parse(&Fields::of(&headers)) {
        Ok(parsed) => Ok(parsed.signature().to_vec()),
        Err(Refusal::Signature(fault)) => Err(fault),
        Err(other) => panic!("{other}"),
    }
}

fn expected_digest(value: &str) -> Result<String, DigestFault> {
    let members = members(value).ok_or(DigestFault::Malformed)?;
    let (_, bytes) = members.into_iter().find(|(label, _)| label == "sha-256").ok_or(DigestFault::NoSha256)?;
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| DigestFault::Malformed)?;
    Ok(BodyDigest::from_bytes(bytes).header_value())
}

proptest! {
    #![proptest_config(super::cases(1000))]

    #[test]
    fn the_signature_is_the_one_that_a_dictionary_parser_finds(value in dictionary(&["bmap", "sig1", "bmap2", "b", "x"])) {
        let expected = members(&value)
            .filter(|members| members.len() <= MAX_SIGNATURES)
            .and_then(|members| members.into_iter().find(|(label, _)| label == "bmap"))
            .map(|(_, bytes)| bytes)
            .filter(|bytes| bytes.len() <= 64);
        prop_assert_eq!(signature(&[&value]).ok(), expected, "{}", value);
    }

    #[test]
    fn a_second_line_changes_nothing_about_the_first(value in dictionary(&["bmap"])) {
        // More than one line is never read by the fast path.
        prop_assert_eq!(signature(&[&value]), signature(&[&value, "zz=:AA==:"]), "{}", value);
        prop_assert_eq!(signature(&[&value]), signature(&["zz=:AA==:", &value]), "{}", value);
    }

    #[test]
    fn the_digest_is_the_one_that_a_dictionary_parser_finds(value in dictionary(&["sha-256", "sha-512", "unixsum", "sha-25"])) {
        let parsed = BodyDigest::parse(value.as_bytes()).map(|digest| digest.header_value());
        prop_assert_eq!(parsed, expected_digest(&value), "{}", value);
    }

    #[test]
    fn a_second_member_of_one_name_is_refused(first in member_value(), second in member_value()) {
        let twice = |label: &str| format!("{label}={first}, {label}={second}");
        prop_assert!(signature(&[&twice("bmap")]).is_err());
        prop_assert!(BodyDigest::parse(twice("sha-256").as_bytes()).is_err());
    }

    #[test]
    fn every_digest_comes_back(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let digest = BodyDigest::of(&body);
        prop_assert!(BodyDigest::parse(digest.header_value().as_bytes()).unwrap().matches(&digest));
        prop_assert_eq!(expected_digest(&digest.header_value()), Ok(digest.header_value()));
    }
}
