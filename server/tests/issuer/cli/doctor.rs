//! `bmap doctor` names what is wrong, and changes nothing.

use crate::mail_server::{Authority, MailServer, is_at_hand};
use crate::operator::Operator;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// The findings with some environment, and the exit code.
fn doctor(operator: &Operator, environment: &[(&str, &str)]) -> (i32, Vec<Value>) {
    let mut command = operator.command(&["doctor", "--json"]);
    // The usual port may be another test's.
    let output = command.env("BMAP_LISTEN", "127.0.0.1:0").envs(environment.iter().copied()).output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = found["findings"].as_array().unwrap().clone();
    let faults = findings.iter().filter(|finding| finding["level"] == "fault").count();
    assert_eq!(found["faults"], faults);
    (output.status.code().unwrap(), findings)
}

/// Asserts that there is a fault about something that says something, with advice.
#[track_caller]
fn assert_fault(operator: &Operator, environment: &[(&str, &str)], about: &str, says: &str) {
    let (code, findings) = doctor(operator, environment);
    let fault = findings.iter().find(|finding| finding["level"] == "fault" && finding["about"] == about);
    let fault = fault.unwrap_or_else(|| panic!("no fault about {about}: {findings:?}"));
    assert!(fault["says"].as_str().unwrap().contains(says), "{fault}");
    assert!(!fault["advice"].as_str().unwrap().is_empty(), "{fault}");
    assert_eq!(code, 1);
}

async fn edit(operator: &Operator, sql: &'static str) {
    operator.edit(sql).await;
}

/// A server that was there once.
fn installation() -> Operator {
    let operator = Operator::new();
    drop(operator.serve());
    operator
}

#[test]
fn a_good_installation_has_no_fault() {
    let operator = installation();
    let (code, findings) = doctor(&operator, &[]);
    assert_eq!(code, 0, "{findings:?}");
    for about in ["configuration", "data folder", "root secret", "database", "clock", "API keys", "users"] {
        assert!(findings.iter().any(|finding| finding["about"] == about && finding["level"] == "ok"), "{findings:?}");
    }
    assert!(findings.iter().all(|finding| finding["level"] == "ok"), "{findings:?}");
    let output = operator.command(&["doctor"]).env("BMAP_LISTEN", "127.0.0.1:0").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("ok  root secret") && text.lines().count() == findings.len(), "{text}");
}

#[test]
fn nothing_is_made_where_nothing_is() {
    let operator = Operator::new();
    assert_fault(&operator, &[], "data folder", "No such file");
    assert_fault(&operator, &[], "root secret", "there is no");
    // A server's database is there before there is anything in it.
    let says = if crate::database::is_postgres() { "behind" } else { "there is none" };
    assert_fault(&operator, &[], "database", says);
    assert_eq!(fs::read_dir(operator.folder.path()).unwrap().count(), 0);
    let (_, findings) = doctor(&operator, &[("BMAP_LISTEN", "everywhere")]);
    assert_eq!(findings.len(), 1, "what a fault hides is not guessed at");
    assert_eq!((&findings[0]["about"], &findings[0]["level"]), (&"configuration".into(), &"fault".into()));
}

#[test]
fn modes_and_another_root_secret() {
    let operator = installation();
    let mode = |path: &str, mode| fs::set_permissions(operator.path(path), fs::Permissions::from_mode(mode)).unwrap();
    mode("data/root.secret", 0o644);
    assert_fault(&operator, &[], "root secret", "mode 0644");
    mode("data/root.secret", 0o600);
    mode("data", 0o755);
    assert_fault(&operator, &[], "data folder", "mode 0755");
    mode("data", 0o700);
    fs::write(operator.path("data/root.secret"), [9; 32]).unwrap();
    assert_fault(&operator, &[], "root secret", "the root secret is another one");
    fs::remove_file(operator.path("data/root.secret")).unwrap();
    assert_fault(&operator, &[], "root secret", "there is no file");
    assert!(!operator.folder.path().join("data/root.secret").exists(), "no new one is made");
}

#[tokio::test]
async fn a_database_that_somebody_edited_and_a_clock_that_went_back() {
    let operator = installation();
    edit(&operator, "UPDATE api_keys SET scope = replace(scope, 'null', '99999999999')").await;
    assert_fault(&operator, &[], "API keys", "1 of 1 don't open: bmk_");

    let operator = installation();
    edit(&operator, "UPDATE users SET role_mac = 'AAAA'").await;
    assert_fault(&operator, &[], "users", "is not as it was written");

    let operator = installation();
    edit(&operator, "UPDATE users SET created_at = created_at + 3600000").await;
    assert_fault(&operator, &[], "clock", "behind the newest row");

    let operator = installation();
    edit(&operator, "INSERT INTO settings (name, value) VALUES ('token_epoch', '7')").await;
    assert_fault(&operator, &[], "root secret", "minted in epoch 7");

    let operator = installation();
    edit(&operator, "UPDATE api_keys SET epoch = 4").await;
    assert_fault(&operator, &[], "root secret", "epoch 4 is not at hand, and needed by 1 API key");

    if crate::database::is_postgres() {
        return;
    }
    let operator = installation();
    let file = operator.path("data/bmap.sqlite");
    edit(&operator, "UPDATE settings SET value = value").await; // folds the log into the file
    let mut bytes = fs::read(&file).unwrap();
    let page = 4096;
    let end = bytes.len() - page;
    bytes[page * 4..end].fill(0xa5);
    fs::write(&file, bytes).unwrap();
    assert_fault(&operator, &[], "database", "");
}

