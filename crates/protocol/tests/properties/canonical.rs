//! `Signature-Input`: the path for the spelling of our own SDK reads what the dictionary parser reads, and both read what is signed.

use bmap_protocol::fields::Fields;
use bmap_protocol::received::UnverifiedSignature;
use bmap_protocol::refusal::Refusal;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sfv::{BareItem, InnerList, Item, List, ListEntry, Parser};

/// One of `usual`, and now and then one of `odd`.
fn mostly(usual: &'static [&'static str], odd: &'static [&'static str]) -> impl Strategy<Value = &'static str> + Clone {
    prop_oneof![15 => prop::sample::select(usual), 1 => prop::sample::select(odd)]
}

/// A member near the canonical spelling: mostly right, in any order, with what another reader might take in its place.
fn member() -> impl Strategy<Value = String> {
    let label = mostly(&["bmap", "b", "sig1"], &["Bmap", "b_1", "*b", "b.1", "1b", "", " b", "b "]);
    let name = mostly(
        &[
            "\"@method\"",
            "\"@authority\"",
            "\"@path\"",
            "\"@query\"",
            "\"authorization\"",
            "\"x-a\"",
            "\"date\"",
            "\"@scheme\"",
            "\"@target-uri\"",
            "\"content-encoding\"",
        ],
        &[
            "\"@status\"",
            "\"X\"",
            "\"\"",
            "x",
            "\"x\";sf",
            "\"x\\\"\"",
            "\"é\"",
            "1",
            "\"signature\"",
            "\"a b\"",
            "\"x",
            "\"\t\"",
        ],
    );
    let between = mostly(&[" "], &["  ", "", "\t", ", "]);
    let created = mostly(
        &[";created=1764000000", ";created=0", ";created=999999999999999"],
        &[
            "",
            ";created=01",
            ";created=-1",
            ";created=1.0",
            ";created=9999999999999999",
            ";created=\"1\"",
            ";created",
            ";created=1 ",
            ";created= 1",
        ],
    );
    let nonce = mostly(
        &[";nonce=\"AAAAAAAAAAAAAAAAAAAAAA\"", ";nonce=\"_-AAAAAAAAAAAAAAAAAAAA\""],
        &[
            "",
            ";nonce=\"AAAA\"",
            ";nonce=\"AAAAAAAAAAAAAAAAAAAAAB\"",
            ";nonce=\"AAAAAAAAAAAAAAAAAAAAAA==\"",
            ";nonce=:AAAA:",
            ";nonce=\"\\\"\"",
        ],
    );
    let key_id = mostly(
        &[";keyid=\"k\"", ";keyid=\"bmk_0-.A\""],
        &["", ";keyid=\"\"", ";keyid=\"a b\"", ";keyid=k", ";keyid=\"k\\\\\"", ";keyid=\"k"],
    );
    let tag = mostly(
        &[";tag=\"bmap-1\""],
        &[
            "",
            ";tag=\"bmap-2\"",
            ";tag=bmap-1",
            ";tag=\"bmap-1\";tag=\"bmap-1\"",
            "; tag=\"bmap-1\"",
            ";tag=\"bmap-\\1\"",
        ],
    );
    let extra = mostly(
        &["", "", "", ";expires=1764000050", ";x=1", ";x"],
        &[
            ";alg=\"hmac-sha256\"",
            ";created=1",
            ";nonce=\"\"",
            ";keyid=\"k\"",
            ";expires=\"1\"",
            ";Created=1",
            ";",
            ";=1",
            ";x=(1)",
        ],
    );
    let parameters =
        (created, nonce, key_id, tag, extra).prop_flat_map(|(a, b, c, d, e)| Just(vec![a, b, c, d, e]).prop_shuffle());
    // Most lists are of distinct names, as they must be; some are longer than a verifier takes.
    let distinct = prop::collection::btree_set(name.clone(), 0..6).prop_map(Vec::from_iter).prop_shuffle();
    let names = prop_oneof![
        6 => distinct,
        1 => prop::collection::vec(name, 0..6),
        1 => prop::sample::subsequence(NUMBERED, 14..=18),
        2 => prop::sample::select(USUAL).prop_map(|list| list.split(' ').collect()),
    ];
    (label, names, between, parameters).prop_map(|(label, names, between, parameters)| {
        format!("{label}=({}){}", names.join(between), parameters.concat())
    })
}

