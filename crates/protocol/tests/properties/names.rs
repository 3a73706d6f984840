//! Ids, origins and request targets: one spelling each.

use bmap_protocol::api_key::ApiSecret;
use bmap_protocol::ids::{ApiKeyId, Issuer, ToolId, UserId};
use bmap_protocol::origin::Origin;
use bmap_protocol::target::{MAX_TARGET, check_path, check_query};
use proptest::prelude::*;

/// Texts near an origin: the parts that one is made of, and what is often slipped in between.
fn near_origin() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "https://",
        "http://",
        "HTTPS://",
        "null",
        "//",
        ":",
        ".",
        "-",
        "@",
        "/",
        "[",
        "]",
        "::1",
        "a",
        "A",
        "example",
        "xn--bcher-kva",
        "443",
        "80",
        "8080",
        "0443",
        "65536",
        " ",
        "é",
        "\0",
        "*",
    ]);
    prop_oneof![
        any::<String>(),
        prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat()),
        ("https?", "[a-z0-9-]{1,8}(\\.[a-z0-9-]{1,8}){0,3}", prop::option::of(1..=u16::MAX)).prop_map(
            |(scheme, host, port)| match port {
                Some(port) => format!("{scheme}://{host}:{port}"),
                None => format!("{scheme}://{host}"),
            }
        ),
    ]
}

/// The rule of profile §4 for a path, written once more in another way.
fn plain_path(path: &[u8]) -> bool {
    let lower = path.to_ascii_lowercase();
    let holds = |needle: &[u8]| lower.windows(needle.len()).any(|window| window == needle);
    let escapes = path
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'%')
        .all(|(at, _)| path.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)));
    path.starts_with(b"/")
        && path.len() <= MAX_TARGET
        && path.iter().all(|byte| byte.is_ascii_graphic() && !b"\\#?".contains(byte))
        && escapes
        && !["//", "%2e", "%2f", "%5c", "%00"].iter().any(|bad| holds(bad.as_bytes()))
        && !path.split(|byte| *byte == b'/').any(|segment| segment == b"." || segment == b"..")
}

fn near_path() -> impl Strategy<Value = Vec<u8>> {
    let part = prop::sample::select(vec![
        "/", "a", ".", "..", "%", "%2e", "%2E", "%2f", "%5C", "%00", "%0", "%41", "%zz", "%%", "\\", "#", "?", " ",
        ";", "~", "é", "\t", "\u{7f}", "v1",
    ]);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64),
        prop::collection::vec(part, 0..10).prop_map(|parts| format!("/{}", parts.concat()).into_bytes()),
    ]
}

