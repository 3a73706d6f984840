use crate::key_owner::form;
use crate::person::STEP_UP;
use crate::world::{OTHER_TOOL, TOOL, World};
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
    // Without a body it is a day.
    let path = format!("/api-keys/{}/regenerate", ana.make().await.id);
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
    ana.regenerate(&newer, 0).await.assert_refused("invalid_state");
    let answer = ana.regenerate_and_end_former(&newer, 0).await;
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
    let refused = ana.regenerate(&second, 3600).await;
    refused.assert_refused("invalid_state");
    assert!(refused.json()["hint"].as_str().unwrap().contains("end_former"), "{refused:?}");
    first.works().await;
    let answer = ana.regenerate_and_end_former(&second, 3600).await;
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
    // One that read the key after another one's change finds a former secret that works, and makes none.
    for answer in refused {
        if answer.json()["code"] == "invalid_state" {
            continue;
        }
        answer.assert_refused("conflict");
        assert_eq!((answer.json()["retryable"].as_bool(), answer.header("retry-after")), (Some(true), Some("1")));
    }
    let working: Vec<_> = made.iter().map(|answer| ana.holder(answer)).chain([old]).collect();
    assert_eq!(working.len(), 2, "the current and the former one");
    for holder in &working {
        holder.works().await;
    }
    let stored = world.issuer.store.managed_key(&working[0].id).await.unwrap().unwrap();
    assert!(stored.rows.former.is_some() && world.issuer.store.api_keys().await.unwrap().len() == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn u04_no_secret_that_was_answered_is_dead_before_its_end() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    // A click and, 60 ms later, the same click again.
    let used = ana.make().await;
    let first = ana.regenerate(&used, 300).await;
    tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    let second = ana.regenerate(&used, 300).await;
    let answered = ana.holder(&first);
    second.assert_refused("invalid_state");
    assert_eq!((second.status, &second.json()["retryable"]), (409, &Value::Null), "not by itself");
    for secret in [&used, &answered] {
        secret.works().await;
    }
    // At once, at two issuers of one database, also where each says that a former secret may end.
    let beside = world.serve(&world.app).await;
    for end_former in [false, true] {
        let used = ana.make().await;
        let body = json!({ "grace_seconds": 60, "end_former": end_former });
        let path = format!("/api-keys/{}/regenerate", used.id);
        let call = async || {
            let step_up = world.step_up(&ana.access).await;
            ana.call("POST", &path).header(STEP_UP, &step_up).body("application/json", body.to_string())
        };
        let (to_here, to_there) = (call().await, call().await);
        let (here, there) = tokio::join!(to_here.send(world.address), to_there.send(beside));
        let made: Vec<_> = [here, there].into_iter().filter(|answer| answer.status == 200).collect();
        if !end_former {
            assert_eq!(made.len(), 1);
        }
        // One after the other, both that said so are made, and the first of them is the former secret of the second.
        for answer in &made {
            ana.holder(answer).works().await;
        }
        if made.len() == 1 {
            used.works().await;
        }
    }
    // When the grace has ended, a new one is made without being told to.
    world.clock.advance_seconds(300);
    used.is_refused("invalid_credentials", "invalid_signature").await;
    ana.regenerate(&answered, 60).await.granted();
    answered.works().await;
}
