//! The audit log of sign-ins with providers: the users, the providers and the refusals.

use super::fake::{Fake, Journey, Say, TOKEN};
use super::{VERIFIER, assert_failed, code_in, link, sign_in_fields, start, swap, unlink};
use crate::audit::recorded::entries;
use crate::http_client::Answer;
use crate::person::Pair;
use crate::world::World;
use bmap_model::audit::chain::{Content, Row};
use bmap_model::audit::{Action, Source};
use serde_json::{Value, json};

/// The entries after so many, and how many there are now.
async fn since(world: &World, before: &mut usize) -> Vec<Content> {
    let rows = entries(world).await;
    let new = rows[*before..].iter().map(|row: &Row| row.content.clone()).collect();
    *before = rows.len();
    new
}

/// Action, outcome, kinds of actor and target.
fn said(entries: &[Content]) -> Vec<String> {
    let say =
        |it: &Content| format!("{} {} {} {}", it.action, it.outcome, it.actor, it.target.as_deref().unwrap_or("-"));
    entries.iter().map(say).collect()
}

fn detail(entry: &Content) -> Value {
    serde_json::from_str(&entry.detail).unwrap()
}

/// A journey with this intent, whose provider says these claims, changed.
async fn journey(fake: &Fake, world: &World, intent: &'static str, change: impl FnOnce(&mut Value)) -> Answer {
    let fields = [sign_in_fields(), vec![("intent", intent)]].concat();
    let journey = Journey::of(&start("fake", &fields).send(world.address).await);
    let mut claims = fake.claims(world, &journey);
    change(&mut claims);
    fake.give_claims(&claims);
    journey.back().send(world.address).await
}

fn code(back: &Answer) -> String {
    code_in(back.header("location").unwrap())
}

#[tokio::test]
async fn a_first_sign_in_makes_a_user_and_the_next_ones_only_a_session() {
    let (fake, world) = Fake::with_world().await;
    let mut seen = entries(&world).await.len();
    let back = journey(&fake, &world, "sign_in", |_| {}).await;
    assert!(since(&world, &mut seen).await.is_empty(), "nothing is done before the page shows its verifier");
    let pair = Pair::of(&swap(&code(&back), VERIFIER).send(world.address).await);
    let first = since(&world, &mut seen).await;
    assert_eq!(said(&first), ["user.create done user user", "user.sign_in done user session"]);
    let user = pair.user();
    for entry in &first {
        assert_eq!(entry.actor_id.as_deref(), Some(user.as_str()), "by whom it made");
        assert_eq!((detail(entry)["by"].as_str(), detail(entry)["provider"].as_str()), (Some("openid"), Some("fake")));
        assert_eq!(entry.address.as_deref(), Some("127.0.0.1"));
        assert!(entry.request_id.as_deref().is_some_and(|id| !id.is_empty()));
    }
    assert_eq!(
        (first[0].target_id.as_deref(), first[1].target_user.as_deref()),
        (Some(user.as_str()), Some(user.as_str()))
    );

    let back = journey(&fake, &world, "sign_in", |_| {}).await;
    swap(&code(&back), VERIFIER).send(world.address).await.granted();
    let next = since(&world, &mut seen).await;
    assert_eq!(said(&next), ["user.sign_in done user session"]);
    assert_eq!(detail(&next[0]), json!({ "by": "openid", "provider": "fake" }));
    assert_eq!(next[0].actor_id.as_deref(), Some(user.as_str()));
    // No address is in it, whether or not the provider has checked it, and no `sub`.
    let back = journey(&fake, &world, "sign_in", |claims| {
        claims["sub"] = json!("canary-subject");
        claims["email_verified"] = json!(false);
    });
    swap(&code(&back.await), VERIFIER).send(world.address).await.granted();
    assert_eq!(said(&since(&world, &mut seen).await), ["user.create done user user", "user.sign_in done user session"]);
    let log = format!("{:?}", entries(&world).await);
    assert!(!log.contains("mail.example") && !log.contains("canary-subject") && log.contains("fake"), "{log}");
}

