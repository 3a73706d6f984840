use crate::person::{PASSWORD, change_password, confirm, login, register, set_password};
use crate::rows::sealed_rows::edit;
use crate::world::{World, event};
use bmap_model::account::email::EmailAddress;
use bmap_model::account::password::{Hasher, Memory, PlainPassword};
use bmap_model::account::sealed;
use bmap_model::rng::SystemRandom;
use bmap_protocol::keys::RootSecret;

async fn stored(world: &World) -> (String, u32) {
    let email = EmailAddress::parse("ana@shop.example").unwrap();
    let account = world.issuer.store.account_by_email(&email).await.unwrap().unwrap();
    (account.password.phc, account.password.epoch)
}

#[tokio::test]
async fn a_hash_with_an_older_pepper_is_made_anew_at_the_next_sign_in() {
    let world = World::start().await;
    world.person("ana@shop.example").await;
    crate::person::reset("ana@shop.example").send(world.address).await.granted();
    let link = world.links_to("/auth/password/reset", "ana@shop.example").await.pop().unwrap();
    let before = stored(&world).await;
    login("ana@shop.example", PASSWORD).send(world.address).await.granted();
    assert_eq!(stored(&world).await, before, "a hash that is new is left alone");
    let epochs = vec![RootSecret::from_bytes([7; 32]).epoch(1), RootSecret::from_bytes([8; 32]).epoch(2)];
    world.issuer.roots.replace(epochs).unwrap();
    login("ana@shop.example", "wrong").send(world.address).await.assert_refused("invalid_credentials");
    assert_eq!(stored(&world).await, before, "a guess changes nothing");
    // Many at once: each is let in, and one hash stays.
    let calls: Vec<_> = (0..5).map(|_| login("ana@shop.example", PASSWORD)).collect();
    let answers = futures_util::future::join_all(calls.iter().map(|call| call.send(world.address))).await;
    for answer in answers {
        answer.granted();
    }
    let (phc, epoch) = stored(&world).await;
    assert!(epoch == 2 && phc != before.0);
    // The old root may go now: password and seal need it no more, and the link that was sent before is still good.
    world
        .issuer
        .roots
        .replace(vec![RootSecret::from_bytes([8; 32]).epoch(2), RootSecret::from_bytes([7; 32]).epoch(1)])
        .unwrap();
    login("ana@shop.example", PASSWORD).send(world.address).await.granted();
    assert_eq!(stored(&world).await, (phc, 2));
    set_password(&link, "copper-lantern-12-frost").send(world.address).await.granted();
    world.issuer.roots.replace(vec![RootSecret::from_bytes([8; 32]).epoch(2)]).unwrap();
    login("ana@shop.example", "copper-lantern-12-frost").send(world.address).await.granted();
}

#[tokio::test]
async fn a_hash_that_somebody_copied_over_is_not_made_anew() {
    let world = World::start().await;
    world.person("ana@shop.example").await;
    edit(&world, "UPDATE accounts SET seal = ''").await;
    let before = stored(&world).await;
    login("ana@shop.example", PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    assert_eq!(stored(&world).await, before);
}

const COMPOSED: &str = "caf\u{e9} kettle 49 m\u{e4}rz";
const DECOMPOSED: &str = "cafe\u{301} kettle 49\u{a0}ma\u{308}rz";

#[tokio::test]
async fn u07_a_password_is_the_same_however_it_is_typed() {
    let world = World::start().await;
    let to = world.address;
    assert_eq!(register("ana@shop.example", COMPOSED).send(to).await.status, 202);
    let link = world.links("ana@shop.example").await.pop().unwrap();
    confirm(&link, DECOMPOSED).send(to).await.granted();
    for typed in [COMPOSED, DECOMPOSED] {
        login("ana@shop.example", typed).send(to).await.granted();
    }
    login("ana@shop.example", "cafe kettle 49 marz").send(to).await.assert_refused("invalid_credentials");
    let access = crate::person::Pair::of(&login("ana@shop.example", COMPOSED).send(to).await).access;
    let next = "no\u{308}el lantern 12\u{3000}frost";
    change_password(&access, DECOMPOSED, next).send(to).await.granted();
    login("ana@shop.example", "n\u{f6}el lantern 12 frost").send(to).await.granted();
    let refused = change_password(&access, next, "violet\tkettle-49-marsh").send(to).await;
    refused.assert_refused("malformed_request");
    assert!(refused.json()["hint"].as_str().unwrap().contains("control characters"));
}

#[tokio::test]
async fn u07_a_hash_of_the_text_as_it_was_typed_opens_and_is_made_anew() {
    let world = World::start().await;
    let email = EmailAddress::parse("ana@shop.example").unwrap();
    world.person(email.as_str()).await;
    let account = world.issuer.store.account_by_email(&email).await.unwrap().unwrap();
    let typed = PlainPassword::presented(DECOMPOSED.to_owned().into()).unwrap().as_typed().unwrap();
    let hasher = Hasher::new(world.issuer.roots.clone());
    let former = hasher.hash(&typed, &email, &[1; 16], &mut Memory::default()).unwrap();
    let seal = sealed::account(&world.issuer.roots, &SystemRandom, &account.user, &email, &former).unwrap();
    assert!(world.issuer.store.replace_hash(&account, &former, &seal, &event()).await.unwrap());
    login(email.as_str(), COMPOSED).send(world.address).await.assert_refused("invalid_credentials");
    assert_eq!(stored(&world).await.0, former.phc, "a guess changes nothing");
    login(email.as_str(), DECOMPOSED).send(world.address).await.granted();
    let anew = stored(&world).await;
    assert_ne!(anew.0, former.phc);
    for typed in [COMPOSED, DECOMPOSED] {
        login(email.as_str(), typed).send(world.address).await.granted();
    }
    assert_eq!(stored(&world).await, anew, "once");
}

#[tokio::test]
async fn u07_guesses_in_another_form_are_bounded_alike_for_what_there_is_and_what_there_is_not() {
    let world = World::start().await;
    world.person("ana@shop.example").await;
    for email in ["ana@shop.example", "unknown@shop.example"] {
        for _ in 0..10 {
            login(email, DECOMPOSED).send(world.address).await.assert_refused("invalid_credentials");
        }
        login(email, DECOMPOSED).send(world.address).await.assert_refused("rate_limited");
    }
}
