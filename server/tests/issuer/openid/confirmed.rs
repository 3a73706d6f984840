//! A fresh sign-in in the place of a password: for users who have none.

use super::browser::Browser;
use super::fake::{Fake, Journey};
use super::linking::{code_of, signed_up};
use super::real::sign_in_there;
use super::sign_in::{begin, two_providers};
use super::{RETURN_TO, VERIFIER, assert_failed, code_in, sign_in_fields, start, swap};
use crate::http_client::Call;
use crate::person::{PASSWORD, Pair, change_password, confirm_address, login, reset, set_password};
use crate::rows::sealed_rows::edit;
use crate::world::World;
use serde_json::json;

const NEW: &str = "copper-lantern-12-frost";

fn first_password(email: &str, password: &str, code: &str) -> Call {
    let body = json!({ "email": email, "new_password": password, "code": code, "code_verifier": VERIFIER });
    Call::json("/auth/openid/fake/password", &body)
}

fn deactivate(code: &str) -> Call {
    Call::json("/auth/openid/fake/deactivate", &json!({ "code": code, "code_verifier": VERIFIER }))
}

/// The token of the link to a first password, asked for with a fresh sign-in.
async fn link_to(fake: &Fake, world: &World, pair: &Pair, email: &str) -> Option<String> {
    let code = code_of(fake, world, "ana", "confirm").await;
    let asked = pair.send(world, first_password(email, PASSWORD, &code)).await;
    assert_eq!((asked.status, asked.granted()["status"].as_str()), (202, Some("confirmation_sent")));
    world.links_to("/auth/email/confirm", email).await.pop()
}

