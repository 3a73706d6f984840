//! An act that outlives a session needs a step-up: once, for five minutes, of that session and user.

use crate::http_client::{Answer, Call};
use crate::key_owner::form;
use crate::person::{PASSWORD, Pair, STEP_UP, change_password, login, logout, step_up};
use crate::rows::sealed_rows::edit;
use crate::world::World;
use bmap_issuer::error::IssuerError;
use bmap_model::clock::UnixTime;
use bmap_model::role::Role;
use bmap_server::http::app::App;
use serde_json::json;
use std::sync::Arc;

const NEW: &str = "copper-lantern-12-frost";

fn make() -> Call {
    Call::json("/api-keys", &form())
}

fn role(user: &str) -> Call {
    Call { method: "PUT", ..Call::json(&format!("/users/{user}/role"), &json!({ "role": "admin" })) }
}

/// The step-up of an answer.
#[track_caller]
fn of(answer: &Answer) -> String {
    answer.granted()["step_up"].as_str().unwrap().to_owned()
}

async fn with(world: &World, pair: &Pair, call: Call, step_up: &str) -> Answer {
    pair.send(world, call.header(STEP_UP, step_up)).await
}

#[tokio::test]
async fn o17_a_stolen_access_token_makes_no_key_no_secret_and_no_role() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    ana.become_admin().await;
    let key = ana.make().await;
    let signed_in = login("ana@shop.example", PASSWORD).send(world.address).await;
    let (pair, own) = (Pair::of(&signed_in), of(&signed_in));
    assert!(own.starts_with("bmu_") && signed_in.json()["step_up_expires_in"] == 300);
    assert!(!pair.access.contains(&own[4..]) && pair.claims().get("step_up").is_none(), "beside it, never in it");
    world.clock.advance_seconds(60);
    // The thief has what travels with every request, and guesses at the rest.
    let regenerate = Call::json(&format!("/api-keys/{}/regenerate", key.id), &json!({}));
    let widen =
        |change: serde_json::Value| Call { method: "PATCH", ..Call::json(&format!("/api-keys/{}", key.id), &change) };
    let thiefs = format!("bmu_{}", "A".repeat(43));
    for call in [
        make(),
        regenerate.clone(),
        widen(json!({ "cidrs": [] })),
        widen(json!({ "tools": ["postcards"], "name": "mine" })),
        role(ana.user.as_str()),
        Call::json("/invitations", &json!({ "email": "eve@shop.example" })),
    ] {
        pair.send(&world, call.clone()).await.assert_refused("step_up_required");
        for shown in [thiefs.as_str(), "", "bmu_x", &own[4..], &pair.access, &pair.refresh] {
            with(&world, &pair, call.clone(), shown).await.assert_refused("step_up_required");
        }
        let twice = call.clone().header(STEP_UP, &own).header(STEP_UP, &own);
        pair.send(&world, twice).await.assert_refused("step_up_required");
    }
    // Every other spelling is dropped like all headers that claim to say who is calling.
    for name in ["x-bmap-step-up", "bmap_step_up", "bmap.step.up", "bmap-step-up-2"] {
        pair.send(&world, make().header(name, &own)).await.assert_refused("step_up_required");
    }
    let refused = pair.send(&world, make()).await;
    assert_eq!((refused.status, refused.json()["error"].as_str()), (403, Some("access_denied")));
    assert!(refused.json()["hint"].as_str().unwrap().contains("/auth/step-up"));
    // A refresh gives none.
    assert!(world.refresh(&pair.refresh).await.granted().get("step_up").is_none());
    // Its owner has one: sign in and make a key stay two calls. RouteError uses of it did not use it up.
    assert_eq!(with(&world, &pair, make(), &own).await.status, 201);
    // Acts without a step-up: looking, another name, and taking away.
    pair.send(&world, Call::new("GET", "/api-keys")).await.granted();
    pair.send(&world, widen(json!({ "name": "shop" }))).await.granted();
    pair.send(&world, Call::new("POST", &format!("/users/{}/activate", ana.user))).await.granted();
    let revoke = Call::new("DELETE", &format!("/api-keys/{}", key.id));
    assert_eq!(pair.send(&world, revoke).await.status, 204);
}

