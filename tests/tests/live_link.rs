//! A tool with a live link, beside the real issuer: what was taken away is in force within a second, also for tokens in use, and what was taken
//! away while one of them was gone is in force when both are there again.

use bmap_tests::caller::{Caller, Content};
use bmap_tests::clock::{self, wait_for};
use bmap_tests::program::finish;
use bmap_tests::stack::{End, Stack, address};
use bmap_tests::wire::Request;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::TcpStream;
use std::time::Duration;

/// With a link, and with the tool's start behind it.
fn linked() -> Stack {
    let mut stack = Stack::start();
    stack.set_for_tool("BMAP_LINK", "on");
    stack.restart_tool(End::Asked, None);
    stack.begin_the_rule();
    wait_for("the tool's link", || (verifiers(&stack).len() == 1).then_some(()));
    stack
}

/// What `bmap tool show` says of the tool's verifiers.
fn verifiers(stack: &Stack) -> Vec<Value> {
    let shown = finish(stack.bmap().args(["tool", "show", "places", "--json"]));
    let shown: Value = serde_json::from_str(&shown).unwrap();
    shown["verifiers"].as_array().unwrap().clone()
}

/// Runs an act that is waited for, and has it in force at the tool.
fn act(stack: &Stack, arguments: &[&str]) {
    let said = finish(stack.bmap().args(arguments).arg("--wait=5"));
    assert!(said.contains("in force at verifiers with a live link: 1"), "{said}");
}

fn user_of(stack: &Stack, key: &str) -> String {
    let key: Value = serde_json::from_str(&finish(stack.bmap().args(["key", "show", key, "--json"]))).unwrap();
    key["user"].as_str().or_else(|| key["user"]["id"].as_str()).unwrap_or_else(|| panic!("{key}")).to_owned()
}

fn asks(stack: &Stack, caller: &Caller) -> (u16, String) {
    stack.ask_tool(&caller.search()).refusal()
}

fn let_in() -> (u16, String) {
    (200, String::new())
}

#[test]
fn an_act_that_was_waited_for_is_in_force_for_tokens_in_use() {
    let stack = linked();
    let (revoked, kept, user) = (stack.api_key("hmac-sha256"), stack.api_key("hmac-sha256"), stack.api_key("ed25519"));
    let [first, other, third] = [&revoked, &kept, &user].map(|key| Caller::new(&stack, key));
    for caller in [&first, &other, &third] {
        assert_eq!(asks(&stack, caller), let_in());
    }
    act(&stack, &["key", "revoke", &revoked.id]);
    assert_eq!(asks(&stack, &first), (403, "key_revoked".to_owned()));
    assert_eq!([&other, &third].map(|caller| asks(&stack, caller)), [let_in(), let_in()], "others go on");

    let owner = user_of(&stack, &user.id);
    act(&stack, &["user", "deactivate", &owner]);
    assert_eq!(asks(&stack, &third), (403, "user_inactive".to_owned()));
    // Whose key works again has the token that works again.
    finish(stack.bmap().args(["user", "activate", &owner]));
    wait_for("the lift of a denial", || (asks(&stack, &third) == let_in()).then_some(()));
    assert_eq!(verifiers(&stack)[0]["up_to_date"], true);
}

#[test]
fn a_policy_that_is_changed_counts_at_once_and_without_a_restart() {
    let stack = linked();
    let direct = Caller::new(&stack, &stack.api_key("hmac-sha256"));
    assert_eq!(asks(&stack, &direct), let_in());
    act(&stack, &["tool", "edit", "places", "--scopes", "read", "--require-scopes", "read"]);
    assert_eq!(asks(&stack, &direct).1, "scope_denied", "its token has no scope");
    act(&stack, &["tool", "edit", "places", "--require-scopes", ""]);
    assert_eq!(asks(&stack, &direct), let_in(), "the same token");
}

