//! Requests that are sent again because their answer was lost.

use crate::actors::exchange;
use crate::http_client::{Answer, Call};
use crate::key_owner::{KeyOwner, form};
use crate::person::STEP_UP;
use crate::rows::sealed_rows::edit;
use crate::world::{OTHER_TOOL, PAGE, World};
use serde_json::json;

const KEY: &str = "8e03978e-40d5-43dd-bc93-6894a57f9324";

async fn make(ana: &KeyOwner<'_>, key: &str, form: &serde_json::Value) -> Answer {
    let call = ana.call("POST", "/api-keys").header("idempotency-key", key);
    ana.stepped_up(call.body("application/json", form.to_string())).await
}

async fn number_of_keys(ana: &KeyOwner<'_>) -> usize {
    ana.get("/api-keys").await.granted()["api_keys"].as_array().unwrap().len()
}

#[tokio::test]
async fn the_same_request_has_the_same_answer_and_makes_nothing_again() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let first = make(&ana, KEY, &form()).await;
    world.clock.advance_seconds(3600);
    for key in [KEY, &format!("\"{KEY}\"")] {
        let again = make(&ana.again().await, key, &form()).await;
        assert_eq!((again.status, &again.body), (201, &first.body));
        for header in ["location", "content-type", "cache-control"] {
            assert_eq!(again.header(header), first.header(header), "{header}");
        }
    }
    let ana = ana.again().await;
    assert_eq!(number_of_keys(&ana).await, 1);
    ana.holder(&first).works().await;
    // Another one's key of the same text is another key.
    let eve = world.key_owner("eve@shop.example").await;
    let eves = make(&eve, KEY, &form()).await;
    assert_ne!(eves.json()["id"], first.json()["id"]);
    // After a day it is forgotten.
    world.clock.advance_seconds(86_400 - 3600);
    let ana = ana.again().await;
    assert_ne!(make(&ana, KEY, &form()).await.json()["id"], first.json()["id"]);
    assert_eq!(number_of_keys(&ana).await, 2);
    world.clock.advance_seconds(86_401);
    assert_eq!(world.issuer.store.delete_ended_answers(world.issuer.clock.now()).await.unwrap(), 2);
}

#[tokio::test]
async fn o17_a_stolen_access_token_of_another_session_reads_no_kept_answer_and_learns_of_none() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let first = make(&ana, KEY, &form()).await;
    let thief = ana.again().await;
    let mut other = form();
    other["name"] = json!("other");
    let call = |owner: &KeyOwner<'_>, key: &str, form: &serde_json::Value| {
        owner.call("POST", "/api-keys").header("idempotency-key", key).body("application/json", form.to_string())
    };
    // The right request, a guess at it, and a guess at the key are one answer.
    let mut answers = Vec::new();
    for (key, form) in [(KEY, form()), (KEY, other), ("another", form())] {
        let answer = call(&thief, key, &form).send(world.address).await;
        answer.assert_refused("step_up_required");
        let mut problem = answer.json();
        for member in ["request_id", "server_time"] {
            problem.as_object_mut().unwrap().remove(member);
        }
        answers.push(problem);
    }
    assert!(answers.windows(2).all(|two| two[0] == two[1]), "{answers:?}");
    // The session that has had the answer has it again without a step-up.
    let again = call(&ana, KEY, &form()).send(world.address).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
}

#[tokio::test]
async fn another_request_with_the_same_key_is_refused() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let key = ana.holder(&make(&ana, KEY, &form()).await);
    let mut other = form();
    other["name"] = json!("other");
    make(&ana, KEY, &other).await.assert_refused("idempotency_key_reused");
    let elsewhere = ana.call("POST", &format!("/api-keys/{}/regenerate", key.id)).header("idempotency-key", KEY);
    elsewhere.body("application/json", "{}").send(world.address).await.assert_refused("idempotency_key_reused");
    key.works().await;
    for bad in ["", "\"\"", "a b", "\"a", &"x".repeat(65), "é"] {
        make(&ana, bad, &form()).await.assert_refused("malformed_request");
    }
    let twice = ana.call("POST", "/api-keys").header("idempotency-key", "a").header("idempotency-key", "b");
    twice.body("application/json", form().to_string()).send(world.address).await.assert_refused("malformed_request");
    // A refusal is not kept: the corrected request may have the same key.
    other["tools"] = json!(["nowhere"]);
    make(&ana, "retry", &other).await.assert_refused("tool_denied");
    assert_eq!(make(&ana, "retry", &form()).await.status, 201);
    assert_eq!(number_of_keys(&ana).await, 2);
}