/// The lists that are known by heart, and near ones.
const USUAL: &[&str] = &[
    r#""authorization" "@method" "@authority" "@path" "@query""#,
    r#""authorization" "@method" "@authority" "@path" "@query" "content-type" "content-digest""#,
    r#""@method" "@authority" "@path" "@query" "authorization""#,
    r#""@method" "@authority" "@path" "@query" "authorization" "content-type" "content-digest""#,
    r#""@method" "@authority" "@path" "@query" "content-type" "content-digest""#,
    r#""authorization" "@method" "@authority" "@path" "@query" "content-type" "content-encoding" "content-digest""#,
    r#""authorization" "@method" "@authority" "@path" "@query" "authorization""#,
    r#""@method" "@authority" "@path" "@query" "authorization" "content-type" "content-digest" "x-a" "x-a""#,
];

const NUMBERED: &[&str] = &[
    "\"a0\"", "\"a1\"", "\"a2\"", "\"a3\"", "\"a4\"", "\"a5\"", "\"a6\"", "\"a7\"", "\"a8\"", "\"a9\"", "\"b0\"",
    "\"b1\"", "\"b2\"", "\"b3\"", "\"b4\"", "\"b5\"", "\"b6\"", "\"b7\"",
];

/// A line: mostly one member and nothing else.
fn line() -> impl Strategy<Value = String> {
    let around = mostly(&[""], &[" ", "\t", ",", ", f=()", ", f=1;tag=\"bmap-1\"", " , f=(\"x\");x", "x", ";"]);
    let before = mostly(&[""], &[" ", "f=(), ", ",", "f, "]);
    (before, member(), around).prop_map(|(before, member, after)| format!("{before}{member}{after}"))
}

/// Everything that a verifier takes from the headers.
#[derive(Debug, PartialEq)]
struct Read {
    params: String,
    created: i64,
    expires: Option<i64>,
    nonce: [u8; 16],
    key_id: String,
    covered: Vec<String>,
}

fn read(lines: &[&str]) -> Result<Read, Refusal> {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append("signature-input", HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    // Every usual label has its signature, so that nothing but the input decides.
    headers.append("signature", HeaderValue::from_static("bmap=:AAAA:, b=:AAAA:, sig1=:AAAA:, b_1=:AAAA:"));
    UnverifiedSignature::parse(&Fields::of(&headers)).map(|parsed| Read {
        params: parsed.params.to_owned(),
        created: parsed.created,
        expires: parsed.expires,
        nonce: parsed.nonce,
        key_id: parsed.key_id.to_owned(),
        covered: parsed.components().map(|component| component.name().to_owned()).collect(),
    })
}

/// What `sfv`'s own types find in the bytes that are signed.
fn signed_list(params: &str) -> Option<InnerList> {
    let list: List = Parser::new(params.as_bytes()).parse().ok()?;
    match <[ListEntry; 1]>::try_from(list).ok()? {
        [ListEntry::InnerList(list)] => Some(list),
        [ListEntry::Item(_)] => None,
    }
}

fn text_of(item: Option<&BareItem>) -> Option<&str> {
    item.and_then(BareItem::as_string).map(|text| text.as_str())
}

proptest! {
    #![proptest_config(super::cases(4000))]

    #[test]
    fn one_line_is_read_as_the_dictionary_parser_reads_it(line in line()) {
        // Beside a line with a foreign member the path for one member is never taken.
        let alone = read(&[&line]);
        prop_assert_eq!(&alone, &read(&[&line, "zz=()"]), "{}", line);
        prop_assert_eq!(&alone, &read(&["zz=()", &line]), "{}", line);
    }

    #[test]
    fn what_is_believed_is_what_is_signed(line in line()) {
        if let Ok(read) = read(&[&line]) {
            prop_assert!(line.contains(&read.params));
            let list = signed_list(&read.params);
            prop_assert!(list.is_some(), "{:?}", read.params);
            let list = list.unwrap();
            let name = |item: &Item| item.bare_item.as_string().map(|name| name.as_str().to_owned());
            prop_assert_eq!(list.items.iter().filter_map(name).collect::<Vec<_>>(), read.covered.clone());
            prop_assert!(list.items.iter().all(|item| item.params.is_empty()));
            let parameter = |name: &str| list.params.get(name);
            let number = |name: &str| parameter(name).and_then(BareItem::as_integer).map(i64::from);
            prop_assert_eq!(number("created"), Some(read.created));
            prop_assert_eq!(number("expires"), read.expires);
            prop_assert_eq!(text_of(parameter("keyid")), Some(read.key_id.as_str()));
            prop_assert_eq!(text_of(parameter("tag")), Some("bmap-1"));
            prop_assert!(parameter("alg").is_none() && parameter("nonce").is_some());
        }
    }
}

#[test]
fn the_lines_that_are_generated_are_read_and_refused() {
    // A generator that makes nothing but noise would compare refusals alone.
    let mut runner = TestRunner::new(super::cases(1));
    let strategy = line();
    let lines: Vec<String> = (0..2000).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    let good = lines.iter().filter(|line| read(&[line]).is_ok()).count();
    assert!((400..1800).contains(&good), "{good} of 2000");
}
