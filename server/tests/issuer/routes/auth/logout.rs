use crate::http_client::Call;
use crate::person::{Pair, logout};
use crate::world::World;
use serde_json::json;

#[tokio::test]
async fn signing_out_ends_this_session_at_once_and_no_other() {
    let world = World::start().await;
    let ana = world.person("ana@shop.example").await;
    let (pair, other) = (ana.sign_in().await, ana.sign_in().await);
    let answer = logout(&pair.refresh).send(world.address).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    world.me(&pair.access).await.assert_refused("invalid_token");
    world.refresh(&pair.refresh).await.assert_refused("invalid_token");
    world.me(&other.access).await.granted();
    // Again, and with malformed tokens: nothing is said.
    for token in [&*pair.refresh, "bmr_x", "", &format!("bmr_{}", "A".repeat(43))] {
        assert_eq!(logout(token).send(world.address).await.status, 204, "{token}");
    }
    world.refresh(&other.refresh).await.granted();
}

#[tokio::test]
async fn a_used_refresh_token_still_signs_out() {
    let world = World::start().await;
    let pair = world.person("ana@shop.example").await.sign_in().await;
    let next = Pair::of(&world.refresh(&pair.refresh).await);
    assert_eq!(logout(&pair.refresh).send(world.address).await.status, 204);
    world.refresh(&next.refresh).await.assert_refused("invalid_token");
}

#[tokio::test]
async fn other_forms_are_malformed() {
    let world = World::start().await;
    for body in [json!({}), json!({ "refresh_token": null }), json!({ "all": true })] {
        Call::json("/auth/logout", &body).send(world.address).await.assert_refused("malformed_request");
    }
}
