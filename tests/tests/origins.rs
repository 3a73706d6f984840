//! Pages that are no plain https origin, from the key to a signed request at a tool: preview deployments, a page on a developer's own network,
//! an app's web view. Each is let in, and the origins beside it are not (R50).

use bmap_tests::caller::Caller;
use bmap_tests::program::{Running, finish};
use bmap_tests::stack::{ApiKey, Stack};
use bmap_tests::wire::{Answer, Request};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const ALLOWED: [(&str, &str); 2] = [("BMAP_WILDCARD_ORIGINS", "true"), ("BMAP_HTTP_ORIGINS_ON_LAN", "true")];

/// What a key registers, and pages: one that it stands for, and others that it does not.
const CASES: [(&str, &str, [&str; 4]); 3] = [
    (
        "https://*.pages.example",
        "https://pr-7.pages.example",
        [
            "https://a.b.pages.example",
            "https://pages.example",
            "https://evilpages.example",
            "https://pr-7.pages.example:8443",
        ],
    ),
    (
        "http://192.168.1.7:5173",
        "http://192.168.1.7:5173",
        ["http://192.168.1.7", "http://192.168.1.7:5174", "http://192.168.1.8:5173", "https://192.168.1.7:5173"],
    ),
    (
        "capacitor://localhost",
        "capacitor://localhost",
        ["capacitor://other", "tauri://localhost", "http://localhost", "https://localhost"],
    ),
];

fn preflight(path: &str, method: &str, page: &str) -> Request {
    let names = "authorization,content-digest,content-type,signature,signature-input";
    let request = Request::new("OPTIONS", path, None).with("origin", page);
    request.with("access-control-request-method", method).with("access-control-request-headers", names)
}

/// The page that may read an answer.
fn reader(answer: &Answer) -> Option<String> {
    let lines = answer.head.lines().filter_map(|line| line.split_once(": "));
    let mut values = lines.filter(|(name, _)| name.eq_ignore_ascii_case("access-control-allow-origin"));
    values.next().map(|(_, value)| value.to_owned())
}

fn says(answer: &Answer, name: &str) -> bool {
    answer.head.lines().any(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))
}

/// A key of a user of its own, for one page.
fn key(stack: &Stack, number: usize, origin: &str) -> ApiKey {
    let user = finish(stack.bmap().args(["user", "add", &format!("owner {number}"), "--json"]));
    let user: Value = serde_json::from_str(&user).unwrap();
    let add = ["key", "add", "--user", user["id"].as_str().unwrap(), "--name", "page", "--tool", "places", "--json"];
    let mut command = stack.bmap();
    command.args(add).args(["--origin", origin]);
    if origin.starts_with("http") {
        // Neither is taken where the operator did not say so.
        assert!(!command.output().unwrap().status.success(), "{origin}");
    }
    let key: Value = serde_json::from_str(&finish(command.envs(ALLOWED))).unwrap();
    let text = |name: &str| key[name].as_str().unwrap().to_owned();
    ApiKey { id: text("id"), secret: text("secret"), signing: "hmac-sha256" }
}

fn ticket(stack: &Stack, key: &ApiKey, page: &str) -> Answer {
    let body = json!({ "tool": "places", "origin": page }).to_string();
    let request = Request::new("POST", "/tickets", Some(body.as_bytes())).with("content-type", "application/json");
    stack.ask_issuer(request.with("authorization", key.basic()))
}

fn exchange(stack: &Stack, ticket: &Answer, page: &str) -> Answer {
    let ticket = ticket.json()["ticket"].as_str().unwrap().to_owned();
    let form = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={ticket}\
         &subject_token_type=urn:bmap:token-type:ticket&audience=places"
    );
    let request = Request::new("POST", "/oauth/token", Some(form.as_bytes())).with("origin", page);
    stack.ask_issuer(request.with("content-type", "application/x-www-form-urlencoded"))
}

