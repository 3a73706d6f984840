//! After a password was set its owner sees the keys that were made, and revokes them in one call.

use crate::actors::Host;
use crate::http_client::Call;
use crate::key_owner::{KeyOwner, form};
use crate::person::{PASSWORD, Pair, change_password, login, reset, set_password};
use crate::routes::auth::confirm::assert_page;
use crate::rows::sealed_rows::edit;
use crate::world::World;
use serde_json::{Value, json};

const NEW: &str = "copper-lantern-12-frost";
const NEWER: &str = "amber-harbour-77-mint";

fn revoke(token: &Value, keys: Option<Value>) -> Call {
    let mut body = json!({ "token": token });
    if let Some(keys) = keys {
        body["keys"] = keys;
    }
    Call::json("/api-keys/revoke", &body)
}

async fn link(world: &World) -> String {
    assert_eq!(reset("ana@shop.example").send(world.address).await.status, 202);
    world.links_to("/auth/password/reset", "ana@shop.example").await.pop().unwrap()
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["keys"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap()).collect()
}

/// Ana, and the key that a thief made with her access token and one stolen step-up.
async fn robbed(world: &World) -> (KeyOwner<'_>, Host<'_>) {
    let ana = world.key_owner("ana@shop.example").await;
    world.clock.advance_seconds(60);
    let stolen = ana.make().await;
    (ana, stolen)
}

#[tokio::test]
async fn o08_after_change_and_reset_the_owner_sees_a_thiefs_key_and_revokes_it_in_one_call() {
    let world = World::start().await;
    let (ana, stolen) = robbed(&world).await;
    let made_at = world.clock_millis();
    // The owner had a mail at once.
    world.worker.deliver_due().await;
    assert!(world.log().contains("development: An API key was made email=ana@shop.example"), "{}", world.log());
    // The owner goes on, and signs in and steps up as on any day: that hides nothing.
    world.clock.advance_seconds(60);
    let ana = ana.again().await;
    let own = ana.make().await;
    let answer = change_password(&ana.access, PASSWORD, NEW).send(world.address).await.granted();
    assert_eq!(ids(&answer), [own.id.as_str(), stolen.id.as_str()], "latest first");
    stolen.works().await;
    world.clock.advance_seconds(60);
    let answer = set_password(&link(&world).await, NEWER).send(world.address).await.granted();
    assert_eq!(ids(&answer), [own.id.as_str(), stolen.id.as_str()]);
    assert_eq!(
        answer["keys"][1],
        json!({ "id": stolen.id.as_str(), "name": "website", "act": "made", "at": made_at, "address": "127.0.0.1" })
    );
    let revoked = revoke(&answer["revoke_token"], Some(json!([stolen.id.as_str()]))).send(world.address).await;
    assert_eq!(revoked.granted()["revoked"], json!([stolen.id.as_str()]));
    stolen.is_refused("key_revoked", "key_revoked").await;
    own.works().await;
    // Twice changes nothing, and without a list it is all of them.
    let again = revoke(&answer["revoke_token"], Some(json!([stolen.id.as_str()]))).send(world.address).await;
    assert_eq!(again.granted()["revoked"], json!([]));
    let all = revoke(&answer["revoke_token"], None).send(world.address).await;
    assert_eq!(all.granted()["revoked"], json!([own.id.as_str()]));
    own.is_refused("key_revoked", "key_revoked").await;
}

#[tokio::test]
async fn o08_a_new_secret_is_listed_and_what_the_owner_looked_through_is_not_again() {
    let world = World::start().await;
    let (ana, key) = robbed(&world).await;
    world.clock.advance_seconds(60);
    let first = set_password(&link(&world).await, NEW).send(world.address).await.granted();
    assert_eq!(ids(&first), [key.id.as_str()]);
    world.clock.advance_seconds(60);
    let second = set_password(&link(&world).await, NEWER).send(world.address).await.granted();
    assert_eq!(ids(&second), [""; 0], "since the last reset none was made");
    let pair = Pair::of(&login("ana@shop.example", NEWER).send(world.address).await);
    let ana = KeyOwner { access: pair.access, ..ana };
    world.clock.advance_seconds(60);
    let new = ana.holder(&ana.regenerate(&key, 0).await);
    // A thief who knows the password signs in and steps up as often as it takes, and changes it: nothing is hidden by that.
    for _ in 0..3 {
        login("ana@shop.example", NEWER).send(world.address).await.granted();
    }
    change_password(&ana.access, NEWER, PASSWORD).send(world.address).await.granted();
    world.clock.advance_seconds(60);
    let third = set_password(&link(&world).await, NEW).send(world.address).await.granted();
    assert_eq!((ids(&third), &third["keys"][0]["act"]), (vec![key.id.as_str()], &json!("new_secret")));
    revoke(&third["revoke_token"], None).send(world.address).await.granted();
    new.is_refused("key_revoked", "key_revoked").await;
}

