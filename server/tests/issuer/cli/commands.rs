//! The binary as an operator has it: real processes.

use crate::operator::{BMAP, Operator};
use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_first_start_needs_nothing_and_shows_its_credential_once() {
    let operator = Operator::new();
    let mut server = operator.serve();
    assert!(server.greeting.contains("bmk_") && server.greeting.contains("bms_"), "{}", server.greeting);
    assert!(server.greeting.contains("bmap tool grant admin ID") && server.greeting.contains("bmap user invite"));
    assert_eq!(mode(operator.path("data")), 0o700);
    assert_eq!(mode(operator.path("data/root.secret")), 0o600);
    assert_eq!(fs::metadata(operator.path("data/root.secret")).unwrap().len(), 32);
    assert_eq!(operator.out(&["healthcheck", "--address", &server.address]), "ok\n");
    // SIGTERM ends it in order.
    let pid = server.child.id().to_string();
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    assert!(server.child.wait().unwrap().success());
    assert_eq!(operator.fails(&["healthcheck", "--address", &server.address]).0, 1);
    drop(server);
    let again = operator.serve();
    assert!(!again.greeting.contains("bms_"), "{}", again.greeting);
    assert!(!again.greeting.contains("No active user is an admin"), "{}", again.greeting);
    drop(again);
    operator.out(&["user", "role", "admin", "member"]);
    let hinting = operator.serve();
    assert!(hinting.greeting.contains("bmap user role USER admin"), "{}", hinting.greeting);
}

#[test]
fn commands_work_while_the_server_runs() {
    let operator = Operator::new();
    let _server = operator.serve();
    let user = operator.json(&["user", "add", "ana"])["id"].as_str().unwrap().to_owned();
    assert!(user.starts_with("usr_"));
    let origin = "https://shop.example";
    let add_key = ["key", "add", "--user", &user, "--name", "shop", "--tool", "places", "--origin", origin];
    let (code, error) = operator.fails(&add_key);
    assert!(code == 3 && error.contains("there is no tool places"), "{error}");
    operator.json(&["tool", "add", "places", "--url", "http://127.0.0.1:4001"]);
    let key = operator.json(&add_key);
    let id = key["id"].as_str().unwrap();
    assert!(key["secret"].as_str().unwrap().starts_with("bms_"));
    assert!(operator.out(&["tool", "credential", "places"]).starts_with("bmap-tool-1."));
    let keys = operator.json(&["key", "list"]);
    assert_eq!(keys.as_array().unwrap().len(), 2);
    assert!(!keys.to_string().contains("bms_"), "a secret is shown once");
    operator.out(&["key", "revoke", id]);
    let said = operator.out(&["user", "deactivate", "ana"]);
    assert!(said.starts_with(&format!("{user} (ana) is deactivated")) && said.contains("sessions ended: 0"), "{said}");
    assert!(operator.out(&["user", "deactivate", "ana"]).contains("was deactivated before, at 20"));
    assert_eq!(operator.json(&["user", "list"])[1]["state"], "deactivated");
    assert!(operator.out(&["user", "activate", &user]).contains("is active"));
    // The first user is an admin, and others by the operator's word alone.
    assert_eq!(operator.json(&["user", "list"])[0]["role"], "admin");
    assert_eq!(operator.json(&["user", "list"])[1]["role"], "member");
    operator.out(&["user", "role", "ana", "admin"]);
    assert_eq!(operator.json(&["user", "list"])[1]["role"], "admin");
    operator.out(&["user", "role", "ana", "member"]);
    assert_eq!(operator.json(&["user", "add", "ben", "--admin"])["role"], "admin");
    assert_eq!(operator.fails(&["user", "role", "ana", "root"]).0, 2);
    assert_eq!(operator.fails(&["user", "role", "zoe", "admin"]).0, 3);
    assert!(operator.out(&["tool", "remove", "places"]).starts_with("places is removed"));
    assert_eq!(operator.json(&["tool", "list"]), serde_json::json!([]));
    for arguments in [&["user", "list"][..], &["key", "list"], &["tool", "list"]] {
        assert!(operator.out(arguments).starts_with("id"));
    }
}

