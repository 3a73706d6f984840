mod reset;

use crate::http_client::Call;
use crate::person::{PASSWORD, Pair, change_password, login};
use crate::world::World;
use bmap_issuer::account::limits::SIGN_IN_PER_ACCOUNT;
use serde_json::json;

const NEW: &str = "copper-lantern-12-frost";

#[tokio::test]
async fn a_changed_password_ends_every_other_session() {
    let world = World::start().await;
    let ana = world.person("ana@shop.example").await;
    let ben = world.person("ben@shop.example").await.sign_in().await;
    let (pair, other, third) = (ana.sign_in().await, ana.sign_in().await, ana.sign_in().await);
    let answer = change_password(&pair.access, PASSWORD, NEW).send(world.address).await;
    assert_eq!(answer.granted()["ended_sessions"], 2);
    for ended in [&other, &third] {
        world.me(&ended.access).await.assert_refused("invalid_token");
        world.refresh(&ended.refresh).await.assert_refused("invalid_token");
    }
    for living in [&pair, &ben] {
        world.me(&living.access).await.granted();
        world.refresh(&living.refresh).await.granted();
    }
    login("ana@shop.example", PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    Pair::of(&login("ana@shop.example", NEW).send(world.address).await);
}

#[tokio::test]
async fn it_needs_the_current_password_and_a_good_new_one() {
    let world = World::start().await;
    let pair = world.person("ana@shop.example").await.sign_in().await;
    let change = |current: &str, new: &str| change_password(&pair.access, current, new);
    change("wrong", NEW).send(world.address).await.assert_refused("invalid_credentials");
    let weak = change(PASSWORD, "password").send(world.address).await;
    weak.assert_refused("malformed_request");
    assert!(weak.json()["hint"].is_string() && weak.json()["field"] == "new_password");
    change(PASSWORD, &"x".repeat(257)).send(world.address).await.assert_refused("malformed_request");
    change(&"x".repeat(257), NEW).send(world.address).await.assert_refused("malformed_request");
    let without = Call::json("/auth/password", &json!({ "new_password": NEW }));
    let without = without.header("authorization", &format!("Bearer {}", pair.access));
    without.send(world.address).await.assert_refused("malformed_request");
    change(PASSWORD, NEW).without("authorization").send(world.address).await.assert_refused("invalid_token");
    // Nothing of this changed anything.
    login("ana@shop.example", PASSWORD).send(world.address).await.granted();
}

#[tokio::test]
async fn of_two_changes_at_once_one_holds() {
    let world = World::start().await;
    let ana = world.person("ana@shop.example").await;
    let (one, two) = (ana.sign_in().await, ana.sign_in().await);
    let other = "amber-harbour-77-mint";
    let (first, second) = (change_password(&one.access, PASSWORD, NEW), change_password(&two.access, PASSWORD, other));
    let (first, second) = tokio::join!(first.send(world.address), second.send(world.address));
    let granted = [&first, &second].iter().filter(|answer| answer.status == 200).count();
    assert_eq!(granted, 1, "{first:?} {second:?}");
    let (holds, not) = if first.status == 200 { (NEW, other) } else { (other, NEW) };
    login("ana@shop.example", holds).send(world.address).await.granted();
    login("ana@shop.example", not).send(world.address).await.assert_refused("invalid_credentials");
}

#[tokio::test]
async fn r32_a_stolen_access_token_is_no_way_around_the_limit() {
    let world = World::start().await;
    let pair = world.person("ana@shop.example").await.sign_in().await;
    for _ in 0..SIGN_IN_PER_ACCOUNT.burst {
        change_password(&pair.access, "wrong", NEW).send(world.address).await.assert_refused("invalid_credentials");
    }
    change_password(&pair.access, PASSWORD, NEW).send(world.address).await.assert_refused("rate_limited");
    // The session's guesses are its own: a thief locks out neither the owner nor another session of theirs (O13).
    let other = Pair::of(&login("ana@shop.example", PASSWORD).send(world.address).await);
    change_password(&other.access, PASSWORD, NEW).send(world.address).await.granted();
}

#[tokio::test]
async fn whoever_knows_the_password_may_look_for_a_good_new_one_as_often_as_it_takes() {
    let world = World::start().await;
    let pair = world.person("ana@shop.example").await.sign_in().await;
    for _ in 0..=SIGN_IN_PER_ACCOUNT.burst {
        change_password(&pair.access, PASSWORD, "password")
            .send(world.address)
            .await
            .assert_refused("malformed_request");
    }
    login("ana@shop.example", PASSWORD).send(world.address).await.granted();
}