#[tokio::test]
async fn the_token_revokes_what_it_is_for_and_ends() {
    let world = World::start().await;
    let (_ana, key) = robbed(&world).await;
    let eves = world.key_owner("eve@shop.example").await.make().await;
    let token = set_password(&link(&world).await, NEW).send(world.address).await.granted()["revoke_token"].clone();
    revoke(&token, Some(json!([key.id.as_str(), eves.id.as_str()])))
        .send(world.address)
        .await
        .assert_refused("not_found");
    for bad in [json!("x"), json!([]), json!(["bmk_1"]), json!(1)] {
        let answer = revoke(&token, Some(bad.clone())).send(world.address).await;
        if bad == json!([]) {
            assert_eq!(answer.granted()["revoked"], json!([]));
        } else {
            answer.assert_refused("malformed_request");
        }
    }
    for bad in [format!("bmv_{}", "A".repeat(43)), "bmv_x".to_owned(), String::new()] {
        revoke(&json!(bad), None).send(world.address).await.assert_refused("invalid_credentials");
    }
    // A form that did not arrive as the page sent it is answered with a page, as every form.
    for fields in [vec![], vec![("token", "bmv_x"), ("keys", "bmk_1")]] {
        let answer = Call::form("/api-keys/revoke", &fields).send(world.address).await;
        assert!(assert_page(&answer, 400).contains("Not revoked"));
    }
    eves.works().await;
    key.works().await;
    // Later keys are not among those that were shown.
    let pair = Pair::of(&login("ana@shop.example", NEW).send(world.address).await);
    world.clock.advance_seconds(60);
    let later = pair.send_stepped_up(&world, Call::json("/api-keys", &form())).await;
    assert_eq!(later.status, 201);
    assert_eq!(revoke(&token, None).send(world.address).await.granted()["revoked"], json!([key.id.as_str()]));
    world.clock.advance_seconds(86_400);
    revoke(&token, None).send(world.address).await.assert_refused("invalid_credentials");
}

#[tokio::test]
async fn the_page_of_a_reset_lists_the_keys_and_its_button_revokes_them() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let mut named = form();
    named["name"] = json!("<b>\"shop\" & co</b>");
    let key = ana.make_with(named).await;
    let token = link(&world).await;
    let form = Call::form("/auth/password/reset/confirm", &[("token", token.as_str()), ("password", NEW)]);
    let page = assert_page(&form.send(world.address).await, 200);
    assert!(page.contains(key.id.as_str()) && page.contains("from 127.0.0.1"), "{page}");
    assert!(page.contains("&lt;b&gt;&quot;shop&quot; &amp; co&lt;/b&gt;") && !page.contains("<b>"), "{page}");
    assert!(page.contains("action=\"../../../api-keys/revoke\""), "{page}");
    let token = page.split("value=\"").nth(1).unwrap().split('"').next().unwrap();
    let button = |token: &str| Call::form("/api-keys/revoke", &[("token", token)]);
    assert!(assert_page(&button(token).send(world.address).await, 200).contains("1 API keys do not work any more"));
    key.is_refused("key_revoked", "key_revoked").await;
    let never = format!("bmv_{}", "A".repeat(43));
    let refused = assert_page(&button(&never).send(world.address).await, 401);
    assert!(refused.contains("too old") && !refused.contains(&never), "{refused}");
}

#[tokio::test]
async fn t13_an_edited_review_revokes_nothing() {
    for sql in [
        "UPDATE key_reviews SET user_id = (SELECT MAX(id) FROM users)",
        "UPDATE key_reviews SET until = until + 100000",
        "UPDATE key_reviews SET seal = NULL",
    ] {
        let world = World::start().await;
        let (_ana, key) = robbed(&world).await;
        world.clock.advance_seconds(1);
        let eves = world.key_owner("eve@shop.example").await.make().await;
        let token = set_password(&link(&world).await, NEW).send(world.address).await.granted()["revoke_token"].clone();
        edit(&world, sql).await;
        revoke(&token, None).send(world.address).await.assert_refused("invalid_credentials");
        assert!(world.log().contains("ALARM: the row of a key review"), "{sql}");
        eves.works().await;
        key.works().await;
    }
}
