use crate::http_client::Call;
use crate::person::{PASSWORD, login};
use crate::world::World;
use bmap_issuer::account::limits::SIGN_IN_PER_ACCOUNT;
use serde_json::json;

fn deactivate(password: &str) -> Call {
    Call::json("/auth/deactivate", &json!({ "password": password }))
}

#[tokio::test]
async fn somebody_gives_up_their_account_with_its_password_and_an_admin_brings_it_back() {
    let world = World::start().await;
    let admin = world.admin("admin@shop.example").await;
    let ana = world.person("ana@shop.example").await;
    let (here, there) = (ana.sign_in().await, ana.sign_in().await);
    here.send(&world, deactivate("wrong")).await.assert_refused("invalid_credentials");
    world.me(&here.access).await.granted();
    assert_eq!(here.send(&world, deactivate(PASSWORD)).await.status, 204);
    for ended in [&here, &there] {
        world.me(&ended.access).await.assert_refused("user_inactive");
        world.refresh(&ended.refresh).await.assert_refused("user_inactive");
    }
    login("ana@shop.example", PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    let activate = Call::new("POST", &format!("/users/{}/activate", here.user()));
    admin.send(&world, activate).await.granted();
    world.refresh(&there.refresh).await.assert_refused("invalid_token");
    ana.sign_in().await;
}

#[tokio::test]
async fn the_last_admin_does_not_go() {
    let world = World::start().await;
    let admin = world.admin("admin@shop.example").await;
    let refused = admin.send(&world, deactivate(PASSWORD)).await;
    refused.assert_refused("invalid_state");
    assert!(refused.json()["hint"].as_str().unwrap().contains("last active admin"));
    world.me(&admin.access).await.granted();
}

#[tokio::test]
async fn r32_a_stolen_access_token_guesses_no_more_here_than_elsewhere() {
    let world = World::start().await;
    let pair = world.person("ana@shop.example").await.sign_in().await;
    for _ in 0..SIGN_IN_PER_ACCOUNT.burst {
        pair.send(&world, deactivate("wrong")).await.assert_refused("invalid_credentials");
    }
    pair.send(&world, deactivate(PASSWORD)).await.assert_refused("rate_limited");
    deactivate(PASSWORD).send(world.address).await.assert_refused("invalid_token");
}
