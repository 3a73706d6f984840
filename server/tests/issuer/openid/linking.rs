//! Another way to sign in, for a user who is signed in; and one less.

use super::browser::Browser;
use super::fake::{Fake, Journey};
use super::real::sign_in_there;
use super::sign_in::{begin, two_providers};
use super::{RETURN_TO, VERIFIER, code_in, link, sign_in_fields, start, swap, unlink};
use crate::http_client::Call;
use crate::person::Pair;
use crate::world::World;
use serde_json::json;

#[tokio::test]
async fn an_account_gets_an_identity_signs_in_with_it_and_gives_it_up() {
    let (world, _acme, other) = two_providers().await;
    let ana = world.person("linking@shop.example").await.sign_in().await;
    let mut browser = Browser::default();
    let back = sign_in_there(&mut browser, &begin(&world, "other", "link"), "ana").await;
    let linked = link("other", &ana.access, &code_in(back.as_str())).send(world.address).await.granted();
    assert_eq!((linked["provider"].as_str(), linked["issuer"].as_str()), (Some("other"), Some(other.issuer.as_str())));
    assert_eq!((linked["email"].as_str(), linked["signed_in_at"].is_null()), (Some("ana@mail.example"), true));

    assert_eq!(world.issuer.store.mail_waiting().await.unwrap(), 1);
    world.worker.deliver_due().await;
    let log = world.log();
    let mut told = log.lines().filter(|line| line.contains("email=linking@shop.example"));
    assert!(told.next_back().unwrap().contains("There is a new way to sign in"), "{log}");

    // The provider is for those alone who are here: she is.
    let (back, _) = browser.open(&begin(&world, "other", "sign_in")).await;
    let pair = Pair::of(&swap(&code_in(back.as_str()), VERIFIER).send(world.address).await);
    assert_eq!(pair.user(), ana.user());
    let me = world.me(&pair.access).await.granted();
    assert_eq!(
        (me["email"].as_str(), me["identities"][0]["signed_in_at"].is_i64()),
        (Some("linking@shop.example"), true)
    );

    // She has a password left, so this one may go; the identity that was linked by it signs no user in any more.
    let (back, _) = browser.open(&begin(&world, "other", "sign_in")).await;
    assert_eq!(unlink("other", &ana.access).send(world.address).await.status, 204);
    swap(&code_in(back.as_str()), VERIFIER).send(world.address).await.assert_refused("invalid_credentials");
    unlink("other", &ana.access).send(world.address).await.assert_refused("not_found");
    let (back, _) = browser.open(&begin(&world, "other", "sign_in")).await;
    assert_eq!(back.as_str(), format!("{RETURN_TO}#error=sign_in_failed"));
}

/// The code of a journey to the fake provider, as a user of it.
pub(super) async fn code_of(fake: &Fake, world: &World, subject: &str, intent: &'static str) -> String {
    let fields = [sign_in_fields(), vec![("intent", intent)]].concat();
    let journey = Journey::of(&start("fake", &fields).send(world.address).await);
    let mut claims = fake.claims(world, &journey);
    claims["sub"] = json!(subject);
    claims["auth_time"] = json!(world.now());
    fake.give_claims(&claims);
    code_in(journey.back().send(world.address).await.header("location").unwrap())
}

pub(super) async fn signed_up(fake: &Fake, world: &World, subject: &str) -> Pair {
    Pair::of(&swap(&code_of(fake, world, subject, "sign_in").await, VERIFIER).send(world.address).await)
}

#[tokio::test]
async fn nobody_is_linked_by_a_link_of_somebody_else() {
    let (fake, world) = Fake::with_world().await;
    let mallory = world.person("mallory@shop.example").await.sign_in().await;
    // A visitor follows mallory's link and is back at the page, which has no verifier for it: nothing comes of the code.
    let code = code_of(&fake, &world, "victim", "link").await;
    let form = json!({ "code": code, "code_verifier": "x".repeat(43) });
    let call = Call::json("/auth/openid/fake/link", &form);
    let call = call.header("authorization", &format!("Bearer {}", mallory.access));
    call.send(world.address).await.assert_refused("invalid_credentials");
    link("fake", &mallory.access, &code).send(world.address).await.assert_refused("invalid_credentials");
    // A code that was made for signing in links nothing.
    let code = code_of(&fake, &world, "victim", "sign_in").await;
    link("fake", &mallory.access, &code).send(world.address).await.assert_refused("invalid_credentials");
    // Nor is anything linked without being signed in, or at another provider.
    let code = code_of(&fake, &world, "victim", "link").await;
    link("fake", "x", &code).send(world.address).await.assert_refused("invalid_token");
    link("other", &mallory.access, &code).send(world.address).await.assert_refused("not_found");
    assert_eq!(world.me(&mallory.access).await.granted()["identities"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn an_identity_is_one_users_and_a_user_has_one_of_a_provider() {
    let (fake, world) = Fake::with_world().await;
    let first = signed_up(&fake, &world, "first").await;
    let ana = world.person("ana@shop.example").await.sign_in().await;
    let code = code_of(&fake, &world, "first", "link").await;
    link("fake", &ana.access, &code).send(world.address).await.assert_refused("invalid_state");
    let code = code_of(&fake, &world, "second", "link").await;
    link("fake", &first.access, &code).send(world.address).await.assert_refused("invalid_state");
    let code = code_of(&fake, &world, "second", "link").await;
    link("fake", &ana.access, &code).send(world.address).await.granted();
    assert_eq!(signed_up(&fake, &world, "second").await.user(), ana.user());
}

#[tokio::test]
async fn the_last_way_to_sign_in_stays() {
    let (fake, world) = Fake::with_world().await;
    let pair = signed_up(&fake, &world, "ana").await;
    unlink("fake", &pair.access).send(world.address).await.assert_refused("invalid_state");
    assert_eq!(signed_up(&fake, &world, "ana").await.user(), pair.user());
    unlink("unknown", &pair.access).send(world.address).await.assert_refused("not_found");
    unlink("fake", "x").send(world.address).await.assert_refused("invalid_token");
    // A user without a password changes none.
    let call = crate::person::change_password(&pair.access, "anything", "violet-kettle-49-marsh");
    call.send(world.address).await.assert_refused("invalid_credentials");
}

#[tokio::test]
async fn twenty_first_sign_ins_of_one_identity_at_once_are_one_user() {
    let (fake, world) = Fake::with_world().await;
    let mut codes = Vec::new();
    for _ in 0..20 {
        codes.push(code_of(&fake, &world, "ana", "sign_in").await);
    }
    let calls = codes.into_iter().map(|code| {
        let to = world.address;
        tokio::spawn(async move { Pair::of(&swap(&code, VERIFIER).send(to).await).user() })
    });
    let users = futures_util::future::join_all(calls).await;
    let users: Vec<_> = users.into_iter().map(Result::unwrap).collect();
    assert!(users.iter().all(|user| *user == users[0]), "{users:?}");
}
