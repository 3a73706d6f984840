use crate::http_client::Call;
use crate::mail_server::{MailServer, is_at_hand};
use crate::person::{PASSWORD, login, register, reset, set_password};
use crate::world::World;
use bmap_model::clock::WallClock;
use bmap_model::mail::budget::Budget;
use bmap_server::http::app::App;
use std::sync::Arc;

#[tokio::test]
async fn r32_an_address_is_not_flooded_by_many_reasons_processes_or_spellings() {
    let world = World::start().await;
    // Each process counts calls for itself, and all count mails together.
    for round in 0..7 {
        let app = App::new(Arc::clone(&world.issuer), Vec::new()).unwrap();
        let app = app.with_links(bmap_issuer::account::service::LinkDelivery::Log);
        let other = world.serve(&app).await;
        for call in [register("Victim@shop.example", PASSWORD), reset("victim@SHOP.example")] {
            assert_eq!(call.send(other).await.status, 202, "{round}");
        }
    }
    let most = Budget::Registration.per_hour() + Budget::NewPassword.per_hour();
    assert_eq!((world.waiting().await, most), (most, 9));
    assert_eq!(register("other@shop.example", PASSWORD).send(world.address).await.status, 202);
    assert_eq!(world.waiting().await, most + 1);
    world.clock.advance_seconds(3600);
    register("victim@shop.example", PASSWORD).send(world.address).await.granted();
    assert_eq!(world.waiting().await, most + 2);
}

#[tokio::test]
async fn r32_nobody_holds_back_the_link_that_the_owner_of_a_mailbox_waits_for() {
    const NEW: &str = "copper-lantern-12-frost";
    let world = World::with(vec!["127.0.0.1/32".parse().unwrap()]).await;
    let from = async |call: Call, network: usize| {
        call.header("x-forwarded-for", &format!("198.51.{network}.7")).send(world.address).await.status
    };
    world.person("ana@shop.example").await;
    // The first second of an hour: the worst moment for Ana.
    let second = world.clock.now().seconds().rem_euclid(3600);
    world.clock.advance_seconds(3600 - second);
    for network in 0..20 {
        assert_eq!(from(register("ana@shop.example", PASSWORD), network).await, 202);
    }
    world.worker.deliver_due().await;
    // Mails that other callers caused do not count against her link, and neither does how often they asked.
    assert_eq!(from(reset("ana@shop.example"), 99).await, 202);
    assert_eq!(world.links_to("/auth/password/reset", "ana@shop.example").await.len(), 1);
    for network in 0..20 {
        assert_eq!(from(reset("ana@shop.example"), network).await, 202);
    }
    let links = world.links_to("/auth/password/reset", "ana@shop.example").await;
    assert_eq!(i64::try_from(links.len()).unwrap(), Budget::NewPassword.per_hour());
    // She asks in the last second of that hour and gets no other link: she has one that works, whichever caller asked
    // for it.
    world.clock.advance_seconds(3599);
    assert_eq!(from(reset("ana@shop.example"), 99).await, 202);
    assert_eq!(world.links_to("/auth/password/reset", "ana@shop.example").await, links);
    set_password(links.last().unwrap(), NEW).send(world.address).await.granted();
    login("ana@shop.example", NEW).send(world.address).await.granted();
    // The next hour is a new one.
    world.clock.advance_seconds(1);
    assert_eq!(from(reset("ana@shop.example"), 99).await, 202);
    assert_eq!(world.links_to("/auth/password/reset", "ana@shop.example").await.len(), links.len() + 1);
    // One network asks three times in a row and no more.
    for _ in 0..3 {
        assert_eq!(from(reset("ben@shop.example"), 5).await, 202);
    }
    assert_eq!((from(reset("ben@shop.example"), 5).await, from(reset("ben@shop.example"), 6).await), (429, 202));
}

#[tokio::test]
async fn r32_strangers_hold_back_no_invitation_no_change_of_address_and_from_one_network_no_registration() {
    const NEW: &str = "bob@victim.example";
    let world = World::with(vec!["127.0.0.1/32".parse().unwrap()]).await;
    let boss = world.key_owner("boss@shop.example").await;
    boss.become_admin().await;
    let from = async |call: Call, network: usize| {
        let call = call.header("x-forwarded-for", &format!("198.51.{network}.7"));
        let status = call.send(world.address).await.status;
        world.worker.deliver_due().await;
        status
    };
    let registrations = async || world.links_to("/auth/confirm", NEW).await.len();
    // One network asks for as many as it may, for an hour.
    let second = world.clock.now().seconds().rem_euclid(3600);
    world.clock.advance_seconds(3600 - second);
    let mut asked = 0;
    for _ in 0..60 {
        asked += usize::from(from(register(NEW, PASSWORD), 1).await == 202);
        world.clock.advance_seconds(59);
    }
    assert!(asked >= 3, "{asked}");
    let before = registrations().await;
    assert_eq!(from(register(NEW, PASSWORD), 2).await, 202);
    assert_eq!(registrations().await, before + 1, "another network has a link");
    // Many networks use up the registrations of this hour, and nothing else.
    for network in 3..20 {
        from(register(NEW, PASSWORD), network).await;
    }
    let boss = boss.again().await;
    let invited = boss.send("POST", "/invitations", &serde_json::json!({ "email": NEW })).await;
    assert_eq!(invited.status, 202);
    let change = serde_json::json!({ "email": NEW, "password": PASSWORD });
    let changed = boss.call("POST", "/auth/email").body("application/json", change.to_string());
    assert_eq!(changed.send(world.address).await.status, 202);
    world.worker.deliver_due().await;
    assert_eq!(world.links_to("/auth/invitation", NEW).await.len(), 1);
    assert_eq!(world.links_to("/auth/email/confirm", NEW).await.len(), 1);
}

#[tokio::test]
async fn nobody_gets_words_of_their_own_into_a_mail() {
    if !is_at_hand() {
        return;
    }
    let server = MailServer::plain();
    let world = World::mailing(&server).await;
    for injected in [
        "ana@shop.example\r\nBcc: everybody@shop.example",
        "ana@shop.example\nSubject: buy",
        "ana@shop.example, everybody@shop.example",
        "\"ana\r\nBcc: x\"@shop.example",
        "ana@shop.example>\r\nDATA",
        "Buy now <ana@shop.example>",
    ] {
        for call in [register(injected, PASSWORD), reset(injected)] {
            call.send(world.address).await.assert_refused("malformed_request");
        }
    }
    // Every character that an address may have.
    register("a!#$%&'*+-/=?^_`{|}~b@shop.example", PASSWORD).send(world.address).await.granted();
    assert_eq!(world.worker.deliver_due().await, 1);
    let messages = server.wait_for(1).await;
    assert_eq!(messages[0].to, ["a!#$%&'*+-/=?^_`{|}~b@shop.example"]);
    assert_eq!(messages[0].raw.to_lowercase().matches("bcc").count(), 0);
}