/// The tool's policy is one text at the issuer: a rule that is added counts for the paths that it names, and for no other request.
#[test]
fn f18_a_rule_that_is_added_is_in_force_at_once_where_it_applies() {
    let stack = linked();
    let direct = Caller::new(&stack, &stack.api_key("hmac-sha256"));
    let around = |caller: &Caller| stack.ask_tool(&caller.nearby()).refusal();
    assert_eq!((asks(&stack, &direct), around(&direct)), (let_in(), let_in()));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.json");
    let edit = |policy: &str| {
        std::fs::write(&file, policy).unwrap();
        act(&stack, &["tool", "edit", "places", "--scopes", "read", "--policy", file.to_str().unwrap()]);
    };
    edit(r#"{"rules":[{"path":"/v1/nearby","methods":["POST"],"scopes":["read"]}]}"#);
    assert_eq!((asks(&stack, &direct), around(&direct).1), (let_in(), "scope_denied".to_owned()));
    edit(r#"{"max_body":8}"#);
    assert_eq!((asks(&stack, &direct), around(&direct).1), (let_in(), "too_large".to_owned()));
    edit(r#"{"allowed_ips":["192.0.2.0/24"]}"#);
    assert_eq!(asks(&stack, &direct).1, "ip_denied");
    act(&stack, &["tool", "edit", "places", "--policy", "none"]);
    assert_eq!((asks(&stack, &direct), around(&direct)), (let_in(), let_in()), "the same token");
}

/// A capability is minted with a token, opens what its prefix says many times, and ends with what it stands on.
#[test]
fn t37_a_capability_ends_with_the_key_that_it_hangs_on_and_with_the_policy() {
    let stack = linked();
    let key = stack.api_key("hmac-sha256");
    let caller = Caller::new(&stack, &key);
    let form = b"grant_type=urn%3Abmap%3Agrant-type%3Acapability&path_prefix=%2Fv1%2F";
    let ask = || {
        let body = Some(("application/x-www-form-urlencoded", &form[..]));
        stack.ask_issuer(caller.sign(&stack.issuer_url, "POST", "/oauth/token", Content { body, ..Content::default() }))
    };
    assert_eq!(ask().refusal().1, "tool_denied", "the tool's policy does not list the proof");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.json");
    std::fs::write(&file, r#"{"proofs":["capability"]}"#).unwrap();
    act(&stack, &["tool", "edit", "places", "--policy", file.to_str().unwrap()]);
    let answer = ask().json();
    assert!(answer["expires_in"].as_i64().is_some_and(|seconds| (1..=300).contains(&seconds)), "{answer}");
    let capability = answer["capability"].as_str().unwrap();
    let target = format!("/v1/search?q=Sofia&bmap-cap={capability}");
    let found = || stack.ask_tool(&Request::new("GET", &target, None));
    for _ in 0..3 {
        let answer = found();
        assert!(answer.refusal() == let_in() && answer.head.contains("referrer-policy: no-referrer"), "{answer:?}");
    }
    let elsewhere = Request::new("POST", &format!("/v1/nearby?bmap-cap={capability}"), Some(b"{}"));
    assert_eq!(stack.ask_tool(&elsewhere).refusal().1, "malformed_request");
    act(&stack, &["key", "revoke", &key.id]);
    assert_eq!(found().refusal().1, "key_revoked");
    act(&stack, &["tool", "edit", "places", "--policy", "none"]);
    assert_eq!(found().refusal().1, "missing_signature");
}

#[test]
fn f19_what_was_revoked_while_the_issuer_was_gone_is_in_force_when_it_is_back() {
    let mut stack = linked();
    let (revoked, kept) = (stack.api_key("hmac-sha256"), stack.api_key("hmac-sha256"));
    let [first, other] = [&revoked, &kept].map(|key| Caller::new(&stack, key));
    stack.kill_issuer();
    finish(stack.bmap().args(["key", "revoke", &revoked.id]));
    for caller in [&first, &other] {
        assert_eq!(asks(&stack, caller), let_in(), "without the issuer the tool goes on with what it knows");
    }
    stack.start_issuer();
    wait_for("the revocation", || (asks(&stack, &first) == (403, "key_revoked".to_owned())).then_some(()));
    assert_eq!(asks(&stack, &other), let_in());
}

#[test]
fn a_tool_that_was_restarted_knows_what_was_revoked_before() {
    let mut stack = linked();
    let key = stack.api_key("hmac-sha256");
    let caller = Caller::new(&stack, &key);
    act(&stack, &["key", "revoke", &key.id]);
    stack.restart_tool(End::Killed, None);
    stack.begin_the_rule();
    let caller = Caller::with(&stack, caller.response);
    wait_for("the denials at the start", || (asks(&stack, &caller) == (403, "key_revoked".to_owned())).then_some(()));
}

/// Sends a fresh request every 25 ms for so long; what was answered, and how often. A tool that is not there yet is tried again.
fn under_load(stack: &Stack, caller: &Caller, seconds: u64) -> BTreeMap<(u16, String), u32> {
    let (until, mut answers) = (clock::now() + seconds, BTreeMap::new());
    while clock::now() < until {
        let request = caller.search();
        if TcpStream::connect(address(&stack.tool_url)).is_ok() {
            *answers.entry(stack.ask_tool(&request).refusal()).or_default() += 1;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    answers
}

/// With a state folder a restart in order forgets nothing and refuses nothing, the issuer may be away for a minute, and a policy that the caller keeps
/// to changes nothing for it.
#[test]
fn f19_no_valid_request_is_refused_by_a_restart_a_lost_issuer_or_a_new_policy() {
    let mut stack = linked();
    let state = tempfile::tempdir().unwrap();
    let caller = Caller::new(&stack, &stack.api_key("hmac-sha256"));
    assert_eq!(asks(&stack, &caller), let_in());
    stack.restart_tool(End::Asked, Some(state.path()));
    stack.begin_the_rule();
    let caller = Caller::with(&stack, caller.response);
    stack.wait_for_the_rule();
    stack.restart_tool(End::Asked, Some(state.path()));
    assert_eq!(under_load(&stack, &caller, 2).into_keys().collect::<Vec<_>>(), [let_in()], "behind a restart in order");
    finish(stack.bmap().args(["tool", "edit", "places", "--min-assurance", "server"]));
    assert_eq!(under_load(&stack, &caller, 2).into_keys().collect::<Vec<_>>(), [let_in()], "below a new policy");
    stack.kill_issuer();
    assert_eq!(under_load(&stack, &caller, 60).into_keys().collect::<Vec<_>>(), [let_in()], "without the issuer");
}

#[test]
fn f19_behind_a_bound_on_staleness_a_tool_without_its_issuer_refuses_until_it_is_back() {
    let mut stack = Stack::start();
    stack.set_for_tool("BMAP_LINK", "on");
    stack.set_for_tool("BMAP_LINK_MAX_STALENESS", "10");
    stack.restart_tool(End::Asked, None);
    stack.begin_the_rule();
    let caller = Caller::new(&stack, &stack.api_key("hmac-sha256"));
    assert_eq!(asks(&stack, &caller), let_in());
    stack.kill_issuer();
    let gone = clock::now();
    assert_eq!(under_load(&stack, &caller, 8).into_keys().collect::<Vec<_>>(), [let_in()]);
    let stale = (503, "issuer_unavailable".to_owned());
    wait_for("the bound", || (asks(&stack, &caller) == stale).then_some(()));
    assert!((9..=12).contains(&(clock::now() - gone)), "{}", clock::now() - gone);
    stack.start_issuer();
    wait_for("the issuer to be heard", || (asks(&stack, &caller) == let_in()).then_some(()));
}