#[test]
fn r50_unusual_pages_are_let_in_from_key_to_tool_and_those_beside_them_are_not() {
    let stack = Stack::start_with(&ALLOWED, &CASES.map(|(registered, ..)| registered));
    let denied = || (403, "origin_denied".to_owned());
    for (number, (registered, page, others)) in CASES.into_iter().enumerate() {
        let key = key(&stack, number, registered);
        let made = ticket(&stack, &key, page);
        assert_eq!(made.status, 201, "{made:?}");
        let allowed = stack.ask_issuer(preflight("/oauth/token", "POST", page));
        assert_eq!((allowed.status, reader(&allowed).as_deref()), (204, Some(page)));
        for other in others {
            assert_eq!(ticket(&stack, &key, other).refusal(), denied(), "{other}");
            assert_eq!(exchange(&stack, &made, other).refusal(), denied(), "{other}");
            let refused = stack.ask_issuer(preflight("/oauth/token", "POST", other));
            assert!(refused.status == 403 && !says(&refused, "access-control-allow-methods"), "{refused:?}");
        }
        let token = exchange(&stack, &made, page);
        assert_eq!((token.status, reader(&token).as_deref()), (200, Some(page)), "{token:?}");

        let caller = Caller::with(&stack, token.json());
        let allowed = stack.ask_tool(&preflight("/v1/search?q=Sofia", "GET", page));
        assert_eq!((allowed.status, reader(&allowed).as_deref()), (204, Some(page)));
        assert!(says(&allowed, "access-control-allow-headers"), "{allowed:?}");
        let entered = stack.entered();
        for other in others {
            let refused = stack.ask_tool(&preflight("/v1/search?q=Sofia", "GET", other));
            assert_eq!((refused.status, reader(&refused)), (403, None), "{other}");
            let refused = stack.ask_tool(&caller.search().with("origin", other));
            assert_eq!((refused.refusal(), reader(&refused)), (denied(), None), "{other}");
        }
        assert_eq!(stack.entered(), entered, "{page}");
        let found = stack.ask_tool(&caller.search().with("origin", page));
        assert_eq!((found.status, reader(&found).as_deref()), (200, Some(page)), "{found:?}");
    }
}

#[test]
fn r50_a_page_has_no_part_in_the_ticket_or_token_of_another_page_of_its_pattern() {
    let stack = Stack::start_with(&ALLOWED, &[CASES[0].0]);
    let key = key(&stack, 0, CASES[0].0);
    let [one, two] = ["https://pr-7.pages.example", "https://pr-8.pages.example"];
    assert_eq!(exchange(&stack, &ticket(&stack, &key, one), two).refusal(), (403, "origin_denied".to_owned()));
    let caller = Caller::with(&stack, exchange(&stack, &ticket(&stack, &key, one), one).json());
    assert_eq!(stack.ask_tool(&preflight("/v1/search?q=Sofia", "GET", two)).status, 204, "a page of the tool");
    let refused = stack.ask_tool(&caller.search().with("origin", two));
    assert_eq!(refused.refusal(), (403, "origin_denied".to_owned()));
    assert_eq!(stack.ask_tool(&caller.search().with("origin", one)).status, 200);
}

#[test]
fn a_credential_file_that_every_user_can_read_is_named_in_the_tools_log() {
    let stack = Stack::start();
    let file = stack.folder().join("credential");
    fs::write(&file, finish(stack.bmap().args(["tool", "credential", "places"]))).unwrap();
    for (mode, is_named) in [(0o644, true), (0o602, true), (0o640, false), (0o600, false)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let mut command = stack.tool_command("127.0.0.1:0", None);
        let mut tool =
            Running::start(command.env_remove("BMAP_TOOL_CREDENTIAL").env("BMAP_TOOL_CREDENTIAL_FILE", &file));
        tool.word_after("admin on http://").unwrap();
        let said = tool.said();
        let named = format!("{} has mode {mode:04o}", file.display());
        assert_eq!(said.contains(&named) && said.contains("chmod 600"), is_named, "{said}");
        assert_eq!(said.contains("every user of this machine"), is_named, "{said}");
    }
}