#[test]
fn an_operator_changes_keys_of_everybody() {
    let operator = Operator::new();
    operator.out(&["user", "add", "ana"]);
    operator.out(&["tool", "add", "places", "--url", "http://127.0.0.1:4001", "--scopes", "a b"]);
    let key =
        operator.json(&["key", "add", "--user", "ana", "--name", "shop", "--tool", "places", "--expires-in", "1d"]);
    let id = key["id"].as_str().unwrap();
    assert_eq!((&key["state"], &key["former"]), (&"active".into(), &Value::Null));
    let edited =
        operator.json(&["key", "edit", id, "--origin", "https://a.example", "--cidr", "10.0.0.0/8", "--no-end"]);
    let scope = serde_json::json!({
        "tools": ["places"], "origins": ["https://a.example"], "cidrs": ["10.0.0.0/8"], "expires_at": null,
    });
    assert_eq!(edited["scope"], scope);
    let (code, error) = operator.fails(&["key", "edit", id, "--administer"]);
    assert!(code == 2 && error.contains("no admin") && error.contains("bmap user role"), "{error}");
    operator.out(&["user", "role", "ana", "admin"]);
    let edited = operator.json(&["key", "edit", id, "--scopes", "b a", "--administer"]);
    assert_eq!(
        (&edited["scope"]["scopes"], &edited["scope"]["administer"]),
        (&serde_json::json!(["a", "b"]), &true.into())
    );
    let edited = operator.json(&["key", "edit", id, "--any-scope", "--no-administer"]);
    assert_eq!(edited["scope"], scope);
    let edited = operator.json(&["key", "edit", id, "--no-origin", "--any-network", "--name", "other", "--tool", "*"]);
    assert_eq!((&edited["scope"]["origins"], &edited["name"]), (&serde_json::json!([]), &"other".into()));
    assert_eq!(edited["scope"]["tools"], serde_json::json!(["*"]));

    let changed = operator.json(&["key", "regenerate", id, "--grace", "2h"]);
    assert!(changed["secret"].as_str().unwrap().starts_with("bms_") && changed["secret"] != key["secret"]);
    assert!(changed["former"]["expires_at"].is_i64());
    assert!(operator.out(&["key", "show", id]).contains("works until 20"));
    let (code, error) = operator.fails(&["key", "regenerate", id, "--grace", "0"]);
    assert!(code == 1 && error.contains("still works") && error.contains("--end-former"), "{error}");
    assert!(operator.out(&["key", "regenerate", id, "--grace", "0", "--end-former"]).contains("secret  bms_"));
    let shown = operator.json(&["key", "show", id]);
    assert_eq!((&shown["former"], shown.get("secret")), (&Value::Null, None));
    assert_eq!(operator.json(&["key", "list", "--user", "ana"]).as_array().unwrap().len(), 1);

    let (code, error) = operator.fails(&["key", "edit", id, "--tool", "nowhere"]);
    assert!(code == 2 && error.contains("there is no tool nowhere"), "{error}");
    let (code, error) = operator.fails(&["key", "edit", id, "--cidr", "10.0.0.1/8"]);
    assert!(code == 2 && error.contains("did you mean 10.0.0.0/8?"), "{error}");
    assert_eq!(operator.fails(&["key", "regenerate", id, "--grace", "8d"]).0, 2);
    let said = operator.out(&["key", "revoke", id]);
    assert!(said.contains(id) && said.contains("(other)") && said.contains("is revoked"), "{said}");
    assert!(operator.out(&["key", "revoke", id]).contains("was revoked before, at 20"));
    let (code, error) = operator.fails(&["key", "regenerate", id]);
    assert!(code == 1 && error.contains("revoked"), "{error}");
    let nobodys = "bmk_00000000000000000000000000000000";
    for arguments in [&["key", "show", nobodys][..], &["key", "edit", nobodys], &["key", "regenerate", nobodys]] {
        assert_eq!(operator.fails(arguments).0, 3, "{arguments:?}");
    }
}

