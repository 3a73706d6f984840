//! The same with real processes.

use super::FROM;
use crate::mail_server::{MailServer, is_at_hand};
use crate::operator::Operator;
use crate::person::{PASSWORD, confirm, login, register};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_loses_no_mail_that_it_promised() {
    if !is_at_hand() {
        return;
    }
    let operator = Operator::new();
    // No server listens there yet.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("smtp://127.0.0.1:{port}?tls=none");
    let environment = [("BMAP_MAIL_URL", url.as_str()), ("BMAP_MAIL_FROM", FROM)];
    let mut server = operator.serve_with(&environment);
    let address = server.address.parse().unwrap();
    for number in 0..5 {
        register(&format!("a{number}@shop.example"), PASSWORD).send(address).await.granted();
    }
    // SIGKILL: nothing is said goodbye to.
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    // The mail that it had in hand is leased; as if that minute were over.
    operator.edit("UPDATE outbox SET due_at = 0").await;
    let mailbox = MailServer::start(&serde_json::json!({ "port": port }));
    let server = operator.serve_with(&environment);
    let messages = mailbox.wait_for(5).await;
    let mut to: Vec<&str> = messages.iter().map(|message| message.to[0].as_str()).collect();
    to.sort_unstable();
    assert_eq!(to, ["a0@shop.example", "a1@shop.example", "a2@shop.example", "a3@shop.example", "a4@shop.example"]);
    let address = server.address.parse().unwrap();
    let mine = messages.iter().find(|message| message.to == ["a3@shop.example"]).unwrap();
    confirm(&mine.token(), PASSWORD).send(address).await.granted();
    login("a3@shop.example", PASSWORD).send(address).await.granted();
    let log = std::fs::read_to_string(operator.path("log")).unwrap();
    assert!(log.contains("mail sent") && !log.contains("token="), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_stops_although_a_mail_server_hangs() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}?tls=none", silent.local_addr().unwrap());
    let operator = Operator::new();
    let mut server = operator.serve_with(&[("BMAP_MAIL_URL", url.as_str()), ("BMAP_MAIL_FROM", FROM)]);
    register("ana@shop.example", PASSWORD).send(server.address.parse().unwrap()).await.granted();
    let (_connection, _) = tokio::task::spawn_blocking(move || silent.accept().unwrap()).await.unwrap();
    let id = server.child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    for _ in 0..300 {
        if let Some(status) = server.child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            assert!(std::fs::read_to_string(operator.path("log")).unwrap().contains("sent by the next process"));
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it did not stop within 30 s");
}

#[test]
fn config_check_sees_the_mail_server() {
    let operator = Operator::new();
    let check = |url: &str, from: &str| {
        let mut command = operator.command(&["config", "check"]);
        let output = command.env("BMAP_MAIL_URL", url).env("BMAP_MAIL_FROM", from).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(check("smtps://u:hunter2@mail.example", FROM).0, Some(0));
    for (url, from, key) in [
        ("smtp://u:hunter2@mail.example?tls=none", FROM, "mail_url"),
        ("smtps://u:hunter2@mail.example", "", "mail_from"),
        ("smtps://u:hunter2@mail.example", "no-address", "mail_from"),
    ] {
        let (code, error) = check(url, from);
        assert!(code == Some(2) && error.contains(key) && !error.contains("hunter2"), "{code:?} {error}");
    }
}