#[test]
fn a_database_out_of_reach_and_settings_that_are_not_safe() {
    let operator = installation();
    let nobody = "postgres://bmap:hunter2@127.0.0.1:1/bmap?sslmode=disable";
    assert_fault(&operator, &[("BMAP_DATABASE_URL", nobody)], "database", "");
    let (_, findings) = doctor(&operator, &[("BMAP_DATABASE_URL", nobody)]);
    assert!(!format!("{findings:?}").contains("hunter2"), "{findings:?}");
    assert_fault(&operator, &[("BMAP_TRUSTED_PROXIES", "10.0.0.0/8,0.0.0.0/0")], "trusted_proxies", "every address");
    let both = [("BMAP_DEVELOPMENT", "true"), ("BMAP_LISTEN", "0.0.0.0:4000")];
    assert_fault(&operator, &both, "development", "0.0.0.0:4000");
    assert_fault(&operator, &[("BMAP_ISSUER", "http://auth.example")], "issuer", "not encrypted");
    assert_fault(&operator, &[("BMAP_ISSUER", "http://127.0.0.1.evil.example")], "issuer", "not encrypted");
    let (code, findings) = doctor(&operator, &[("BMAP_ISSUER", "https://auth.example")]);
    let warned = |says: &str| {
        findings.iter().any(|finding| finding["level"] == "warning" && finding["says"].as_str().unwrap().contains(says))
    };
    assert!(code == 0 && warned("when the server last ran"), "{findings:?}");
    operator.out(&["tool", "add", "places", "--url", "http://places.example"]);
    let (code, findings) = doctor(&operator, &[]);
    let unencrypted = findings.iter().find(|finding| finding["about"] == "tool").unwrap();
    assert!(code == 0 && unencrypted["level"] == "warning", "{findings:?}");
}

#[tokio::test]
async fn tools_that_signed_in_users_had_without_a_grant_are_named() {
    let operator = installation();
    let user = |name| operator.json(&["user", "add", name])["id"].as_str().unwrap().to_owned();
    let (ana, ben) = (user("ana"), user("ben"));
    let add = |id| operator.out(&["tool", "add", id, "--url", "https://places.example", "--callers", "user"]);
    add("places");
    add("maps");
    operator.out(&["tool", "grant", "ben", "places"]);
    let now = bmap_model::clock::WallClock::now(&bmap_model::clock::MachineClock).0;
    let entry = |number: i64, at: i64, user: &str, tool: &str, outcome: &str| {
        format!(
            "INSERT INTO audit_log (sequence, epoch, at, action, outcome, actor, actor_id, actor_user, target, target_id, detail, mac) \
             VALUES ({number}, 1, {at}, 'token.grant', '{outcome}', 'user', '{user}', '{user}', 'tool', '{tool}', '{{}}', 'x')"
        )
    };
    let named = || {
        let (code, findings) = doctor(&operator, &[]);
        assert_eq!(code, 0, "{findings:?}");
        findings.iter().filter(|one| one["about"] == "grants").map(|one| one["says"].to_string()).collect::<Vec<_>>()
    };
    // With a grant, long ago, refused, of a tool that is gone.
    for (number, sql) in [
        entry(1001, now, &ben, "places", "done"),
        entry(1002, now - 31 * 86_400_000, &ana, "places", "done"),
        entry(1003, now, &ana, "places", "tool_denied"),
        entry(1004, now, &ana, "gone", "done"),
    ]
    .iter()
    .enumerate()
    {
        operator.edit(sql).await;
        assert!(named().is_empty(), "{number}");
    }
    operator.edit(&entry(1005, now, &ana, "places", "done")).await;
    operator.edit(&entry(1006, now, &ben, "maps", "done")).await;
    let found = named();
    assert!(
        found.len() == 2
            && found[0].contains(&format!("tokens of maps in the last 30 days and have no grant of it: {ben}")),
        "{found:?}"
    );
    assert!(found[1].contains(&ana) && !found[1].contains(&ben), "{found:?}");
    operator.out(&["tool", "edit", "maps", "--open"]);
    operator.out(&["tool", "grant", "ana", "places"]);
    assert!(named().is_empty());
}

