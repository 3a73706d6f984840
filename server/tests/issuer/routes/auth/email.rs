use super::confirm::assert_page;
use crate::http_client::Call;
use crate::person::{
    PASSWORD, Pair, change_address, change_password, confirm_address, login, register, reset, set_password,
};
use crate::rows::sealed_rows::edit;
use crate::world::World;
use serde_json::json;

const PAGE: &str = "/auth/email/confirm";
const NEW: &str = "copper-lantern-12-frost";

async fn ask(world: &World, pair: &Pair, email: &str) -> Option<String> {
    let answer = change_address(&pair.access, email, PASSWORD).send(world.address).await;
    assert_eq!((answer.status, answer.granted()["status"].as_str()), (202, Some("confirmation_sent")));
    world.links_to(PAGE, email).await.pop()
}

#[tokio::test]
async fn an_account_has_its_new_address_once_its_link_is_followed() {
    let world = World::start().await;
    let pair = world.person("ana@shop.example").await.sign_in().await;
    let token = ask(&world, &pair, "Ana@Home.example").await;
    assert!(token.is_none(), "links go to the canonical spelling");
    let token = world.links_to(PAGE, "ana@home.example").await.pop().unwrap();
    login("ana@home.example", PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    let said = confirm_address(&token, PASSWORD).send(world.address).await;
    assert_eq!(said.granted()["status"], "confirmed");
    assert_eq!(world.me(&pair.access).await.granted()["email"], "ana@home.example");
    login("ana@home.example", PASSWORD).send(world.address).await.granted();
    login("ana@shop.example", PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    confirm_address(&token, PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    // The old address is free, and a forgotten password is asked for at the new one.
    register("ana@shop.example", PASSWORD).send(world.address).await.granted();
    assert_eq!(world.links("ana@shop.example").await.len(), 2);
    reset("ana@home.example").send(world.address).await.granted();
    let token = world.links_to("/auth/password/reset", "ana@home.example").await.pop().unwrap();
    set_password(&token, NEW).send(world.address).await.granted();
    login("ana@home.example", NEW).send(world.address).await.granted();
}

#[tokio::test]
async fn the_old_address_is_told() {
    let world = World::start().await;
    let pair = world.person("told@shop.example").await.sign_in().await;
    ask(&world, &pair, "told@home.example").await.unwrap();
    let log = crate::log::text();
    assert!(
        log.lines().any(|line| line.contains("Your email address is to change") && line.contains("told@shop.example"))
    );
}

#[tokio::test]
async fn r31_an_address_that_has_an_account_is_answered_alike_and_sent_no_link() {
    let world = World::start().await;
    world.person("ben@shop.example").await;
    let pair = world.person("ana@shop.example").await.sign_in().await;
    let known = change_address(&pair.access, "ben@shop.example", PASSWORD).send(world.address).await;
    let unknown = change_address(&pair.access, "cat@shop.example", PASSWORD).send(world.address).await;
    assert_eq!((known.status, &known.body), (unknown.status, &unknown.body));
    assert!(world.links_to(PAGE, "ben@shop.example").await.is_empty());
    // Free when the link was sent, and another user's by now.
    let link = world.links_to(PAGE, "cat@shop.example").await.pop().unwrap();
    world.person("cat@shop.example").await;
    confirm_address(&link, PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    assert_eq!(world.me(&pair.access).await.granted()["email"], "ana@shop.example");
}

#[tokio::test]
async fn it_takes_the_password_both_times() {
    let world = World::start().await;
    let pair = world.person("ana@shop.example").await.sign_in().await;
    let stolen = change_address(&pair.access, "mallory@shop.example", "a guess").send(world.address).await;
    stolen.assert_refused("invalid_credentials");
    assert!(world.links_to(PAGE, "mallory@shop.example").await.is_empty());
    let token = ask(&world, &pair, "ana@home.example").await.unwrap();
    let page = Call::new("GET", &format!("{PAGE}?token={token}")).send(world.address).await;
    assert!(assert_page(&page, 200).contains(&token));
    let form = |password| Call::form(PAGE, &[("token", token.as_str()), ("password", password)]);
    assert!(assert_page(&form("a guess").send(world.address).await, 401).contains("not the right password"));
    for _ in 0..3 {
        confirm_address(&token, "a guess").send(world.address).await.assert_refused("invalid_credentials");
    }
    assert!(assert_page(&form(PASSWORD).send(world.address).await, 200).contains("Confirmed"));
    let token = ask(&world, &pair, "ana@work.example").await.unwrap();
    for _ in 0..5 {
        confirm_address(&token, "a guess").send(world.address).await.assert_refused("invalid_credentials");
    }
    confirm_address(&token, PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
}

#[tokio::test]
async fn a_change_of_password_ends_the_link() {
    let world = World::start().await;
    let pair = world.person("ana@shop.example").await.sign_in().await;
    let token = ask(&world, &pair, "mallory@home.example").await.unwrap();
    change_password(&pair.access, PASSWORD, NEW).send(world.address).await.granted();
    for password in [PASSWORD, NEW] {
        confirm_address(&token, password).send(world.address).await.assert_refused("invalid_credentials");
    }
    assert_eq!(world.me(&pair.access).await.granted()["email"], "ana@shop.example");
}

#[tokio::test]
async fn a_link_ends_after_a_day_and_with_its_user() {
    let world = World::start().await;
    let pair = world.person("ana@shop.example").await.sign_in().await;
    let token = ask(&world, &pair, "ana@home.example").await.unwrap();
    world.issuer.deactivate_user(&pair.user(), &crate::world::source()).await.unwrap();
    confirm_address(&token, PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    world.issuer.activate_user(&pair.user(), &crate::world::source()).await.unwrap();
    world.clock.advance_seconds(24 * 3600);
    confirm_address(&token, PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
}

#[tokio::test]
async fn t13_an_edited_change_moves_no_other_account() {
    let world = World::start().await;
    world.person("ana@shop.example").await;
    let pair = world.person("mallory@shop.example").await.sign_in().await;
    let token = ask(&world, &pair, "mallory@home.example").await.unwrap();
    let anas = "(SELECT user_id FROM accounts WHERE email = 'ana@shop.example')";
    edit(&world, &format!("UPDATE email_changes SET user_id = {anas}")).await;
    confirm_address(&token, PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    login("ana@shop.example", PASSWORD).send(world.address).await.granted();
}

#[tokio::test]
async fn other_forms_are_malformed_and_limits_hold() {
    let world = World::start().await;
    let pair = world.person("ana@shop.example").await.sign_in().await;
    for body in [
        json!({}),
        json!({ "email": "x@shop.example" }),
        json!({ "email": "x", "password": PASSWORD }),
        json!({ "email": "x@shop.example\r\nBcc: y@shop.example", "password": PASSWORD }),
        json!({ "email": "x@shop.example", "password": "x".repeat(257) }),
        json!({ "email": "x@shop.example", "password": PASSWORD, "y": 1 }),
    ] {
        pair.send(&world, Call::json("/auth/email", &body)).await.assert_refused("malformed_request");
    }
    for _ in 0..3 {
        ask(&world, &pair, "victim@shop.example").await;
    }
    let limited = change_address(&pair.access, "victim@shop.example", PASSWORD).send(world.address).await;
    limited.assert_refused("rate_limited");
}
