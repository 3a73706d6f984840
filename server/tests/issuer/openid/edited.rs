//! Somebody who can write the database, but has no root secret, puts in no identity and points none to another user.

use super::fake::{Fake, Journey};
use super::{RETURN_TO, VERIFIER, code_in, link, sign_in_fields, start, swap};
use crate::person::Pair;
use crate::sealed_rows::edit;
use crate::world::World;
use serde_json::json;

/// Where a browser is after a journey to the provider, as somebody there.
async fn back(fake: &Fake, world: &World, subject: &str, intent: &'static str) -> String {
    let fields = [sign_in_fields(), vec![("intent", intent)]].concat();
    let journey = Journey::of(&start("fake", &fields).send(world.address).await);
    let mut claims = fake.claims(world, &journey);
    claims["sub"] = json!(subject);
    fake.give_claims(&claims);
    journey.back().send(world.address).await.header("location").unwrap().to_owned()
}

async fn sign_in(fake: &Fake, world: &World, subject: &str) -> Pair {
    let code = code_in(&back(fake, world, subject, "sign_in").await);
    Pair::of(&swap(&code, VERIFIER).send(world.address).await)
}

#[tokio::test]
async fn t13_an_identity_put_in_or_pointed_elsewhere_by_hand_signs_nobody_in() {
    for edited in [
        // Put in for somebody who has none: without a seal, with a wrong one, with that of a good row.
        "INSERT INTO openid_identities (issuer, subject, user_id, created_at) SELECT issuer, 'mallory', {ana}, created_at \
         FROM openid_identities WHERE subject = 'ben'",
        "INSERT INTO openid_identities (issuer, subject, user_id, created_at, epoch, seal) \
         SELECT issuer, 'mallory', {ana}, created_at, epoch, seal FROM openid_identities WHERE subject = 'ben'",
        // Another's, with another subject; the own one, with another user.
        "DELETE FROM openid_identities WHERE subject = 'mallory'; \
         UPDATE openid_identities SET subject = 'mallory' WHERE subject = 'ben'",
        "UPDATE openid_identities SET user_id = {ana} WHERE subject = 'mallory'",
        "UPDATE openid_identities SET epoch = 2 WHERE subject = 'mallory'",
        "UPDATE openid_identities SET epoch = NULL, seal = NULL WHERE subject = 'mallory'",
    ] {
        let (fake, world) = Fake::with_world().await;
        let ana = world.person("ana@shop.example").await.sign_in().await;
        sign_in(&fake, &world, "ben").await;
        if !edited.starts_with("INSERT") {
            sign_in(&fake, &world, "mallory").await;
        }
        // On the way already when the row is edited, and after it.
        let code = code_in(&back(&fake, &world, "mallory", "sign_in").await);
        edit(&world, &edited.replace("{ana}", &format!("'{}'", ana.user().as_str()))).await;
        swap(&code, VERIFIER).send(world.address).await.assert_refused("invalid_credentials");
        let late = back(&fake, &world, "mallory", "sign_in").await;
        assert_eq!(late, format!("{RETURN_TO}#error=sign_in_failed"), "{edited}");
        let log = crate::log::text();
        assert!(log.contains("ALARM: the row of an identity is not as it was written"), "{edited}");
        world.me(&ana.access).await.granted();
    }
}

#[tokio::test]
async fn an_identity_from_before_there_were_seals_is_linked_again() {
    let (fake, world) = Fake::with_world().await;
    let ana = world.person("ana@shop.example").await.sign_in().await;
    let linked = async || {
        let code = code_in(&back(&fake, &world, "ana", "link").await);
        link("fake", &ana.access, &code).send(world.address).await
    };
    linked().await.granted();
    linked().await.assert_refused("invalid_state");
    edit(&world, "UPDATE openid_identities SET epoch = NULL, seal = NULL").await;
    assert_eq!(back(&fake, &world, "ana", "sign_in").await, format!("{RETURN_TO}#error=sign_in_failed"));
    linked().await.granted();
    assert_eq!(sign_in(&fake, &world, "ana").await.user(), ana.user());
}