#[tokio::test]
async fn the_password_gives_another_one() {
    let world = World::start().await;
    let pair = world.guest("ana@shop.example").await;
    step_up(&pair.access, "a guess").send(world.address).await.assert_refused("invalid_credentials");
    let answer = step_up(&pair.access, PASSWORD).send(world.address).await;
    assert_eq!(
        (answer.header("cache-control"), answer.granted()["expires_in"].as_i64()),
        (Some("no-store"), Some(300))
    );
    let one = of(&answer);
    let two = of(&step_up(&pair.access, PASSWORD).send(world.address).await);
    for shown in [&one, &two] {
        assert_eq!(with(&world, &pair, make(), shown).await.status, 201);
        with(&world, &pair, make(), shown).await.assert_refused("step_up_required");
    }
    // A stolen access token is no way around the limit on guesses.
    for _ in 0..10 {
        step_up(&pair.access, "a guess").send(world.address).await.assert_refused("invalid_credentials");
    }
    step_up(&pair.access, PASSWORD).send(world.address).await.assert_refused("rate_limited");
    for bad in [json!({}), json!({ "password": PASSWORD, "x": 1 }), json!({ "provider": "a", "code": "b" })] {
        let call = Call::json("/auth/step-up", &bad);
        pair.send(&world, call).await.assert_refused("malformed_request");
    }
    Call::json("/auth/step-up", &json!({ "password": PASSWORD }))
        .send(world.address)
        .await
        .assert_refused("invalid_token");
}

#[tokio::test]
async fn it_is_of_its_session_and_its_user() {
    let world = World::start().await;
    let other = world.guest("ana@shop.example").await;
    let one = login("ana@shop.example", PASSWORD).send(world.address).await;
    let eve = world.guest("eve@shop.example").await;
    let step_up = of(&one);
    with(&world, &other, make(), &step_up).await.assert_refused("step_up_required");
    with(&world, &eve, make(), &step_up).await.assert_refused("step_up_required");
    assert_eq!(with(&world, &Pair::of(&one), make(), &step_up).await.status, 201);
}

#[tokio::test]
async fn it_ends_after_five_minutes_by_the_issuers_clock() {
    let world = World::start().await;
    world.guest("ana@shop.example").await;
    for (seconds, is_good) in [(299, true), (300, false)] {
        let answer = login("ana@shop.example", PASSWORD).send(world.address).await;
        world.clock.advance_seconds(seconds);
        let made = with(&world, &Pair::of(&answer), make(), &of(&answer)).await;
        match is_good {
            true => assert_eq!(made.status, 201),
            false => made.assert_refused("step_up_required"),
        }
    }
    world.clock.advance_seconds(1);
    // The guest's first one, and the one that was shown too late; the other was used up.
    let now = UnixTime(world.clock_millis());
    assert_eq!(world.issuer.store.delete_ended_step_ups(now).await.unwrap(), 2);
}

#[tokio::test]
async fn its_end_counts_when_it_is_shown_and_when_it_is_used_up() {
    let world = World::start().await;
    let pair = world.guest("ana@shop.example").await;
    let access = world.issuer.read_access(&pair.access).unwrap();
    let signed_in = world.app.accounts.signed_in(&access, &crate::world::source()).await.unwrap();
    let shown = world.step_up(&pair.access).await;
    let look = || world.app.accounts.stepped_up(&signed_in, Some(&shown));
    world.clock.advance_seconds(299);
    let stepped_up = look().await.unwrap();
    let at = world.clock_millis();
    world.clock.advance_seconds(1);
    assert!(matches!(look().await, Err(IssuerError::StepUpRequired)));
    // The statement that uses it up asks once more, whatever was seen of the row before.
    for (end, is_good) in [(at - 1, false), (at, false), (at + 1, true)] {
        edit(&world, &format!("UPDATE step_ups SET expires_at = {end} WHERE expires_at > {}", at - 2)).await;
        let used = world.app.accounts.use_step_up(&stepped_up).await;
        assert_eq!(
            used.map_err(|refusal| refusal.code().as_str()),
            if is_good { Ok(()) } else { Err("step_up_required") }
        );
    }
}

#[tokio::test]
async fn it_ends_with_its_session_and_with_the_password() {
    let world = World::start().await;
    world.guest("ana@shop.example").await;
    let answer = login("ana@shop.example", PASSWORD).send(world.address).await;
    let pair = Pair::of(&answer);
    assert_eq!(logout(&pair.refresh).send(world.address).await.status, 204);
    with(&world, &pair, make(), &of(&answer)).await.assert_refused("invalid_token");
    // In another session it is as good as none.
    let next = login("ana@shop.example", PASSWORD).send(world.address).await;
    with(&world, &Pair::of(&next), make(), &of(&answer)).await.assert_refused("step_up_required");
    // The user who changed the password knew the former one; a step-up by the former one is over, in this session too.
    let (pair, before) = (Pair::of(&next), of(&next));
    change_password(&pair.access, PASSWORD, NEW).send(world.address).await.granted();
    with(&world, &pair, make(), &before).await.assert_refused("step_up_required");
    let after = of(&step_up(&pair.access, NEW).send(world.address).await);
    assert_eq!(with(&world, &pair, make(), &after).await.status, 201);
}

