//! Tools, grants and the keys of the operator: who may have what, at the command line.

use crate::operator::Operator;
use bmap_verifier::ToolCredential;
use serde_json::Value;

fn add<'a>(id: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["tool", "add", id, "--url", "https://places.example", "--scopes", "search route"], more].concat()
}

#[test]
fn an_operator_says_who_may_have_what() {
    let operator = Operator::new();
    for user in ["ana", "ben"] {
        operator.out(&["user", "add", user]);
    }
    let tool = operator.json(&add("places", &[]));
    let defaults = (&serde_json::json!("granted"), &serde_json::json!(["page", "direct"]), &serde_json::json!([]));
    assert_eq!((&tool["access"], &tool["callers"], &tool["open_scopes"]), defaults);
    // An open tool gives what it requires to all.
    let (code, error) = operator.fails(&add("maps", &["--open", "--require-scopes", "search"]));
    assert!(code == 2 && error.contains("open_scopes: an open tool gives the scopes that it requires"), "{error}");
    operator.out(&add(
        "maps",
        &["--open", "--require-scopes", "search", "--open-scopes", "search", "--callers", "user page"],
    ));
    let (code, error) = operator.fails(&["tool", "edit", "maps", "--require-scopes", "route"]);
    assert!(code == 2 && error.contains("open_scopes"), "{error}");
    assert_eq!(operator.fails(&["tool", "edit", "maps", "--callers", "server"]).0, 2);
    assert_eq!(operator.fails(&["tool", "edit", "nothing", "--open"]).0, 3);
    let edited = operator.json(&["tool", "edit", "maps", "--granted", "--callers", "direct", "--any-origin"]);
    assert_eq!((&edited["access"], &edited["callers"]), (&"granted".into(), &serde_json::json!(["direct"])));
    assert!(operator.out(&["tool", "edit", "maps", "--min-assurance", "user"]).contains("granted"));

    let grant = operator.json(&["tool", "grant", "ana", "places", "--scopes", "search", "--until", "2999-01-31"]);
    assert_eq!((&grant["scopes"], &grant["given_by"]), (&serde_json::json!(["search"]), &"operator".into()));
    assert_eq!((&grant["ends_at"], &grant["in_force"]), (&32_474_736_000_000_i64.into(), &true.into()));
    for (arguments, code, part) in [
        (&["tool", "grant", "ana", "places", "--scopes", "write"][..], 2, "scopes of the tool: route search"),
        (&["tool", "grant", "ana", "places", "--until", "2001-01-31"], 2, "--until: a day or a time in the future"),
        (&["tool", "grant", "ana", "places", "--until", "soon"], 2, "a day like"),
        (&["tool", "grant", "ana", "nothing"], 3, "tool"),
        (&["tool", "grant", "zoe", "places"], 3, "no user"),
        (&["tool", "revoke-grant", "ben", "places"], 3, "no grant"),
        (&["tool", "grants", "nothing"], 3, "no tool"),
    ] {
        let (found, error) = operator.fails(arguments);
        assert!(found == code && error.contains(part), "{arguments:?}: {found} {error}");
    }
    // A key with scopes that none of its tools knows is not made: it could never use them.
    let key = ["key", "add", "--user", "ana", "--name", "n", "--tool", "places"];
    let (code, error) = operator.fails(&[&key[..], &["--scopes", "serach search"]].concat());
    assert!(code == 2 && error.contains("no tool of the key knows serach; they know: route search"), "{error}");
    let listed =
        |arguments: &[&str]| operator.json(&[&["tool", "grants"], arguments].concat()).as_array().unwrap().len();
    assert_eq!(
        (listed(&[]), listed(&["maps"]), listed(&["--user", "ben"]), listed(&["places", "--user", "ana"])),
        (1, 0, 0, 1)
    );
    assert!(operator.out(&["tool", "grant", "ana", "maps"]).contains("has a grant of maps: route search, without end"));
    assert!(operator.out(&["tool", "grants"]).starts_with("tool"));
    assert!(operator.out(&["tool", "revoke-grant", "ana", "maps"]).contains("has no grant of maps any more"));
    assert_eq!(listed(&[]), 1);
}

