//! StoredNotice of what was changed.

use crate::mail_server::{MailServer, Message, is_at_hand};
use crate::person::{
    PASSWORD, change_address, change_password, confirm, confirm_address, login, register, reset, set_password,
};
use crate::world::World;
use bmap_issuer::account::service::LinkDelivery;
use bmap_model::mail::budget::Budget;
use bmap_server::http::app::App;
use std::sync::Arc;

const NEW: &str = "copper-lantern-12-frost";
const NEWER: &str = "amber-harbour-77-mint";

/// A world with Ana in it, and the number of mails that she has by now.
async fn with_ana(server: &MailServer) -> World {
    let world = World::mailing(server).await;
    register("ana@shop.example", PASSWORD).send(world.address).await.granted();
    world.worker.deliver_due().await;
    confirm(&server.wait_for(1).await[0].token(), PASSWORD).send(world.address).await.granted();
    world
}

/// The mail after so many, which is the last one.
async fn after(world: &World, server: &MailServer, before: usize) -> Message {
    world.worker.deliver_due().await;
    let messages = server.wait_for(before + 1).await;
    assert_eq!(messages.len(), before + 1, "{messages:?}");
    messages[before].clone()
}

#[track_caller]
fn assert_word(message: &Message, to: &str, subject: &str) {
    assert_eq!((message.to.as_slice(), message.header("Subject").as_str()), (&[to.to_owned()][..], subject));
    for secret in [PASSWORD, NEW, NEWER, "token=", "bmp_", "bme_", "bmr_", "eyJ"] {
        assert!(!message.raw.contains(secret), "{}", message.raw);
    }
}

#[tokio::test]
async fn a_change_of_password_is_told_and_a_try_is_not() {
    if !is_at_hand() {
        return;
    }
    let server = MailServer::plain();
    let world = with_ana(&server).await;
    let pair = crate::person::Pair::of(&login("ana@shop.example", PASSWORD).send(world.address).await);
    change_password(&pair.access, "a wrong one", NEW).send(world.address).await.assert_refused("invalid_credentials");
    change_password(&pair.access, PASSWORD, "password1").send(world.address).await.assert_refused("malformed_request");
    assert_eq!(world.waiting().await, 0);
    change_password(&pair.access, PASSWORD, NEW).send(world.address).await.granted();
    assert_word(&after(&world, &server, 1).await, "ana@shop.example", "Your password was changed");
    // By a link too.
    reset("ana@shop.example").send(world.address).await.granted();
    let token = after(&world, &server, 2).await.token();
    set_password(&token, NEWER).send(world.address).await.granted();
    assert_word(&after(&world, &server, 3).await, "ana@shop.example", "Your password was changed");
    set_password(&token, NEW).send(world.address).await.assert_refused("invalid_credentials");
    assert_eq!(world.waiting().await, 0);
}

#[tokio::test]
async fn the_address_that_an_account_had_is_told_where_it_went() {
    if !is_at_hand() {
        return;
    }
    let server = MailServer::plain();
    let world = with_ana(&server).await;
    let pair = crate::person::Pair::of(&login("ana@shop.example", PASSWORD).send(world.address).await);
    change_address(&pair.access, "ana@home.example", PASSWORD).send(world.address).await.granted();
    world.worker.deliver_due().await;
    let messages = server.wait_for(3).await;
    let link = messages.iter().find(|message| message.to == ["ana@home.example"]).unwrap().token();
    confirm_address(&link, "a wrong one").send(world.address).await.assert_refused("invalid_credentials");
    assert_eq!(world.waiting().await, 0);
    confirm_address(&link, PASSWORD).send(world.address).await.granted();
    let word = after(&world, &server, 3).await;
    assert_word(&word, "ana@shop.example", "Your email address was changed");
    assert!(word.raw.contains("ana@home.example"), "{}", word.raw);
}

#[tokio::test]
async fn word_has_a_budget_of_its_own_and_a_change_is_made_without_it() {
    let world = World::start().await;
    let pair = world.person("ana@shop.example").await.sign_in().await;
    world.worker.deliver_due().await;
    // Whatever strangers have mailed to her.
    for _ in 0..3 {
        register("ana@shop.example", PASSWORD).send(world.address).await;
        reset("ana@shop.example").send(world.address).await;
    }
    world.worker.deliver_due().await;
    let mut passwords = [PASSWORD, NEW].into_iter().cycle();
    let mut current = passwords.next().unwrap();
    for number in 1..=Budget::StoredNotice.per_hour() + 2 {
        let next = passwords.next().unwrap();
        change_password(&pair.access, current, next).send(world.address).await.granted();
        current = next;
        assert_eq!(world.waiting().await, number.min(Budget::StoredNotice.per_hour()));
    }
}

#[tokio::test]
async fn without_anything_that_brings_mail_nothing_is_written_down() {
    let world = World::start().await;
    let pair = world.person("ana@shop.example").await.sign_in().await;
    let app = App::new(Arc::clone(&world.issuer), Vec::new()).unwrap().with_links(LinkDelivery::None);
    let other = world.serve(&app).await;
    change_password(&pair.access, PASSWORD, NEW).send(other).await.granted();
    assert_eq!(world.waiting().await, 0);
}