#[tokio::test]
async fn a_deactivated_user_steps_up_to_nothing() {
    let world = World::start().await;
    let ana = world.guest("ana@shop.example").await;
    let step_up = world.step_up(&ana.access).await;
    world.issuer.deactivate_user(&ana.user(), &crate::world::source()).await.unwrap();
    with(&world, &ana, make(), &step_up).await.assert_refused("user_inactive");
    world.issuer.activate_user(&ana.user(), &crate::world::source()).await.unwrap();
    with(&world, &ana, make(), &step_up).await.assert_refused("invalid_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_at_two_servers_one_uses_it_up() {
    let world = World::start().await;
    world.guest("ana@shop.example").await;
    let other = App::new(Arc::clone(&world.issuer), Vec::new()).unwrap();
    let addresses = [world.address, world.serve(&other).await];
    let answer = login("ana@shop.example", PASSWORD).send(world.address).await;
    let (pair, shown) = (Pair::of(&answer), of(&answer));
    let calls = (0..12).map(|number| {
        let call = make().header("authorization", &format!("Bearer {}", pair.access)).header(STEP_UP, &shown);
        async move { call.send(addresses[number % 2]).await }
    });
    let answers = futures_util::future::join_all(calls).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!((made.len(), refused.len()), (1, 11));
    refused.iter().for_each(|answer| answer.assert_refused("step_up_required"));
    let keys = pair.send(&world, Call::new("GET", "/api-keys")).await.granted();
    assert_eq!(keys["api_keys"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_retry_with_the_same_idempotency_key_needs_no_second_one() {
    let world = World::start().await;
    world.guest("ana@shop.example").await;
    let other = App::new(Arc::clone(&world.issuer), Vec::new()).unwrap();
    let elsewhere = world.serve(&other).await;
    let answer = login("ana@shop.example", PASSWORD).send(world.address).await;
    let (pair, shown) = (Pair::of(&answer), of(&answer));
    let call =
        make().header("idempotency-key", "website-1").header("authorization", &format!("Bearer {}", pair.access));
    call.send(world.address).await.assert_refused("step_up_required");
    let made = call.clone().header(STEP_UP, &shown).send(world.address).await;
    assert_eq!(made.status, 201);
    for (to, retry) in [
        (world.address, call.clone()),
        (elsewhere, call.clone()),
        (elsewhere, call.clone().header(STEP_UP, &shown)),
        (world.address, call.header(STEP_UP, "bmu_x")),
    ] {
        let again = retry.send(to).await;
        assert_eq!((again.status, &again.body), (201, &made.body));
    }
    with(&world, &pair, make().header("idempotency-key", "website-2"), &shown).await.assert_refused("step_up_required");
}

#[tokio::test]
async fn a_refused_act_uses_none_up() {
    let world = World::start().await;
    world.guest("ana@shop.example").await;
    let answer = login("ana@shop.example", PASSWORD).send(world.address).await;
    let (pair, shown) = (Pair::of(&answer), of(&answer));
    let mut nowhere = form();
    nowhere["tools"] = json!(["nowhere"]);
    with(&world, &pair, Call::json("/api-keys", &nowhere), &shown).await.assert_refused("tool_denied");
    with(&world, &pair, role(pair.user().as_str()), &shown).await.assert_refused("admin_required");
    assert_eq!(with(&world, &pair, make(), &shown).await.status, 201);
    world.issuer.set_role(&pair.user(), Role::Admin, None, &crate::world::source()).await.unwrap();
    let shown = world.step_up(&pair.access).await;
    // The last admin stays one.
    let member =
        Call { method: "PUT", ..Call::json(&format!("/users/{}/role", pair.user()), &json!({ "role": "member" })) };
    with(&world, &pair, member, &shown).await.assert_refused("invalid_state");
    with(&world, &pair, role(pair.user().as_str()), &shown).await.granted();
    with(&world, &pair, role(pair.user().as_str()), &shown).await.assert_refused("step_up_required");
}

#[tokio::test]
async fn t13_a_step_up_that_was_written_or_moved_by_hand_is_none() {
    for sql in [
        "UPDATE step_ups SET expires_at = expires_at + 1",
        "UPDATE step_ups SET seal = NULL",
        "UPDATE step_ups SET epoch = 2",
        "UPDATE step_ups SET seal = (SELECT MAX(seal) FROM user_sessions)",
        "UPDATE step_ups SET session_id = (SELECT MAX(id) FROM user_sessions)",
        "UPDATE step_ups SET user_id = (SELECT MAX(id) FROM users), session_id = (SELECT MAX(id) FROM user_sessions)",
    ] {
        let world = World::start().await;
        world.guest("ana@shop.example").await;
        let answer = login("ana@shop.example", PASSWORD).send(world.address).await;
        world.clock.advance_seconds(1);
        let eve = world.guest("eve@shop.example").await;
        edit(&world, "DELETE FROM step_ups WHERE expires_at > (SELECT MIN(expires_at) FROM step_ups)").await;
        edit(&world, sql).await;
        for pair in [&Pair::of(&answer), &eve] {
            with(&world, pair, make(), &of(&answer)).await.assert_refused("step_up_required");
        }
        assert!(world.log().contains("ALARM: the row of a step-up"), "{sql}");
    }
}