#[test]
fn a_key_of_the_operators_grants_its_tools_and_only_ever_widens() {
    let operator = Operator::new();
    operator.out(&["user", "add", "ana"]);
    for tool in ["places", "maps", "open"] {
        operator.out(&["tool", "add", tool, "--url", "https://places.example", "--scopes", "search route write"]);
    }
    operator.out(&["tool", "edit", "open", "--open", "--open-scopes", "search"]);
    let add = |more: &[&str]| {
        let output = operator.run(&[&["key", "add", "--user", "ana", "--name", "k", "--json"], more].concat());
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{told}");
        (serde_json::from_slice::<Value>(&output.stdout).unwrap(), told)
    };
    let grant = |tool: &str| {
        let grants = operator.json(&["tool", "grants", tool]);
        let grant = &grants.as_array().unwrap()[0];
        let scopes: Vec<&str> =
            grant["scopes"].as_array().unwrap().iter().map(|scope| scope.as_str().unwrap()).collect();
        (scopes.join(" "), grant["ends_at"].as_i64())
    };
    let (first, told) = add(&["--tool", "places", "--scopes", "search", "--expires-in", "1d"]);
    assert!(told.contains("has a grant of places: search, until 20"), "{told}");
    let (scopes, end) = grant("places");
    assert!(scopes == "search" && end.is_some(), "with the key's scopes and end");
    // A later end, more scopes; a second key takes nothing away.
    add(&["--tool", "places", "--scopes", "search route", "--expires-in", "30d"]);
    let (scopes, later) = grant("places");
    assert!(scopes == "route search" && later > end, "{later:?}");
    // One grant has one end: no scope gets a later one than was said of it, and nothing is half done.
    for more in [
        &["--scopes", "search"][..],
        &["--scopes", "search", "--expires-in", "60d"],
        &["--scopes", "write", "--expires-in", "1h"],
    ] {
        let add = [&["key", "add", "--user", "ana", "--name", "k", "--tool", "places"], more].concat();
        let keys = operator.json(&["key", "list"]).as_array().unwrap().len();
        let (code, error) = operator.fails(&add);
        assert!(code == 2 && error.contains("one grant has one end") && error.contains("bmap tool grant"), "{error}");
        assert!(grant("places") == (scopes.clone(), later), "{more:?}");
        assert_eq!(operator.json(&["key", "list"]).as_array().unwrap().len(), keys, "{more:?}");
    }
    let (_, told) = add(&["--tool", "places", "--scopes", "search", "--expires-in", "1h"]);
    assert!(grant("places") == (scopes, later) && !told.contains("has a grant"), "nothing new: {told}");
    // Without scopes all of the tool's; without an end none.
    add(&["--tool", "places", "--tool", "maps"]);
    assert_eq!(
        (grant("places").0.as_str(), grant("maps")),
        ("route search write", ("route search write".to_owned(), None))
    );
    assert_eq!(grant("places").1, None);
    // Of an open tool, what it gives to all as well.
    add(&["--tool", "open", "--scopes", "route"]);
    assert_eq!(grant("open").0, "route search");
    // '*' grants nothing, and says so.
    operator.out(&["tool", "revoke-grant", "ana", "maps"]);
    let (_, told) = add(&["--tool", "*"]);
    assert!(told.contains("'*' grants nothing"), "{told}");
    assert_eq!(operator.json(&["tool", "grants", "maps"]), serde_json::json!([]));
    // An edit grants nothing, and is for what is granted.
    let id = first["id"].as_str().unwrap();
    let (code, error) = operator.fails(&["key", "edit", id, "--tool", "maps"]);
    assert!(code == 1 && error.contains("open or granted") && error.contains("bmap tool grant"), "{error}");
    operator.out(&["key", "edit", id, "--tool", "places", "--tool", "open"]);
    // Revoked, the key leaves the grants, and says so.
    let told = String::from_utf8(operator.run(&["key", "revoke", id]).stderr).unwrap();
    assert!(told.contains("keeps the grant of places") && told.contains("bmap tool revoke-grant"), "{told}");
    assert_eq!(grant("places").0, "route search write");
}

#[test]
fn an_operator_writes_a_policy_once() {
    let operator = Operator::new();
    let file = |text: &str| {
        std::fs::write(operator.path("policy.json"), text).unwrap();
        operator.path("policy.json")
    };
    let good = file("{ \"max_body\": 4096,\n \"rules\": [{ \"path\": \"/v1/admin\", \"scopes\": [\"route\"] }] }");
    let added = operator.json(&add("places", &["--policy", &good]));
    let policy = serde_json::json!({ "max_body": 4096, "rules": [{ "path": "/v1/admin", "scopes": ["route"] }] });
    assert_eq!(added["policy"], policy);
    let shown = operator.json(&["tool", "show", "places"]);
    assert_eq!(shown["policy"], policy);
    // A tool without a live link has it by its credential.
    let credential = ToolCredential::parse(&operator.out(&["tool", "credential", "places"])).unwrap();
    assert_eq!(serde_json::to_value(&credential.policy).unwrap(), policy);
    for (text, part) in [
        ("", "EOF"),
        ("[]", "expected an object"),
        ("{ \"max_body\": 1, \"max_body\": 2 }", "duplicate field"),
        ("{ \"max_bodi\": 1 }", "unknown field `max_bodi`"),
        ("{ \"max_body\": 0 }", "policy: max_body: give at least 1 byte"),
        ("{ \"allowed_ips\": [\"10.0.0.1/8\"] }", "policy: allowed_ips[0]"),
        (
            "{ \"rules\": [{ \"path\": \"/\", \"scopes\": [\"write\"] }] }",
            "policy: rules[0].scopes: give scopes of the tool",
        ),
        (&" ".repeat(70_000), "more than 65536 bytes"),
    ] {
        let (code, error) = operator.fails(&["tool", "edit", "places", "--policy", &file(text)]);
        assert!(code == 2 && error.contains(part), "{text:.40}: {code} {error}");
    }
    let (code, error) = operator.fails(&["tool", "edit", "places", "--policy", &operator.path("nothing.json")]);
    assert!(code == 2 && error.contains("nothing.json"), "{error}");
    assert_eq!(operator.json(&["tool", "show", "places"])["policy"], policy, "nothing was changed");
    let edited = operator.json(&["tool", "edit", "places", "--policy", "none"]);
    assert_eq!(edited["policy"], serde_json::json!({}));
}
