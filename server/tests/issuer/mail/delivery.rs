use super::smtp;
use crate::mail_server::{MailServer, is_at_hand};
use crate::person::{PASSWORD, confirm, login, register};
use crate::world::World;
use bmap_issuer::mail::worker::LEASE_SECONDS;
use lettre::message::header::{Date, Headers};
use serde_json::json;
use std::time::{Duration, UNIX_EPOCH};

#[tokio::test]
async fn a_registration_is_mailed_and_its_link_works() {
    if !is_at_hand() {
        return;
    }
    let server = MailServer::plain();
    let world = World::mailing(&server).await;
    world.clock.advance_seconds(86_400);
    register("Ana+x@Shop.example", PASSWORD).send(world.address).await.granted();
    assert_eq!(world.waiting().await, 1);
    assert_eq!(world.worker.deliver_due().await, 1);
    let messages = server.wait_for(1).await;
    let message = &messages[0];
    assert_eq!(
        (message.from.as_str(), message.to.as_slice()),
        ("no-reply@auth.example", &["ana+x@shop.example".to_owned()][..])
    );
    assert_eq!(message.header("From"), "Places <no-reply@auth.example>");
    assert_eq!(message.header("To"), "ana+x@shop.example");
    assert_eq!(message.header("Subject"), "Confirm your email address");
    let mut expected = Headers::new();
    expected.set(Date::from(UNIX_EPOCH + Duration::from_secs(world.now())));
    assert_eq!(Some(message.header("Date").as_str()), expected.get_raw("Date"), "by the injected clock");
    assert_eq!(message.header("Auto-Submitted"), "auto-generated");
    let id = message.header("Message-ID");
    assert!(id.starts_with("<eml_") && id.ends_with("@127.0.0.1>"), "{id}");
    assert!(message.raw.contains(&format!("http://{}/auth/confirm?token=bmc_", world.address)));
    confirm(&message.token(), PASSWORD).send(world.address).await.granted();
    login("ana+x@shop.example", PASSWORD).send(world.address).await.granted();
    assert_eq!((world.waiting().await, world.worker.deliver_due().await), (0, 0), "sent, and gone");
}

#[tokio::test]
async fn r31_an_address_that_has_an_account_is_told_so_by_mail_and_by_nothing_else() {
    if !is_at_hand() {
        return;
    }
    let server = MailServer::plain();
    let world = World::mailing(&server).await;
    register("ana@shop.example", PASSWORD).send(world.address).await;
    world.worker.deliver_due().await;
    confirm(&server.wait_for(1).await[0].token(), PASSWORD).send(world.address).await.granted();
    let known = register("ana@shop.example", "another-phrase-entirely-7").send(world.address).await;
    let unknown = register("ben@shop.example", "another-phrase-entirely-7").send(world.address).await;
    assert_eq!((known.status, &known.body), (unknown.status, &unknown.body));
    world.worker.deliver_due().await;
    let messages = server.wait_for(3).await;
    let to = |to: &str| messages[1..].iter().find(|message| message.to == [to]).unwrap();
    let ana = to("ana@shop.example");
    assert_eq!(ana.header("Subject"), "You have an account already");
    assert!(!ana.raw.contains("token="), "{}", ana.raw);
    assert_eq!(to("ben@shop.example").header("Subject"), "Confirm your email address");
}

