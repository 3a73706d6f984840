//! Step-ups of users who sign in with a provider.

use super::fake::{Fake, Journey};
use super::linking::{code_of, signed_up};
use super::{VERIFIER, assert_failed, code_in, sign_in_fields, start, swap};
use crate::http_client::{Answer, Call};
use crate::key_owner::form;
use crate::person::{Pair, STEP_UP};
use crate::world::World;
use serde_json::json;

fn step_up(provider: &str, code: &str) -> Call {
    Call::json("/auth/step-up", &json!({ "provider": provider, "code": code, "code_verifier": VERIFIER }))
}

async fn make(world: &World, pair: &Pair, step_up: &str) -> Answer {
    pair.send(world, Call::json("/api-keys", &form()).header(STEP_UP, step_up)).await
}

#[tokio::test]
async fn the_exchange_gives_one_and_a_fresh_sign_in_another() {
    let (fake, world) = Fake::with_world().await;
    let code = code_of(&fake, &world, "ana", "sign_in").await;
    let answer = swap(&code, VERIFIER).send(world.address).await;
    let (pair, first) = (Pair::of(&answer), answer.json()["step_up"].as_str().unwrap().to_owned());
    world.grant(&pair.user(), crate::world::TOOL).await;
    assert_eq!(make(&world, &pair, &first).await.status, 201);
    make(&world, &pair, &first).await.assert_refused("step_up_required");
    let code = code_of(&fake, &world, "ana", "step_up").await;
    let second = pair.send(&world, step_up("fake", &code)).await.granted()["step_up"].as_str().unwrap().to_owned();
    assert_eq!(make(&world, &pair, &second).await.status, 201);
    pair.send(&world, step_up("fake", &code)).await.assert_refused("invalid_credentials");
    // The notice goes to the address that the provider has checked.
    world.worker.deliver_due().await;
    assert!(world.log().contains("development: An API key was made"));
}

#[tokio::test]
async fn o17_what_is_no_fresh_sign_in_of_the_same_user_gives_none() {
    let (fake, world) = Fake::with_world().await;
    let pair = signed_up(&fake, &world, "ana").await;
    signed_up(&fake, &world, "eve").await;
    for (who, intent) in
        [("eve", "step_up"), ("unknown", "step_up"), ("ana", "confirm"), ("ana", "sign_in"), ("ana", "link")]
    {
        let code = code_of(&fake, &world, who, intent).await;
        pair.send(&world, step_up("fake", &code)).await.assert_refused("invalid_credentials");
    }
    let code = code_of(&fake, &world, "ana", "step_up").await;
    pair.send(&world, step_up("other", &code)).await.assert_refused("not_found");
    pair.send(&world, step_up("fake", "bmi_x")).await.assert_refused("invalid_credentials");
    // A code for a step-up signs no user in, and is good for no other act.
    let code = code_of(&fake, &world, "ana", "step_up").await;
    swap(&code, VERIFIER).send(world.address).await.assert_refused("invalid_credentials");
}

#[tokio::test]
async fn the_provider_has_to_say_that_the_user_signed_in_since_they_were_sent_there() {
    let (fake, world) = Fake::with_world().await;
    signed_up(&fake, &world, "ana").await;
    let fields = [sign_in_fields(), vec![("intent", "step_up")]].concat();
    let now = i64::try_from(world.now()).unwrap();
    // A minute of difference between the clocks is allowed.
    for (auth_time, is_fresh) in
        [(json!(now - 61), false), (json!(null), false), (json!("now"), false), (json!(now - 59), true)]
    {
        let begun = start("fake", &fields).send(world.address).await;
        let to = begun.header("location").unwrap();
        assert!(to.contains("prompt=login") && to.contains("max_age=0"), "{to}");
        let journey = Journey::of(&begun);
        let mut claims = fake.claims(&world, &journey);
        claims["auth_time"] = auth_time.clone();
        fake.give_claims(&claims);
        let back = journey.back().send(world.address).await;
        match is_fresh {
            true => drop(code_in(back.header("location").unwrap())),
            false => assert_failed(&back, "sign_in_failed"),
        }
    }
}

#[tokio::test]
async fn the_configured_pages_may_send_one_and_ask_for_one_and_no_other_page_may() {
    let (_fake, world) = Fake::with_world().await;
    let preflight = |origin: &str| {
        let call = Call::new("OPTIONS", "/auth/step-up").header("origin", origin);
        call.header("access-control-request-method", "POST").header("access-control-request-headers", STEP_UP)
    };
    let answer = preflight(crate::world::PAGE).send(world.address).await;
    let allowed = answer.header("access-control-allow-headers").unwrap();
    assert!(answer.status == 204 && allowed.split(", ").any(|name| name == STEP_UP), "{allowed}");
    let other = preflight("https://evil.example").send(world.address).await;
    assert_eq!(other.header("access-control-allow-headers"), None);
}
