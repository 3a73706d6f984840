use crate::key_owner::form;
use crate::world::{OTHER_TOOL, TOOL, World};
use bmap_server::store::{ApiKeys, ManagedKeys};
use serde_json::{Value, json};

#[tokio::test]
async fn a_changed_secret_breaks_nobody_until_its_grace_ends() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    for signing in ["hmac-sha256", "ed25519"] {
        let mut form = form();
        form["signing"] = json!(signing);
        let old = ana.make_with(form).await;
        let answer = ana.regenerate(&old, 60).await;
        let body = answer.granted();
        let end = world.issuer.clock.now().plus_seconds(60).0;
        assert_eq!((&body["former"]["expires_at"], &body["former_ended"]), (&json!(end), &json!(false)));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let new = ana.holder(&answer);
        assert_eq!(new.id, old.id);
        assert_ne!(new.secret.expose(), old.secret.expose());
        new.works().await;
        old.works().await;
        assert_eq!(ana.show(&new).await["former"]["expires_at"], end);
        world.clock.advance_seconds(59);
        old.works().await;
        world.clock.advance_seconds(1);
        old.is_refused("invalid_credentials", "invalid_signature").await;
        new.works().await;
        assert_eq!(ana.show(&new).await["former"], Value::Null);
    }
}

#[tokio::test]
async fn a_part_of_a_second_does_not_shorten_a_grace() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let old = ana.make().await;
    ana.regenerate(&old, 1).await.granted();
    old.works().await;
    let path = format!("/api-keys/{}/regenerate", old.id);
    // Without a body it is a day.
    let answer = ana.stepped_up(ana.call("POST", &path)).await;
    assert_eq!(answer.granted()["former"]["expires_at"], world.issuer.clock.now().plus_seconds(86_400).0);
    for bad in
        [json!({ "grace_seconds": -1 }), json!({ "grace_seconds": 604_801 }), json!({ "grace": 1 }), json!([1, 2])]
    {
        ana.send("POST", &path, &bad).await.assert_refused("malformed_request");
    }
}

#[tokio::test]
async fn without_a_grace_the_old_secret_ends_at_once() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let old = ana.make().await;
    let new = ana.holder(&ana.regenerate(&old, 0).await);
    old.is_refused("invalid_credentials", "invalid_signature").await;
    new.works().await;
    // And so it ends a grace that was given before.
    let newer = ana.holder(&ana.regenerate(&new, 3600).await);
    new.works().await;
    let answer = ana.regenerate(&newer, 0).await;
    assert_eq!(answer.granted()["former_ended"], true);
    let newest = ana.holder(&answer);
    new.is_refused("invalid_credentials", "invalid_signature").await;
    newer.is_refused("invalid_credentials", "invalid_signature").await;
    newest.works().await;
}

#[tokio::test]
async fn at_most_two_secrets_of_a_key_work() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let first = ana.make().await;
    let second = ana.holder(&ana.regenerate(&first, 3600).await);
    let answer = ana.regenerate(&second, 3600).await;
    assert_eq!(answer.granted()["former_ended"], true);
    let third = ana.holder(&answer);
    first.is_refused("invalid_credentials", "invalid_signature").await;
    second.works().await;
    third.works().await;
}

#[tokio::test]
async fn both_secrets_have_the_key_s_limits_whatever_changes() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    for signing in ["hmac-sha256", "ed25519"] {
        let mut form = form();
        form["signing"] = json!(signing);
        let old = ana.make_with(form).await;
        let new = ana.holder(&ana.regenerate(&old, 100).await);
        ana.change(&new, json!({ "tools": [OTHER_TOOL] })).await;
        old.is_refused("tool_denied", "tool_denied").await;
        new.is_refused("tool_denied", "tool_denied").await;
        ana.change(&new, json!({ "tools": [TOOL], "cidrs": ["10.0.0.0/8"] })).await;
        old.is_refused("ip_denied", "ip_denied").await;
        ana.change(&new, json!({ "cidrs": [] })).await;
        old.works().await;
        new.works().await;
        // A key that ends before the grace takes its former secret with it; a later end does not bring that back.
        ana.change(&new, json!({ "expires_at": world.issuer.clock.now().plus_seconds(10).0 })).await;
        assert_eq!(ana.show(&new).await["former"]["expires_at"], world.issuer.clock.now().plus_seconds(10).0);
        world.clock.advance_seconds(10);
        old.is_refused("invalid_credentials", "invalid_signature").await;
        ana.change(&new, json!({ "expires_at": null })).await;
        old.is_refused("invalid_credentials", "invalid_signature").await;
        new.works().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_at_once_one_is_made_and_one_former_secret_stays() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let old = ana.make().await;
    let answers = futures_util::future::join_all((0..50).map(|_| ana.regenerate(&old, 3600))).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    // Whoever read the key after another one's change made one more: each of them knew what it replaced.
    for answer in refused {
        answer.assert_refused("conflict");
        assert_eq!((answer.json()["retryable"].as_bool(), answer.header("retry-after")), (Some(true), Some("1")));
    }
    let mut working = Vec::new();
    for holder in made.iter().map(|answer| ana.holder(answer)).chain([old]) {
        let status = holder.send(holder.direct_call()).await.status;
        if status == 200 {
            holder.works().await;
            working.push(holder);
        } else {
            holder.is_refused("invalid_credentials", "invalid_signature").await;
        }
    }
    assert_eq!(working.len(), 2, "the current and the former one");
    let stored = world.issuer.store.managed_key(&working[0].id).await.unwrap().unwrap();
    assert!(stored.rows.former.is_some() && world.issuer.store.api_keys().await.unwrap().len() == 1);
}
