use crate::mail_server::{Authority, MailServer, is_at_hand};
use crate::person::{PASSWORD, register};
use crate::world::World;
use serde_json::json;
use tempfile::NamedTempFile;

fn file(content: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    file
}

async fn sends(url: &str, ca: &str) -> bool {
    let ca = file(ca);
    let world = World::mailing_to(url, ca.path().to_str()).await;
    register("ana@shop.example", PASSWORD).send(world.address).await.granted();
    assert_eq!(world.worker.deliver_due().await, 1);
    let is_sent = world.waiting().await == 0;
    // Whatever went wrong is tried again: none of it speaks of the mail.
    world.clock.advance_seconds(5);
    assert_eq!(world.worker.deliver_due().await, usize::from(!is_sent));
    is_sent
}

#[tokio::test]
async fn starttls_and_tls_with_an_authority_of_ones_own() {
    if !is_at_hand() {
        return;
    }
    let authority = Authority::for_server("127.0.0.1");
    for (implicit, scheme) in [(false, "smtp"), (true, "smtps")] {
        let server = MailServer::start(&json!({ "tls": authority.tls(implicit) }));
        assert!(sends(&format!("{scheme}://127.0.0.1:{}", server.port), &authority.ca).await, "{scheme}");
        let messages = server.wait_for(1).await;
        assert!(messages[0].secure && messages.len() == 1, "{messages:?}");
    }
}

#[tokio::test]
async fn t3_a_certificate_that_does_not_hold_gets_no_mail() {
    if !is_at_hand() {
        return;
    }
    let right = Authority::for_server("127.0.0.1");
    let others = [Authority::for_server("127.0.0.1"), Authority::for_server("mail.example")];
    for (implicit, scheme) in [(false, "smtp"), (true, "smtps")] {
        // Of an untrusted authority; and of a trusted one, but for another name.
        for (shown, trusted) in [(&others[0], &right), (&others[1], &others[1])] {
            let server = MailServer::start(&json!({ "tls": shown.tls(implicit) }));
            assert!(!sends(&format!("{scheme}://127.0.0.1:{}", server.port), &trusted.ca).await, "{scheme}");
            assert!(server.messages().is_empty());
        }
    }
}

#[tokio::test]
async fn t3_a_server_that_offers_no_starttls_gets_neither_mail_nor_credentials() {
    if !is_at_hand() {
        return;
    }
    let authority = Authority::for_server("127.0.0.1");
    let server = MailServer::start(&json!({ "user": "bmap", "password": "pass/word" }));
    assert!(!sends(&format!("smtp://bmap:pass%2Fword@127.0.0.1:{}", server.port), &authority.ca).await);
    assert_eq!((server.messages().len(), server.refusals()), (0, 0));
}

#[tokio::test]
async fn credentials_are_shown_and_wrong_ones_lose_no_mail() {
    if !is_at_hand() {
        return;
    }
    let authority = Authority::for_server("127.0.0.1");
    let server = MailServer::start(&json!({ "tls": authority.tls(false), "user": "bmap", "password": "pass/word" }));
    let url = |user: &str| format!("smtp://{user}127.0.0.1:{}", server.port);
    assert!(!sends(&url("bmap:wrong@"), &authority.ca).await);
    assert!(!sends(&url(""), &authority.ca).await, "credentials are required");
    assert!(server.messages().is_empty());
    assert!(sends(&url("bmap:pass%2Fword@"), &authority.ca).await);
    assert_eq!(server.wait_for(1).await[0].user.as_deref(), Some("bmap"));
    let log = crate::log::text();
    assert!(!log.contains("pass/word") && !log.contains("pass%2Fword"));
}