#[tokio::test]
async fn a_user_without_a_password_sets_one_and_is_like_any_other_then() {
    let (fake, world) = Fake::with_world().await;
    let pair = signed_up(&fake, &world, "ana").await;
    let link = link_to(&fake, &world, &pair, "ana@shop.example").await.unwrap();
    assert!(
        world.me(&pair.access).await.granted()["email"].is_null(),
        "an address has no owner before its link is followed"
    );
    login("ana@shop.example", PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    confirm_address(&link, "a guess of a stranger").send(world.address).await.assert_refused("invalid_credentials");
    confirm_address(&link, PASSWORD).send(world.address).await.granted();
    confirm_address(&link, PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    // The same user, with the same sessions, and two ways to sign in.
    assert_eq!(world.me(&pair.access).await.granted()["email"], "ana@shop.example");
    let by_password = Pair::of(&login("ana@shop.example", PASSWORD).send(world.address).await);
    let by_provider = signed_up(&fake, &world, "ana").await;
    assert_eq!((by_password.user(), by_provider.user()), (pair.user(), pair.user()));
    // The routes for a password work with it.
    change_password(&by_password.access, PASSWORD, NEW).send(world.address).await.granted();
    reset("ana@shop.example").send(world.address).await.granted();
    let token = world.links_to("/auth/password/reset", "ana@shop.example").await.pop().unwrap();
    set_password(&token, PASSWORD).send(world.address).await.granted();
    login("ana@shop.example", PASSWORD).send(world.address).await.granted();
}

#[tokio::test]
async fn where_there_is_a_password_a_sign_in_does_not_take_its_place() {
    let (fake, world) = Fake::with_world().await;
    let pair = signed_up(&fake, &world, "ana").await;
    let early = code_of(&fake, &world, "ana", "confirm").await;
    let link = link_to(&fake, &world, &pair, "ana@shop.example").await.unwrap();
    let other = link_to(&fake, &world, &pair, "ana@home.example").await.unwrap();
    confirm_address(&link, PASSWORD).send(world.address).await.granted();
    confirm_address(&other, PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    pair.send(&world, first_password("x@shop.example", NEW, &early)).await.assert_refused("invalid_state");
    pair.send(&world, deactivate(&early)).await.assert_refused("invalid_state");
    assert_eq!(world.me(&pair.access).await.granted()["email"], "ana@shop.example");
}

#[tokio::test]
async fn only_a_fresh_sign_in_of_ones_own_confirms() {
    let (fake, world) = Fake::with_world().await;
    let pair = signed_up(&fake, &world, "ana").await;
    let mallory = signed_up(&fake, &world, "mallory").await;
    // A thief of Ana's access token signs in there as another user, or as one who is unknown here.
    for (subject, intent) in [("mallory", "confirm"), ("unknown", "confirm"), ("ana", "sign_in"), ("ana", "link")] {
        for call in [deactivate, |code: &str| first_password("mallory@shop.example", NEW, code)] {
            let code = code_of(&fake, &world, subject, intent).await;
            pair.send(&world, call(&code)).await.assert_refused("invalid_credentials");
            // Used up, whatever came of it.
            pair.send(&world, call(&code)).await.assert_refused("invalid_credentials");
        }
    }
    let code = code_of(&fake, &world, "ana", "confirm").await;
    let without = json!({ "code": code, "code_verifier": "x".repeat(43) });
    pair.send(&world, Call::json("/auth/openid/fake/deactivate", &without)).await.assert_refused("invalid_credentials");
    deactivate(&code).send(world.address).await.assert_refused("invalid_token");
    pair.send(&world, Call::json("/auth/openid/other/deactivate", &without)).await.assert_refused("not_found");
    // A code that confirms begins no session.
    let code = code_of(&fake, &world, "ana", "confirm").await;
    swap(&code, VERIFIER).send(world.address).await.assert_refused("invalid_credentials");
    assert!(world.links_to("/auth/email/confirm", "mallory@shop.example").await.is_empty());
    for pair in [&pair, &mallory] {
        world.me(&pair.access).await.granted();
    }
}

#[tokio::test]
async fn a_user_without_a_password_gives_up_the_account() {
    let (fake, world) = Fake::with_world().await;
    let admin = world.admin("admin@shop.example").await;
    let pair = signed_up(&fake, &world, "ana").await;
    let link = link_to(&fake, &world, &pair, "ana@shop.example").await.unwrap();
    let code = code_of(&fake, &world, "ana", "confirm").await;
    assert_eq!(pair.send(&world, deactivate(&code)).await.status, 204);
    world.me(&pair.access).await.assert_refused("user_inactive");
    confirm_address(&link, PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    let activate = Call::new("POST", &format!("/users/{}/activate", pair.user()));
    admin.send(&world, activate).await.granted();
    assert_eq!(signed_up(&fake, &world, "ana").await.user(), pair.user());
}

#[tokio::test]
async fn r31_an_address_that_has_an_account_is_answered_alike_and_weak_passwords_are_not_taken() {
    let (fake, world) = Fake::with_world().await;
    world.person("ben@shop.example").await;
    let pair = signed_up(&fake, &world, "ana").await;
    assert_eq!(link_to(&fake, &world, &pair, "ben@shop.example").await, None, "its reader is told otherwise");
    let code = code_of(&fake, &world, "ana", "confirm").await;
    let weak = pair.send(&world, first_password("ana@shop.example", "password1", &code)).await;
    weak.assert_refused("malformed_request");
    assert!(weak.json()["hint"].is_string());
    // Free when the link was sent, and another user's by now.
    let link = link_to(&fake, &world, &pair, "cat@shop.example").await.unwrap();
    world.person("cat@shop.example").await;
    confirm_address(&link, PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    assert!(world.me(&pair.access).await.granted()["email"].is_null());
}

#[tokio::test]
async fn t13_an_edited_row_gives_nobody_a_first_password() {
    let (fake, world) = Fake::with_world().await;
    let victim = signed_up(&fake, &world, "victim").await;
    let pair = signed_up(&fake, &world, "ana").await;
    let link = link_to(&fake, &world, &pair, "ana@shop.example").await.unwrap();
    edit(&world, &format!("UPDATE email_changes SET user_id = '{}'", victim.user())).await;
    confirm_address(&link, PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    assert!(world.me(&victim.access).await.granted()["email"].is_null());
}

#[tokio::test]
async fn the_provider_is_asked_for_a_fresh_sign_in_and_an_old_one_is_refused() {
    let (fake, world) = Fake::with_world().await;
    signed_up(&fake, &world, "ana").await;
    let fields = [sign_in_fields(), vec![("intent", "confirm")]].concat();
    let now = i64::try_from(world.now()).unwrap();
    for (auth_time, is_fresh) in
        [(json!(now - 700), false), (json!("now"), false), (json!(now - 1), true), (json!(null), true)]
    {
        let begun = start("fake", &fields).send(world.address).await;
        let to = begun.header("location").unwrap();
        assert!(to.contains("prompt=login") && to.contains("max_age=0"), "{to}");
        let journey = Journey::of(&begun);
        let mut claims = fake.claims(&world, &journey);
        claims["auth_time"] = auth_time;
        fake.give_claims(&claims);
        let back = journey.back().send(world.address).await;
        match is_fresh {
            true => drop(code_in(back.header("location").unwrap())),
            false => assert_failed(&back, "sign_in_failed"),
        }
    }
    let begun = start("fake", &sign_in_fields()).send(world.address).await;
    assert!(!begun.header("location").unwrap().contains("prompt="), "no other user is asked twice");
}

#[tokio::test]
async fn a_real_provider_asks_somebody_who_is_signed_in_there_once_more() {
    let (world, _acme, _other) = two_providers().await;
    let mut browser = Browser::default();
    let back = sign_in_there(&mut browser, &begin(&world, "acme", "sign_in"), "ana").await;
    let pair = Pair::of(&swap(&code_in(back.as_str()), VERIFIER).send(world.address).await);
    let (at, page) = browser.open(&begin(&world, "acme", "confirm")).await;
    assert!(page.is_some() && !at.as_str().starts_with(RETURN_TO), "{at}");
    let back = sign_in_there(&mut browser, &begin(&world, "acme", "confirm"), "ana").await;
    let body = json!({ "code": code_in(back.as_str()), "code_verifier": VERIFIER });
    assert_eq!(pair.send(&world, Call::json("/auth/openid/acme/deactivate", &body)).await.status, 204);
    world.me(&pair.access).await.assert_refused("user_inactive");
}
