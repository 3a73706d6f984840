//! The documented flows, run as they stand.

use crate::operator::Operator;
use std::process::Command;

/// The shell blocks of a page, as one script that ends at the first line that fails.
pub(crate) fn script(page: &str) -> String {
    let mut script = String::from("set -eu\n");
    let mut is_inside = false;
    for line in page.lines() {
        match line {
            "```sh" => is_inside = true,
            "```" => is_inside = false,
            line if is_inside => script.extend([line, "\n"]),
            _ => {}
        }
    }
    script
}

/// Runs the blocks of a page beside a development server that logs everything; what the shell printed, each line before it was
/// run too.
fn run(operator: &Operator, page: &str) -> String {
    // Everything that every library can say, but for the links: those are there on purpose.
    let mut server = operator.serve_with(&[("BMAP_DEVELOPMENT", "true"), ("BMAP_LOG", "trace")]);
    // A request that was signed in the second of the start is refused: the replay store does not know earlier ones.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let programs = std::path::Path::new(env!("CARGO_BIN_EXE_bmap")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-x", "-c", &script(page)])
        .env("PATH", path)
        .env("ISSUER", format!("http://{}", server.address))
        .env("LOG", operator.path("log"))
        .envs(operator.environment())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    // Stopped in order: what a process keeps for a few seconds is written.
    assert!(Command::new("kill").arg(server.child.id().to_string()).status().unwrap().success());
    assert!(server.child.wait().unwrap().success());
    format!("{out}\n{err}")
}

/// Asserts that no secret that the shell had is in the server's log: those that begin like one of `kinds`, and `more`.
fn assert_no_secret_in_log(operator: &Operator, printed: &str, kinds: &[&str], more: &[&str]) {
    let log = String::from_utf8_lossy(&std::fs::read(operator.path("log")).unwrap()).into_owned();
    assert!(log.contains("ana@shop.example") && log.contains("DEBUG"), "{log}");
    let words = printed.split(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c)));
    let mut secrets: Vec<&str> =
        words.filter(|word| word.len() > 40 && kinds.iter().any(|kind| word.starts_with(kind))).collect();
    assert!(secrets.len() >= 4, "{secrets:?}");
    secrets.extend(more);
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} is in the log: {line:?}");
    }
}

#[test]
fn t33_docs_accounts_does_what_it_says_and_no_log_level_shows_a_secret() {
    let operator = Operator::new();
    let page = include_str!("../../../docs/accounts.md");
    assert!(script(page).matches("curl").count() > 10 && script(page).contains("bmap user deactivate"));
    let printed = run(&operator, page);
    let users = operator.json(&["user", "list"]);
    let listed = |email: &str| users.as_array().unwrap().iter().any(|user| user["email"] == email);
    assert!(listed("ana@home.example") && !listed("ana@shop.example"), "{users}");
    assert!(operator.out(&["user", "list"]).contains("ana@home.example"));
    let passwords = ["violet-kettle-49-marsh", "copper-lantern-12-frost", "amber-harbour-77-mint", "password1\""];
    assert_no_secret_in_log(&operator, &printed, &["bmr_", "bmu_", "bmv_", "bmg_", "eyJ"], &passwords);
}

#[test]
fn t33_docs_api_keys_does_what_it_says_and_no_log_level_shows_a_secret() {
    let operator = Operator::new();
    let page = include_str!("../../../docs/api-keys.md");
    assert!(script(page).matches("test ").count() > 10 && script(page).contains("bmap key regenerate"));
    let printed = run(&operator, page);
    assert_no_secret_in_log(&operator, &printed, &["bms_", "bmu_", "eyJ"], &["violet-kettle-49-marsh"]);
    let keys = operator.json(&["key", "list"]);
    let states: Vec<_> = keys.as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap()).collect();
    assert_eq!(states.iter().filter(|state| **state == "revoked").count(), 2, "{keys}");
    assert!(keys.as_array().unwrap().iter().any(|key| key["last_used"]["way"] == "signature"), "written at the stop");
}

#[test]
fn docs_tokens_does_what_it_says_and_no_log_level_shows_a_secret() {
    let operator = Operator::new();
    let server = operator.serve_with(&[("BMAP_DEVELOPMENT", "true"), ("BMAP_LOG", "trace")]);
    let script = script(include_str!("../../../docs/tokens.md"));
    assert!(script.matches("/oauth/token").count() >= 7, "{script}");
    // A request that was signed in the second of the start is refused: the replay store does not know earlier ones.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let programs = std::path::Path::new(env!("CARGO_BIN_EXE_bmap")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-x", "-c", &script])
        .current_dir(operator.folder.path())
        .env("PATH", path)
        .env("ISSUER", format!("http://{}", server.address))
        .env("LOG", operator.path("log"))
        .envs(operator.environment())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");

    let log = String::from_utf8_lossy(&std::fs::read(operator.path("log")).unwrap()).into_owned();
    let words = err.split(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c)));
    let secret = |word: &&str| ["bmr_", "bms_", "bmt_", "eyJ"].iter().any(|start| word.starts_with(start));
    let secrets: Vec<&str> = words.filter(secret).filter(|word| word.len() > 8).collect();
    assert!(secrets.len() >= 6, "{secrets:?}");
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} is in the log: {line:?}");
    }
}

#[test]
fn docs_capabilities_does_what_it_says() {
    let operator = Operator::new();
    run_at_rest(&operator, include_str!("../../../docs/capabilities.md"));
    assert_eq!(operator.json(&["tool", "show", "tiles"])["policy"]["proofs"], serde_json::json!(["capability"]));
}

/// Runs the blocks of a page without a server; what they printed.
fn run_at_rest(operator: &Operator, page: &str) -> String {
    let programs = std::path::Path::new(env!("CARGO_BIN_EXE_bmap")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-c", &script(page)])
        .current_dir(operator.folder.path())
        .env("PATH", path)
        .envs(operator.environment())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn docs_policy_does_what_it_says() {
    let operator = Operator::new();
    let page = include_str!("../../../docs/policy.md");
    let said = run_at_rest(&operator, page);
    assert!(said.contains("\"max_body\":65536") && said.contains("verifiers with a live link: 0"), "{said}");
    // The table has every member of a policy that there is.
    let all = r#"{"max_staleness":5,"allowed_ips":["10.0.0.0/8"],"max_body":1,"rates":{"key":{"per_second":1,"burst":1}},"proofs":["dpop"],
        "capability_root":true,"rules":[{"path":"/","scopes":["a"]}]}"#;
    let all: bmap_protocol::tool_policy::ToolPolicy = serde_json::from_str(all).unwrap();
    let members = serde_json::to_value(&all).unwrap();
    for member in members.as_object().unwrap().keys() {
        assert!(page.contains(&format!("| `{member}` |")), "docs/policy.md has no row for {member}");
    }
}