proptest! {
    #![proptest_config(super::cases(1000))]

    #[test]
    fn r50_an_origin_has_one_spelling(text in near_origin()) {
        if let Ok(origin) = Origin::parse(&text) {
            prop_assert_eq!(origin.as_str(), &text);
            prop_assert_eq!(format!("{}://{}", origin.scheme(), origin.authority()), text.clone());
            prop_assert_eq!(text.to_ascii_lowercase(), text.clone());
            let default_port = match origin.scheme() { "https" => ":443", _ => ":80" };
            prop_assert!(!text.ends_with(default_port) && !text.ends_with('.') && !text.ends_with('/'));
            prop_assert_eq!(origin.to_string().parse(), Ok(origin));
        }
    }

    #[test]
    fn r50_every_serialised_origin_is_read(https: bool, host in "([a-z0-9-]{1,8}\\.){0,3}[a-z][a-z0-9-]{0,7}", port: Option<u16>) {
        let scheme = if https { "https" } else { "http" };
        let port = port.filter(|port| ![0, 80, 443].contains(port)).map_or(String::new(), |port| format!(":{port}"));
        let text = format!("{scheme}://{host}{port}");
        prop_assert!(Origin::parse(&text).is_ok(), "{}", text);
    }

    #[test]
    fn r50_an_address_has_the_spelling_of_browsers(parts in prop::array::uniform8(prop::sample::select(vec![0_u16, 0, 1, 0x2a, 0xffff]))) {
        let address = std::net::Ipv6Addr::from(parts);
        let spelled = match address.to_ipv4_mapped() {
            // Rust and RFC 5952 write the end of these as IPv4, browsers do not.
            Some(_) => format!("::ffff:{:x}:{:x}", parts[6], parts[7]),
            None => address.to_string(),
        };
        let text = format!("https://[{spelled}]");
        prop_assert_eq!(Origin::parse(&text).map(|origin| origin.to_string()), Ok(text));
        let of = |address: &str| Origin::parse(&format!("https://[{address}]")).is_ok();
        let whole = parts.map(|part| format!("{part:x}")).join(":");
        prop_assert_eq!(of(&whole), whole == spelled);
        let padded = parts.map(|part| format!("{part:04x}")).join(":");
        prop_assert_eq!(of(&padded), padded == spelled);
    }

    #[test]
    fn ids_come_back(uuid: [u8; 16], tool in "[a-z0-9-]{1,32}") {
        let (key, user) = (ApiKeyId::from_uuid(uuid), UserId::from_uuid(uuid));
        prop_assert_eq!(bmap_protocol::ids::hex_id(key.as_str(), "bmk_"), Some(uuid));
        prop_assert_eq!(key.as_str().parse(), Ok(key.clone()));
        prop_assert_eq!(user.as_str().parse(), Ok(user.clone()));
        prop_assert!(UserId::parse(key.as_str()).is_err() && ApiKeyId::parse(user.as_str()).is_err());
        prop_assert_eq!(ToolId::parse(&tool).unwrap().to_string(), tool);
    }

    #[test]
    fn r07_an_accepted_name_is_plain_and_short(text in prop_oneof![any::<String>(), "(usr_|bmk_|https?://)?[ -~]{0,40}"]) {
        let plain = |name: &str| name == text && name.bytes().all(|byte| byte.is_ascii_graphic());
        prop_assert!(ApiKeyId::parse(&text).is_ok_and(|id| plain(id.as_str()) && text.len() == 36) || ApiKeyId::parse(&text).is_err());
        prop_assert!(ToolId::parse(&text).is_ok_and(|id| plain(id.as_str()) && text.len() <= 32) || ToolId::parse(&text).is_err());
        prop_assert!(Issuer::parse(&text).is_ok_and(|id| plain(id.as_str()) && text.len() <= 255) || Issuer::parse(&text).is_err());
    }

    #[test]
    fn a_secret_comes_back_and_every_other_text_is_refused(bytes: [u8; 32], at in 0..54_usize, to in "[ -~]") {
        let shown = ApiSecret::from_bytes(bytes).reveal();
        let parsed = ApiSecret::parse(&shown).unwrap();
        prop_assert_eq!(parsed.expose(), &bytes);
        let mut damaged = shown.to_string();
        damaged.replace_range(at..=at, &to);
        prop_assert_eq!(ApiSecret::parse(&damaged).is_ok(), damaged == **shown);
    }

    #[test]
    fn an_arbitrary_text_is_no_secret_and_no_panic(text in prop_oneof![any::<String>(), "bms_[ -é]{0,60}"]) {
        prop_assert!(ApiSecret::parse(&text).is_err());
    }

    #[test]
    fn r13_a_path_is_refused_where_two_readers_could_differ(path in near_path()) {
        prop_assert_eq!(check_path(&path).is_ok(), plain_path(&path));
    }

    #[test]
    fn a_query_has_the_bytes_of_a_request_target(query in prop_oneof![prop::collection::vec(any::<u8>(), 0..32), "[ -~]{0,64}".prop_map(String::into_bytes)]) {
        prop_assert_eq!(check_query(&query).is_ok(), query.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#'));
    }
}