#[tokio::test]
async fn a_return_that_is_refused_is_recorded_whatever_is_wrong_with_it() {
    let (fake, world) = Fake::with_world().await;
    let mut seen = entries(&world).await.len();
    let refused = "openid.return invalid_credentials anonymous -";
    // A state that no browser was given; one in another browser; one that was used.
    let one = Journey::begin(&world).await;
    one.back_with(&[("state", "bmo_x"), ("code", "x")]).send(world.address).await.assert_refused("invalid_credentials");
    assert_eq!(said(&since(&world, &mut seen).await), [refused]);
    one.back().without("cookie").send(world.address).await.assert_refused("invalid_credentials");
    assert_eq!(said(&since(&world, &mut seen).await), [refused]);
    fake.give_claims(&fake.claims(&world, &one));
    code(&one.back().send(world.address).await);
    one.back().send(world.address).await.assert_refused("invalid_credentials");
    assert_eq!(said(&since(&world, &mut seen).await), [refused], "of two returns, the second");
    // ID tokens that do not hold, for either purpose: the page is told nothing but that it failed.
    let wrong: [(&str, Value); 4] = [
        ("nonce", json!("of another sign-in")),
        ("iss", json!("https://evil.example")),
        ("aud", json!("another-client")),
        ("exp", json!(1)),
    ];
    for (name, value) in wrong {
        for intent in ["sign_in", "link"] {
            let back = journey(&fake, &world, intent, |claims| claims[name] = value.clone()).await;
            assert_failed(&back, "sign_in_failed");
            assert_eq!(said(&since(&world, &mut seen).await), [refused], "{name}");
        }
    }
    let unsigned = Journey::begin(&world).await;
    fake.give("e30.e30.AAAA");
    assert_failed(&unsigned.back().send(world.address).await, "sign_in_failed");
    assert_eq!(said(&since(&world, &mut seen).await), [refused]);
    // A code that the provider never gave, made up by an attacker.
    let made_up = Journey::begin(&world).await;
    fake.say(TOKEN, Say::Bytes(400, br#"{"error":"invalid_grant"}"#.to_vec()));
    assert_failed(&made_up.back().send(world.address).await, "sign_in_failed");
    assert_eq!(said(&since(&world, &mut seen).await), [refused]);
    // A provider that says no, and one that is another.
    for parameters in [&[("error", "access_denied")][..], &[("code", "x"), ("iss", "https://evil.example")]] {
        let journey = Journey::begin(&world).await;
        let all = [&[("state", journey.state.as_str())], parameters].concat();
        assert_eq!(journey.back_with(&all).send(world.address).await.status, 303);
        assert_eq!(said(&since(&world, &mut seen).await), [refused], "{parameters:?}");
    }
    // A provider that is down is caused by no caller.
    let down = Journey::begin(&world).await;
    fake.say(TOKEN, Say::Bytes(500, Vec::new()));
    assert_failed(&down.back().send(world.address).await, "sign_in_failed");
    assert!(since(&world, &mut seen).await.is_empty());
    // Many in a minute are one entry with their number: no caller fills the disk.
    for _ in 0..30 {
        one.back().send(world.address).await.assert_refused("invalid_credentials");
    }
    let many = since(&world, &mut seen).await;
    assert_eq!(said(&many), [refused]);
    assert_eq!((detail(&many[0])["count"].as_str(), &many[0].address), (Some("30"), &None));
}

#[tokio::test]
async fn a_code_of_the_page_and_a_user_who_is_not_active_are_refused_on_record() {
    let (fake, world) = Fake::with_world().await;
    let pair =
        Pair::of(&swap(&code(&journey(&fake, &world, "sign_in", |_| {}).await), VERIFIER).send(world.address).await);
    let mut seen = entries(&world).await.len();
    let back = journey(&fake, &world, "sign_in", |_| {}).await;
    swap(&code(&back), &"x".repeat(43)).send(world.address).await.assert_refused("invalid_credentials");
    assert_eq!(said(&since(&world, &mut seen).await), ["user.sign_in invalid_credentials anonymous -"]);
    let late = journey(&fake, &world, "sign_in", |_| {}).await;
    world.issuer.deactivate_user(&pair.user(), &Source::command_line()).await.unwrap();
    since(&world, &mut seen).await;
    swap(&code(&late), VERIFIER).send(world.address).await.assert_refused("user_inactive");
    assert_failed(&journey(&fake, &world, "sign_in", |_| {}).await, "sign_in_failed");
    let refused = since(&world, &mut seen).await;
    assert_eq!(said(&refused), ["user.sign_in user_inactive user user", "openid.return user_inactive anonymous user"]);
    for entry in &refused {
        assert_eq!(entry.target_id.as_deref(), Some(pair.user().as_str()), "so they see it in their own log");
    }
}

#[tokio::test]
async fn linking_and_unlinking_are_recorded_and_so_is_what_is_refused_of_them() {
    let (fake, world) = Fake::with_world().await;
    let ana = world.person("ana@shop.example").await.sign_in().await;
    let mut seen = entries(&world).await.len();
    let back = journey(&fake, &world, "link", |_| {}).await;
    link("fake", &ana.access, &code(&back)).send(world.address).await.granted();
    let again = journey(&fake, &world, "link", |claims| claims["sub"] = json!("another")).await;
    link("fake", &ana.access, &code(&again)).send(world.address).await.assert_refused("invalid_state");
    assert_eq!(
        said(&since(&world, &mut seen).await),
        ["openid.link done user user", "openid.link invalid_state user -"]
    );
    assert_eq!(unlink("fake", &ana.access).send(world.address).await.status, 204);
    unlink("fake", &ana.access).send(world.address).await.assert_refused("not_found");
    link("fake", "x", &code(&back)).send(world.address).await.assert_refused("invalid_token");
    assert_eq!(
        said(&since(&world, &mut seen).await),
        ["openid.unlink done user user", "openid.unlink not_found user -", "openid.link invalid_token anonymous -"]
    );
    let rows = entries(&world).await;
    let done: Vec<&Content> = rows.iter().map(|row| &row.content).filter(|it| it.outcome == "done").collect();
    for action in [Action::OpenidLink, Action::OpenidUnlink] {
        let entry = done.iter().find(|it| it.action == action.as_str()).unwrap();
        assert_eq!(entry.actor_id.as_deref(), Some(ana.user().as_str()));
        assert_eq!(entry.target_id, entry.actor_id);
        assert_eq!((detail(entry), entry.address.as_deref()), (json!({ "provider": "fake" }), Some("127.0.0.1")));
    }
}
