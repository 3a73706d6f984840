//! Mails that tell of acts which outlive a session.

use crate::http_client::Call;
use crate::key_owner::form;
use crate::mail_server::{MailServer, is_at_hand};
use crate::person::{PASSWORD, change_password};
use crate::world::World;
use serde_json::json;

#[tokio::test]
async fn each_act_is_told_with_what_when_and_from_where() {
    if !is_at_hand() {
        return;
    }
    let server = MailServer::plain();
    let world = World::start().await;
    let (ana, root) = (world.key_owner("ana@shop.example").await, world.key_owner("root@shop.example").await);
    root.become_admin().await;
    world.worker.deliver_due().await;
    let world_office = world.worker(super::smtp(&world, &server.plain_url(), None));
    let mut named = form();
    named["name"] = json!("Your account is locked, call 555");
    let key = ana.make_with(named).await;
    ana.regenerate(&key, 60).await.granted();
    ana.change(&key, json!({ "cidrs": [] })).await;
    ana.change(&key, json!({ "name": "shop" })).await;
    // An admin narrows Ana's key: both are told.
    root.change(&key, json!({ "expires_at": world.clock_millis() + 86_400_000 })).await;
    let role = Call { method: "PUT", ..Call::json(&format!("/users/{}/role", ana.user), &json!({ "role": "admin" })) };
    root.stepped_up(role.header("authorization", &format!("Bearer {}", root.access))).await.granted();
    world_office.deliver_due().await;
    let messages = server.wait_for(7).await;
    assert_eq!(messages.len(), 7);
    let mut told: Vec<(String, String)> =
        messages.iter().map(|message| (message.to[0].clone(), message.header("Subject"))).collect();
    told.sort();
    let to = |who: &str, subject: &str| (format!("{who}@shop.example"), subject.to_owned());
    assert_eq!(
        told,
        [
            to("ana", "A user was made an admin"),
            to("ana", "An API key was changed"),
            to("ana", "An API key was changed"),
            to("ana", "An API key was given a new secret"),
            to("ana", "An API key was made"),
            to("root", "A user was made an admin"),
            to("root", "An API key was changed"),
        ]
    );
    let made = messages.iter().find(|message| message.header("Subject") == "An API key was made").unwrap();
    let when = bmap_model::utc::time(world.clock_millis());
    for part in [key.id.as_str(), &format!("when  {when}"), "from  127.0.0.1"] {
        assert!(made.raw.contains(part), "{part}: {}", made.raw);
    }
    for message in &messages {
        assert!(
            !message.raw.contains("call 555") && !message.raw.contains("locked") && !message.raw.contains("bms_"),
            "{}",
            message.raw
        );
    }
}

#[tokio::test]
async fn o08_a_flood_of_other_word_loses_no_notice_of_a_key_and_notices_over_the_budget_come_later() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    world.worker.deliver_due().await;
    // The budget of other mails to the address is used up in this hour.
    for (current, next) in [(PASSWORD, "copper-lantern-12-frost"), ("copper-lantern-12-frost", PASSWORD)].repeat(4) {
        change_password(&ana.access, current, next).send(world.address).await.granted();
    }
    let told = async || {
        world.worker.deliver_due().await;
        let log = world.log();
        let line = "development: An API key was made email=ana@shop.example";
        (log.matches(line).count(), log.matches("development: Your password was changed").count())
    };
    assert_eq!(told().await, (0, 6));
    for _ in 0..15 {
        ana.make().await;
    }
    // Six an hour, and all of them.
    for all in [6, 12, 15, 15] {
        assert_eq!(told().await.0, all);
        world.clock.advance_seconds(3600);
    }
}

#[tokio::test]
async fn a_change_of_password_lists_the_keys_in_its_mail() {
    if !is_at_hand() {
        return;
    }
    let server = MailServer::plain();
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let (key, gone) = (ana.make().await, ana.make().await);
    world.worker.deliver_due().await;
    change_password(&ana.access, PASSWORD, "copper-lantern-12-frost").send(world.address).await.granted();
    assert_eq!(ana.revoke(&gone).await.status, 204);
    world.worker(super::smtp(&world, &server.plain_url(), None)).deliver_due().await;
    let messages = server.wait_for(1).await;
    assert!(
        messages[0].raw.contains(key.id.as_str()) && messages[0].raw.contains("from 127.0.0.1"),
        "{}",
        messages[0].raw
    );
    assert!(!messages[0].raw.contains(gone.id.as_str()) && !messages[0].raw.contains("token="));
}