#[tokio::test]
async fn a_new_secret_and_a_ticket_are_made_once() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let old = ana.make().await;
    let path = format!("/api-keys/{}/regenerate", old.id);
    let regenerate =
        ana.call("POST", &path).header("idempotency-key", KEY).body("application/json", "{\"grace_seconds\":60}");
    let first = ana.stepped_up(regenerate.clone()).await;
    let again = regenerate.send(world.address).await;
    assert_eq!((first.status, &first.body), (200, &again.body));
    old.works().await;
    let new = ana.holder(&again);
    new.works().await;

    // A ticket's caller is the key. Signed anew each time, it is the same request.
    for send in 0..2 {
        let key = format!("ticket-{send}");
        let call = || new.ticket_call().header("idempotency-key", &key);
        let first = new.send(call()).await;
        let again = if send == 0 { new.send(call()).await } else { new.signed(call()).send(world.address).await };
        assert_eq!((first.status, &first.body), (201, &again.body));
        let ticket = first.json()["ticket"].as_str().unwrap().to_owned();
        exchange(&ticket).send(world.address).await.granted();
        exchange(&ticket).send(world.address).await.assert_refused("invalid_grant");
        let other = Call::json("/tickets", &json!({ "tool": OTHER_TOOL, "origin": PAGE }));
        new.send(other.header("idempotency-key", &key)).await.assert_refused("idempotency_key_reused");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_at_once_one_makes_a_key_and_all_others_get_its_answer() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    // A second process on the same database knows nothing of what the first one is at work on.
    let other = bmap_server::http::app::App::new(std::sync::Arc::clone(&world.issuer), Vec::new()).unwrap();
    let addresses = [world.address, world.serve(&other).await];
    let form = form();
    // One step-up for all of them: a request that finds it used up gets the answer that it was used up for.
    let step_up = world.step_up(&ana.access).await;
    let calls = (0..50).map(|number| {
        let call = ana.call("POST", "/api-keys").header("idempotency-key", KEY).header(STEP_UP, &step_up);
        let call = call.body("application/json", form.to_string());
        let address = addresses[number % 2];
        async move { call.send(address).await }
    });
    let answers = futures_util::future::join_all(calls).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert!(!made.is_empty() && made.iter().all(|answer| answer.body == made[0].body));
    for answer in refused {
        answer.assert_refused("request_in_progress");
        assert_eq!((answer.json()["retryable"].as_bool(), answer.header("retry-after")), (Some(true), Some("1")));
    }
    assert_eq!(number_of_keys(&ana).await, 1);
    assert_eq!(make(&ana, KEY, &form).await.body, made[0].body);
}

#[tokio::test]
async fn t13_an_answer_that_was_edited_or_moved_is_not_given() {
    for sql in [
        "UPDATE idempotent_answers SET sealed = 's1.AAAA'",
        "UPDATE idempotent_answers SET epoch = 2",
        "UPDATE idempotent_answers SET sealed = (SELECT MAX(sealed) FROM idempotent_answers \
         WHERE expires_at = (SELECT MIN(expires_at) FROM idempotent_answers))",
    ] {
        let world = World::start().await;
        let (ana, eve) = (world.key_owner("ana@shop.example").await, world.key_owner("eve@shop.example").await);
        make(&ana, KEY, &form()).await;
        world.clock.advance_seconds(1);
        make(&eve, KEY, &form()).await;
        edit(&world, sql).await;
        make(&eve, KEY, &form()).await.assert_refused("issuer_unavailable");
    }
}

#[tokio::test]
async fn answers_are_bounded_for_each_caller() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    make(&ana, KEY, &form()).await;
    edit(
        &world,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) \
         INSERT INTO idempotent_answers SELECT caller, 'x' || n.i, request_hash, epoch, sealed, expires_at \
         FROM idempotent_answers, n",
    )
    .await;
    make(&ana, "one-more", &form()).await.assert_refused("limit_reached");
    assert_eq!(make(&ana, KEY, &form()).await.status, 201, "what is kept is kept");
    ana.make().await;
    assert_eq!(make(&world.key_owner("eve@shop.example").await, "one-more", &form()).await.status, 201);
}