#[tokio::test]
async fn a_server_that_is_down_gets_the_mail_when_it_is_up() {
    if !is_at_hand() {
        return;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let world = World::mailing_to(&format!("smtp://127.0.0.1:{port}?tls=none"), None).await;
    register("ana@shop.example", PASSWORD).send(world.address).await.granted();
    assert_eq!((world.worker.deliver_due().await, world.waiting().await), (1, 1));
    assert_eq!(world.worker.deliver_due().await, 0, "not before its time");
    let server = MailServer::start(&json!({ "port": port }));
    world.clock.advance_seconds(5);
    assert_eq!((world.worker.deliver_due().await, world.waiting().await), (1, 0));
    assert_eq!(server.wait_for(1).await.len(), 1);
}

#[tokio::test]
async fn a_4xx_is_tried_again_later_each_time_and_a_5xx_is_not() {
    if !is_at_hand() {
        return;
    }
    for at in ["mail", "rcpt", "data"] {
        let server = MailServer::start(&json!({ "refuse": { "at": at, "code": 451, "times": 2 } }));
        let world = World::mailing(&server).await;
        register("ana@shop.example", PASSWORD).send(world.address).await.granted();
        assert_eq!(world.worker.deliver_due().await, 1);
        world.clock.advance_seconds(5);
        assert_eq!(world.worker.deliver_due().await, 1, "{at}: the second time within 5 s");
        world.clock.advance_seconds(4);
        assert_eq!(world.worker.deliver_due().await, 0, "{at}: the third not within 4 s of it");
        world.clock.advance_seconds(6);
        assert_eq!((world.worker.deliver_due().await, world.waiting().await), (1, 0), "{at}");
        assert_eq!((server.wait_for(1).await.len(), server.refusals()), (1, 2), "{at}");

        let server = MailServer::start(&json!({ "refuse": { "at": at, "code": 554, "times": 1 } }));
        let world = World::mailing(&server).await;
        let to = format!("refused-at-{at}@shop.example");
        register(&to, PASSWORD).send(world.address).await.granted();
        assert_eq!((world.worker.deliver_due().await, world.waiting().await), (1, 0), "{at}: given up");
        assert!(server.messages().is_empty());
    }
    let log = crate::log::text();
    let given_up: Vec<&str> =
        log.lines().filter(|line| line.contains("mail given up") && line.contains("554")).collect();
    assert!(given_up.len() >= 3 && given_up.iter().all(|line| line.contains("ERROR")), "{given_up:?}");
    // T33: a mail server's text may hold anything, and is escaped.
    assert!(given_up.iter().all(|line| !line.contains('\u{1b}') && !line.contains("token")), "{given_up:?}");
}

#[tokio::test]
async fn a_server_that_hangs_has_a_deadline() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}?tls=none", silent.local_addr().unwrap());
    let mut world = World::start().await;
    world.worker = world.worker(smtp(&world, &url, None).with_deadline(Duration::from_millis(300)));
    register("ana@shop.example", PASSWORD).send(world.address).await.granted();
    let sent = tokio::time::timeout(Duration::from_secs(20), world.worker.deliver_due()).await;
    assert_eq!((sent.unwrap(), world.waiting().await), (1, 1));
    let (_connection, _) = silent.accept().await.unwrap();
    assert!(crate::log::text().contains("no end within"));
}

#[tokio::test]
async fn a_mail_is_given_up_when_it_is_of_no_use() {
    let world = World::mailing_to("smtp://127.0.0.1:1?tls=none", None).await;
    register("ana@shop.example", PASSWORD).send(world.address).await.granted();
    let mut tries = 0;
    for _ in 0..24 {
        tries += world.worker.deliver_due().await;
        world.clock.advance_seconds(3600);
    }
    assert_eq!(tries, 24, "at most an hour apart");
    world.worker.deliver_due().await;
    assert_eq!(world.waiting().await, 0);
    let log = crate::log::text();
    assert!(log.lines().any(|line| line.contains("mail given up") && line.contains("of no use any more")), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_post_offices_one_sends_each_mail() {
    if !is_at_hand() {
        return;
    }
    let server = MailServer::plain();
    let world = World::mailing(&server).await;
    for number in 0..20 {
        register(&format!("a{number}@shop.example"), PASSWORD).send(world.address).await.granted();
        world.clock.advance_seconds(60);
    }
    let offices: Vec<_> = (0..4).map(|_| world.worker(smtp(&world, &server.plain_url(), None))).collect();
    let sent = futures_util::future::join_all(offices.iter().map(|worker| worker.deliver_due())).await;
    assert_eq!(sent.iter().sum::<usize>(), 20, "{sent:?}");
    let mut to: Vec<String> = server.wait_for(20).await.into_iter().flat_map(|message| message.to).collect();
    to.sort();
    to.dedup();
    assert_eq!((to.len(), server.messages().len(), world.waiting().await), (20, 20, 0));
}

#[tokio::test]
async fn a_mail_in_a_hand_that_died_is_somebody_elses_after_its_lease() {
    use bmap_model::clock::WallClock;
    if !is_at_hand() {
        return;
    }
    let server = MailServer::plain();
    let world = World::mailing(&server).await;
    register("ana@shop.example", PASSWORD).send(world.address).await.granted();
    let now = world.clock.now();
    let (store, lease_end) = (&world.issuer.store, now.plus_seconds(LEASE_SECONDS));
    let in_hand = store.claim_mail("a worker that dies", now, lease_end, 10).await.unwrap();
    assert_eq!((in_hand.len(), world.worker.deliver_due().await), (1, 0), "leased");
    world.clock.advance_seconds(LEASE_SECONDS);
    assert_eq!((world.worker.deliver_due().await, server.wait_for(1).await.len()), (1, 1));
    assert!(!store.finish_mail(&in_hand[0].id, "a worker that dies").await.unwrap());
}