#[test]
fn the_port_the_disk_and_files_with_secrets() {
    let operator = installation();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    assert_fault(&operator, &[("BMAP_LISTEN", &taken)], "listen", "another program listens on");
    assert_fault(&operator, &[("BMAP_LISTEN", "192.0.2.1:4000")], "listen", "192.0.2.1:4000");
    let server = operator.serve();
    let (code, findings) = doctor(&operator, &[("BMAP_LISTEN", &server.address)]);
    let says = |about: &str| findings.iter().find(|finding| finding["about"] == about).unwrap()["says"].to_string();
    assert!(code == 0 && says("listen").contains("the server of this installation listens"), "{findings:?}");
    let others = installation();
    assert_fault(&others, &[("BMAP_LISTEN", &server.address)], "listen", "the server of another installation listens");
    assert!(says("disk").contains("MiB are left"), "{findings:?}");
    let secret = operator.path("mail.url");
    fs::write(&secret, "smtps://127.0.0.1:1").unwrap();
    let mail = [("BMAP_MAIL_URL_FILE", secret.as_str()), ("BMAP_MAIL_FROM", "no-reply@auth.example")];
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o604)).unwrap();
    assert_fault(&operator, &mail, "secret file", "mail.url holds a secret and has mode 0604");
    let configured = operator.path("bmap.toml");
    fs::write(
        &configured,
        "[openid.acme]\nissuer = \"https://login.example\"\nclient_id = \"b\"\nclient_secret = \"hunter2\"\n",
    )
    .unwrap();
    fs::set_permissions(&configured, fs::Permissions::from_mode(0o644)).unwrap();
    let with_file = [("BMAP_CONFIG", configured.as_str()), ("BMAP_SIGN_IN_ORIGINS", "https://shop.example")];
    assert_fault(&operator, &with_file, "secret file", "bmap.toml holds a secret");
    let (_, findings) = doctor(&operator, &with_file);
    assert!(!format!("{findings:?}").contains("hunter2"));
}

#[test]
fn a_mail_server_is_asked_whether_it_takes_mail_and_gets_none() {
    if !is_at_hand() {
        return;
    }
    let operator = installation();
    let authority = Authority::for_server("127.0.0.1");
    let file = operator.path("ca.pem");
    fs::write(&file, &authority.ca).unwrap();
    let from = "no-reply@auth.example";
    let with = |url: &str, ca: &str| {
        let mail = [("BMAP_MAIL_URL", url), ("BMAP_MAIL_FROM", from), ("BMAP_MAIL_CA_FILE", ca)];
        let (_, findings) = doctor(&operator, &mail);
        let said = format!("{findings:?}");
        assert!(["pass/", "pass%", "passing"].iter().all(|secret| !said.contains(secret)), "{said}");
        let mail = findings.into_iter().find(|finding| finding["about"] == "mail").unwrap();
        (mail["level"].as_str().unwrap().to_owned(), format!("{} {}", mail["says"], mail["advice"]))
    };
    let options = serde_json::json!({ "tls": authority.tls(false), "user": "bmap", "password": "pass/word" });
    let server = MailServer::start(&options);
    let url = |user: &str| format!("smtp://{user}127.0.0.1:{}", server.port);
    assert_eq!(with(&url("bmap:pass%2Fword@"), &file).0, "ok");
    let wrong = with(&url("bmap:passing@"), &file);
    assert!(wrong.0 == "fault" && wrong.1.contains("refuses user or password"), "{wrong:?}");
    let other = operator.path("other.pem");
    fs::write(&other, Authority::for_server("127.0.0.1").ca).unwrap();
    let stranger = with(&url("bmap:pass%2Fword@"), &other);
    assert!(stranger.0 == "fault" && stranger.1.contains("of an authority that is not trusted"), "{stranger:?}");
    let plain = MailServer::plain();
    let naked = with(&format!("smtp://127.0.0.1:{}", plain.port), &file);
    assert!(naked.0 == "fault" && naked.1.contains("STARTTLS"), "{naked:?}");
    let nobody = with("smtps://127.0.0.1:1", &file);
    assert!(nobody.0 == "fault" && nobody.1.contains("see that it runs"), "{nobody:?}");
    assert!(server.messages().is_empty() && plain.messages().is_empty());
}

#[tokio::test]
async fn a_mail_that_waits_for_long_is_a_warning() {
    let operator = installation();
    let add = "INSERT INTO outbox (id, epoch, sealed, created_at, expires_at, due_at, attempts) \
               SELECT 'eml_x', 1, 'x', MAX(created_at), 0, 0, 9 FROM users";
    edit(&operator, add).await;
    let outbox = || {
        let (code, findings) = doctor(&operator, &[]);
        let found = findings.iter().find(|finding| finding["about"] == "outbox").unwrap();
        (code, found["level"].as_str().unwrap().to_owned(), found["says"].as_str().unwrap().to_owned())
    };
    assert_eq!(outbox(), (0, "ok".to_owned(), "1 mails wait, the oldest for 0 min".to_owned()));
    edit(&operator, "UPDATE outbox SET created_at = created_at - 1000000").await;
    assert_eq!(outbox(), (0, "warning".to_owned(), "1 mails wait, the oldest for 16 min".to_owned()));
}

#[test]
fn every_shell_has_completions() {
    let operator = Operator::new();
    for (shell, says) in [("bash", "complete -F _bmap"), ("zsh", "#compdef bmap"), ("fish", "complete -c bmap")] {
        let script = operator.out(&["completions", shell]);
        assert!(script.contains(says) && script.contains("doctor"), "{shell}");
    }
    assert_eq!(operator.fails(&["completions", "none"]).0, 2);
}