#[test]
fn mistakes_have_their_exit_codes() {
    let operator = Operator::new();
    operator.out(&["user", "add", "ana"]);
    assert_eq!(operator.fails(&["user", "add", "ana"]).0, 1);
    assert_eq!(operator.fails(&["user", "deactivate", "bob"]).0, 3);
    assert_eq!(operator.fails(&["tool", "credential", "places"]).0, 3);
    for id in ["ses_00000000000000000000000000000000", "x"] {
        assert_eq!(operator.fails(&["session", "revoke", id]).0, 3);
    }
    assert_eq!(operator.fails(&["session", "list", "--user", "bob"]).0, 3);
    assert_eq!(operator.fails(&["key", "revoke", "bmk_00000000000000000000000000000000"]).0, 3);
    assert_eq!(operator.fails(&["frobnicate"]).0, 2);
    let (code, error) = operator.fails(&["tool", "add", "places", "--url", "https://Places.Example/"]);
    assert!(code == 2 && error.contains("did you mean https://places.example?"), "{error}");
    let (code, error) =
        operator.fails(&["key", "add", "--user", "ana", "--name", "k", "--origin", "http://shop.example"]);
    assert!(code == 2 && error.contains("https"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_like_an_address_takes_no_place_of_the_person_with_it() {
    let operator = Operator::new();
    let (code, error) = operator.fails(&["user", "add", "ana@shop.example"]);
    assert!(code == 2 && error.contains("bmap user invite"), "{error}");
    // A name of before that rule, and the address of another user.
    let ids = ["ana", "ben"].map(|name| operator.json(&["user", "add", name])["id"].as_str().unwrap().to_owned());
    let account =
        "INSERT INTO accounts (user_id, email, password, pepper_epoch, created_at, password_changed_at) VALUES";
    operator.edit(&format!("UPDATE users SET name = 'ana@shop.example' WHERE id = '{}'", ids[0])).await;
    assert!(operator.out(&["user", "role", "ana@shop.example", "member"]).contains(&ids[0]));
    operator.edit(&format!("{account} ('{}', 'ana@shop.example', 'none', 1, 0, 0)", ids[1])).await;
    let (code, error) = operator.fails(&["user", "deactivate", "ana@shop.example"]);
    assert!(code == 2 && ids.iter().all(|id| error.contains(id)) && error.contains("give the id"), "{error}");
    assert!(operator.out(&["user", "deactivate", &ids[0]]).contains("is deactivated"));
}

#[test]
fn the_last_admin_is_not_deactivated_without_a_word() {
    let operator = Operator::new();
    operator.out(&["user", "add", "ana", "--admin"]);
    operator.out(&["user", "add", "ben", "--admin"]);
    let said = |user: &str| String::from_utf8(operator.run(&["user", "deactivate", user]).stderr).unwrap();
    assert_eq!(said("ana"), "");
    assert!(said("ben").contains("no active user is an admin now"));
}

#[test]
fn a_credential_for_another_issuer_is_not_printed_without_a_word() {
    let operator = Operator::new();
    drop(operator.serve_with(&[("BMAP_ISSUER", "https://auth.example")]));
    operator.out(&["tool", "add", "places", "--url", "https://places.example"]);
    let told = |issuer: &str| {
        let mut command = operator.command(&["tool", "credential", "places"]);
        String::from_utf8(command.env("BMAP_ISSUER", issuer).output().unwrap().stderr).unwrap()
    };
    assert_eq!(told("https://auth.example"), "");
    let told = told("https://other.example");
    assert!(told.contains("was https://auth.example") && told.contains("is for https://other.example"), "{told}");
}

#[test]
fn a_setting_that_would_be_misread_is_refused_with_its_source() {
    let operator = Operator::new();
    for (key, value, part) in [
        ("log", "verbose", "off, error, warn, info, debug, trace"),
        ("log", "info,bmap_server=loud", "off, error, warn, info, debug, trace"),
        ("root_secret", "abc", "43 base64url characters"),
    ] {
        fs::write(operator.path("bmap.toml"), format!("{key} = \"{value}\"\n")).unwrap();
        let (code, error) = operator.fails(&["config", "check", "--config", "bmap.toml"]);
        assert!(code == 2 && error.contains(&format!("{key} (from bmap.toml)")) && error.contains(part), "{error}");
        let variable = format!("BMAP_{}", key.to_uppercase());
        let output = operator.command(&["config", "check"]).env(&variable, value).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && error.contains(&format!("{key} (from {variable})")), "{error}");
    }
    for log in ["warn", "INFO", "info,bmap_server=debug", "off"] {
        assert!(operator.command(&["config", "check"]).env("BMAP_LOG", log).status().unwrap().success(), "{log}");
    }
}

#[test]
fn a_root_secret_that_others_read_stops_the_start() {
    let operator = Operator::new();
    operator.out(&["user", "add", "ana"]);
    let root = operator.path("data/root.secret");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, error) = operator.fails(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(code == 1 && error.contains("root.secret") && error.contains("chmod 600"), "{error}");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o600)).unwrap();
    // Another root secret: what the old one sealed does not open, and nothing is served.
    let _first = operator.serve();
    fs::write(&root, [1; 32]).unwrap();
    let (code, error) = operator.fails(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(code == 1 && error.contains("does not open"), "{error}");
    fs::write(&root, [1; 31]).unwrap();
    assert!(operator.fails(&["serve", "--listen", "127.0.0.1:0"]).1.contains("32 bytes"));
    fs::set_permissions(operator.path("data"), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(operator.fails(&["user", "list"]).1.contains("0700"));
}

#[test]
fn the_configuration_is_checked_and_shown_without_secrets() {
    let operator = Operator::new();
    assert_eq!(operator.out(&["config", "check"]), "ok\n");
    fs::write(operator.path("bmap.toml"), "token_seconds = 60\ndatabase_url = \"postgres://u:hunter2@db/x\"\n")
        .unwrap();
    let shown = operator.out(&["config", "show", "--config", "bmap.toml"]);
    assert!(shown.contains("token_seconds = \"60\" # bmap.toml") && !shown.contains("hunter2"), "{shown}");
    let shown = operator.json(&["config", "show", "--config", "bmap.toml"]);
    let key = |name: &str| shown.as_array().unwrap().iter().find(|key| key["key"] == name).unwrap().clone();
    assert_eq!(
        key("token_seconds"),
        json!({ "key": "token_seconds", "set": true, "value": "60", "source": "bmap.toml" })
    );
    assert_eq!(key("database_url")["set"], true);
    assert_eq!((&key("database_url")["value"], &key("mail_url")["set"]), (&json!(null), &json!(false)));
    fs::write(operator.path("bmap.toml"), "tokn_seconds = 60\n").unwrap();
    let (code, error) = operator.fails(&["config", "check", "--config", "bmap.toml"]);
    assert!(code == 2 && error.contains("tokn_seconds") && error.contains("bmap.toml"), "{error}");
    let output = operator.command(&["config", "check"]).env("BMAP_LISTEM", "x").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("BMAP_LISTEM"));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_signed_curl_line_gets_a_token_and_explain_finds_what_a_proxy_changed() {
    let operator = Operator::new();
    let server = operator.serve();
    operator.json(&["tool", "add", "places", "--url", "http://127.0.0.1:4001"]);
    let key = operator.json(&["key", "add", "--user", "admin", "--name", "it's", "--tool", "places"]);
    // A request that was signed in the second of the start is refused: the replay store does not know earlier ones.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let url = format!("http://{}/oauth/token", server.address);
    let form = [
        "--content-type",
        "application/x-www-form-urlencoded",
        "--data",
        "grant_type=client_credentials&audience=places",
    ];
    let line = operator
        .command(&[&["sign", "--curl", url.as_str()][..], &form].concat())
        .env("BMAP_KEY_ID", key["id"].as_str().unwrap())
        .env("BMAP_KEY_SECRET", key["secret"].as_str().unwrap())
        .output()
        .unwrap();
    let line = String::from_utf8(line.stdout).unwrap();
    let answer = Command::new("sh").args(["-c", &format!("{} --silent", line.trim())]).output().unwrap();
    let token: Value = serde_json::from_slice(&answer.stdout).unwrap_or_else(|_| panic!("{line}: {answer:?}"));
    assert_eq!(token["token_type"], "HTTPSig");

    // The token signs a request to the tool; a proxy then writes the query its own way.
    fs::write(operator.path("token.json"), answer.stdout).unwrap();
    let headers = operator.out(&["sign", "--token", "token.json", "http://127.0.0.1:4001/v1/search?q=a%20b"]);
    // One that has ended is named, and signed all the same: the clock of this machine may be the wrong one.
    let ended = json!({ "exp": 1_700_000_000 }).to_string();
    let ended = format!("e30.{}.c2ln", Base64UrlUnpadded::encode_string(ended.as_bytes()));
    let ended = json!({ "access_token": ended, "signing_key": token["signing_key"], "key_id": token["key_id"] });
    fs::write(operator.path("ended.json"), ended.to_string()).unwrap();
    let warned = |file| operator.run(&["sign", "--token", file, "http://127.0.0.1:4001/"]);
    let (old, new) = (warned("ended.json"), warned("token.json"));
    let error = String::from_utf8(old.stderr).unwrap();
    assert!(old.status.success() && error.contains("warning: the token of --token ended"), "{error}");
    assert!(new.stderr.is_empty(), "{new:?}");
    let sent = format!("GET /v1/search?q=a%20b HTTP/1.1\nHost: 127.0.0.1:4001\n{headers}\n");
    fs::write(operator.path("sent.http"), &sent).unwrap();
    fs::write(operator.path("received.http"), sent.replace("a%20b HTTP", "a+b HTTP")).unwrap();
    let explained = operator.out(&["explain", "--received", "received.http", "--sent", "sent.http"]);
    for part in ["line 4, column 15", "?q=a%20b", "?q=a+b", "re-encodes", "the client is right"] {
        assert!(explained.contains(part), "{part}: {explained}");
    }
    assert!(!explained.contains(token["signing_key"].as_str().unwrap()));
    let explained = operator.json(&["explain", "--received", "received.http", "--sent", "sent.http"]);
    assert_eq!(explained["verdict"], "changed_on_the_way");
    let base = |name: &str| explained[name].as_str().unwrap().to_owned();
    assert!(base("signed_base").contains("?q=a%20b") && base("received_base").contains("?q=a+b"), "{explained}");
    assert!(base("difference").contains("line 4, column 15"), "{explained}");
    // The request as sent is good, also from standard input, and also by the tool's credential alone.
    let credential = operator.out(&["tool", "credential", "places"]);
    let mut command = Command::new(BMAP);
    command
        .arg("explain")
        .env_clear()
        .env("BMAP_TOOL_CREDENTIAL", credential.trim())
        .current_dir(operator.folder.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(sent.as_bytes()).unwrap();
    let explained = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(explained.contains("The signature holds over the head that was received"), "{explained}");
}

#[test]
fn explain_says_what_is_wrong_with_a_request_by_itself() {
    let operator = Operator::new();
    operator.out(&["user", "add", "ana"]);
    for (request, part) in [
        ("GET / HTTP/1.1\nHost: a\n\n", "missing_signature"),
        ("GET /a//b HTTP/1.1\nHost: a\n\n", "malformed_request"),
        (
            "GET / HTTP/1.1\nHost: a\nSignature-Input: bmap=(\"@method\");alg=\"x\";tag=\"bmap-1\"\nSignature: bmap=:AAAA:\n\n",
            "malformed_signature",
        ),
        ("POST / HTTP/1.1\nHost: a\nContent-Digest: sha-256=:AAAA:\n\nx", "no readable sha-256"),
    ] {
        fs::write(operator.path("received.http"), request).unwrap();
        let explained = operator.out(&["explain", "--received", "received.http"]);
        assert!(explained.contains(part), "{part}: {explained}");
        let explained = operator.json(&["explain", "--received", "received.http"]);
        assert!(explained["notes"].to_string().contains(part), "{part}: {explained}");
    }
    fs::write(operator.path("received.http"), "not a request").unwrap();
    assert_eq!(operator.fails(&["explain", "--received", "received.http"]).0, 2);
}

#[test]
fn secrets_are_never_flags() {
    let operator = Operator::new();
    let help = operator.out(&["sign", "--help"]);
    assert!(help.contains("BMAP_KEY_SECRET") && help.contains("--secret-file"), "{help}");
    for flag in ["--secret", "--key-secret", "--root-secret", "--database-url"] {
        assert_eq!(operator.fails(&["sign", flag, "x", "http://a/"]).0, 2, "{flag}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let operator = Operator::new();
    operator.out(&["user", "add", "shop"]);
    for arguments in [
        &["openapi"][..],
        &["config", "show"],
        &["user", "list"],
        &["user", "list", "--json"],
        &["audit", "list"],
        &["audit", "list", "--json"],
        &["doctor"],
    ] {
        // The reading end is closed before anything is written.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = operator.command(arguments).stdout(writer).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn help_says_what_a_command_of_its_own_takes_before_what_all_take() {
    let operator = Operator::new();
    let help = operator.out(&["key", "add", "--help"]);
    let place = |text: &str| help.find(text).unwrap_or_else(|| panic!("{text}: {help}"));
    assert!(place("--user <USER>") < place("--name <NAME>") && place("--json") < place("--data-dir"), "{help}");
    assert!(operator.out(&["explain", "--help"]).contains("BMAP_TOOL_CREDENTIAL"));
    assert!(operator.out(&["sign", "--help"]).contains("60 seconds"));
    assert!(operator.out(&["key", "edit", "--help"]).contains("What is not named stays"));
}

#[test]
fn a_name_that_turns_what_stands_beside_it_is_refused() {
    let operator = Operator::new();
    operator.out(&["user", "add", "ana"]);
    for name in ["a\u{202e}nimda", "a\u{2066}b", "a\u{1b}[2J", "a\u{200f}"] {
        let (code, error) = operator.fails(&["user", "add", name]);
        assert!(code == 2 && error.contains("direction of writing"), "{error}");
        assert_eq!(operator.fails(&["key", "add", "--user", "ana", "--name", name]).0, 2);
        assert_eq!(operator.fails(&["tool", "add", name, "--url", "https://x.example"]).0, 2);
    }
}

#[test]
fn serve_names_what_is_not_safe_in_its_log() {
    let operator = Operator::new();
    let secret = operator.path("mail.url");
    fs::write(&secret, "smtps://127.0.0.1:1").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let environment = [
        ("BMAP_MAIL_URL_FILE", secret.as_str()),
        ("BMAP_MAIL_FROM", "no-reply@auth.example"),
        ("BMAP_ISSUER", "http://auth.example"),
    ];
    drop(operator.serve_with(&environment));
    let log = fs::read_to_string(operator.path("log")).unwrap();
    assert!(log.contains(&format!("{secret} holds a secret and has mode 0644")), "{log}");
    assert!(log.contains("http://auth.example is not encrypted"), "{log}");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    drop(operator.serve_with(&[environment[0], environment[1]]));
    let log = fs::read_to_string(operator.path("log")).unwrap();
    assert!(!log.contains("holds a secret") && !log.contains("not encrypted") && !log.contains("clock"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_says_that_its_clock_is_behind_the_database() {
    let operator = Operator::new();
    operator.out(&["user", "add", "ana"]);
    operator.edit("UPDATE users SET created_at = created_at + 3600000").await;
    drop(operator.serve());
    let log = fs::read_to_string(operator.path("log")).unwrap();
    assert!(log.contains("clock is behind the newest row of the database"), "{log}");
}

#[test]
fn a_refused_port_of_postgresql_fails_at_once_and_says_so() {
    let operator = Operator::new();
    let began = tokio::time::Instant::now();
    let url = "postgres://bmap:hunter2@127.0.0.1:1/bmap";
    let output = operator.command(&["user", "add", "ana"]).env("BMAP_DATABASE_URL", url).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("no PostgreSQL server listens") && error.contains("refused"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "a server that is not there is not waited for");
}
