//! An attacker who can write the database, but has no root secret, puts in no identity and points none to another user.

use super::fake::{Fake, Journey};
use super::{RETURN_TO, VERIFIER, code_in, link, sign_in_fields, start, swap};
use crate::operator::Operator;
use crate::person::Pair;
use crate::rows::sealed_rows::edit;
use crate::world::{World, event};
use bmap_model::openid::Identity;
use serde_json::json;

/// Where a browser is after a journey to the provider, as a user of it.
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
        // Put in for a user who has none: without a seal, with a wrong one, with that of a good row.
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

#[tokio::test]
async fn an_identity_from_before_there_were_seals_signs_in_again_once_an_operator_confirmed_it() {
    let (fake, world) = Fake::with_world().await;
    let ana = sign_in(&fake, &world, "ana").await;
    edit(&world, "UPDATE openid_identities SET epoch = NULL, seal = NULL").await;
    assert_eq!(back(&fake, &world, "ana", "sign_in").await, format!("{RETURN_TO}#error=sign_in_failed"));
    let store = &world.issuer.store;
    let [identity] = &store.identities_without_seal().await.unwrap()[..] else { panic!("one has no seal") };
    let sealed = identity.clone().sealed(&world.issuer.roots.sealing());
    // Not what was looked at.
    let other = Identity { created_at: identity.created_at.plus_seconds(1), ..sealed.clone() };
    assert!(!store.confirm_identity(&other, &event()).await.unwrap());
    assert!(store.confirm_identity(&sealed, &event()).await.unwrap());
    assert!(store.identities_without_seal().await.unwrap().is_empty());
    assert_eq!(sign_in(&fake, &world, "ana").await.user(), ana.user());
}

#[tokio::test]
async fn an_operator_lists_and_confirms_identities() {
    let operator = Operator::new();
    let [ana, ben] = ["ana", "ben"].map(|name| operator.out(&["user", "add", name]).trim().to_owned());
    for (user, subject) in [(&ana, "248289761001"), (&ben, "x\u{1b}[2J")] {
        let columns = "issuer, subject, user_id, email, created_at";
        let values = format!("'https://id.example', '{subject}', '{user}', 'ana@shop.example', 1795000000000");
        operator.edit(&format!("INSERT INTO openid_identities ({columns}) VALUES ({values})")).await;
    }
    let rows = |of: &[&str]| {
        let listed = operator.json(&[&["user", "identity", "list"], of].concat());
        let listed = listed.as_array().unwrap().clone();
        listed.iter().map(|it| (it["subject"].clone(), it["row"].clone())).collect::<Vec<_>>()
    };
    let (unsealed, sealed) = (json!("it has no seal"), json!("sealed"));
    let of_ben = (json!("x\u{1b}[2J"), unsealed.clone());
    assert_eq!(rows(&[]), [(json!("248289761001"), unsealed.clone()), of_ben.clone()]);
    assert_eq!(rows(&["ana"]), [(json!("248289761001"), unsealed)]);
    let table = operator.out(&["user", "identity", "list"]);
    assert!(table.contains("248289761001  ") && table.contains("2026-11-18 ") && !table.contains('\u{1b}'), "{table}");

    let confirm = ["user", "identity", "confirm"];
    for (wrong, code) in [
        (["ana", "https://id.example", "other"], 3),
        (["ana", "https://other.example", "248289761001"], 3),
        (["ben", "https://id.example", "248289761001"], 3),
        (["zoe", "https://id.example", "248289761001"], 3),
    ] {
        assert_eq!(operator.fails(&[confirm, wrong].concat()).0, code, "{wrong:?}");
    }
    let done = operator.json(&[confirm, ["ana", "https://id.example", "248289761001"]].concat());
    assert_eq!((&done["user"], &done["row"]), (&json!(ana), &sealed));
    assert_eq!(rows(&["ana"]), [(json!("248289761001"), sealed)]);
    assert_eq!(rows(&[]), [of_ben]);
    let audit = operator.out(&["audit", "list", "--action", "openid.confirm", "--json"]);
    let entry: serde_json::Value = serde_json::from_str(audit.trim()).unwrap();
    assert_eq!((&entry["target"]["id"], &entry["detail"]), (&json!(ana), &json!({ "issuer": "https://id.example" })));
    assert_eq!(entry["actor"]["kind"], "command_line");
    operator.edit("UPDATE openid_identities SET seal = 'x' WHERE subject = '248289761001'").await;
    assert_eq!(rows(&["ana"])[0].1, "its seal does not hold");
}
