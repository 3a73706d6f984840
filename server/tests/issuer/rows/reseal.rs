//! From one root secret to the next: users stay signed in, used tokens stay used, and rows that the issuer did not write stay
//! refused.

use crate::key_owner::{KeyOwner, form};
use crate::person::Pair;
use crate::rows::sealed_rows::edit;
use crate::stalled::{refuse_update_of, take_inserts};
use crate::world::{TOOL, World};
use bmap_issuer::reseal::{Resealed, reseal};
use bmap_model::account::UserSession;
use bmap_model::account::email::EmailAddress;
use bmap_model::clock::{UnixTime, WallClock};
use bmap_model::openid::{Identity, IdentityKey};
use bmap_model::rng::SystemRandom;
use bmap_model::row_seal::RowFault;
use bmap_model::session::{SessionId, SessionState};
use bmap_protocol::keys::{EpochKeys, RootSecret};

/// The root of the world in its first epoch, and the next one.
fn epoch(number: u32) -> EpochKeys {
    RootSecret::from_bytes([if number == 1 { 7 } else { 8 }; 32]).epoch(number)
}

async fn rotate(world: &World) -> Resealed {
    world.issuer.roots.replace(vec![epoch(1), epoch(2)]).unwrap();
    reseal(&world.issuer.store, &world.issuer.roots, &SystemRandom, |_| {}).await.unwrap()
}

async fn rows(world: &World, what: &str, epoch: u32) -> i64 {
    let uses = world.issuer.store.epochs_in_use().await.unwrap();
    uses.iter().find(|one| one.what == what && one.epoch == epoch).map_or(0, |one| one.rows)
}

fn identity(pair: &Pair, at: UnixTime) -> Identity {
    Identity {
        key: IdentityKey { issuer: "https://id.example".to_owned(), subject: "ana\n' OR 1=1--".to_owned() },
        user: pair.user(),
        email: EmailAddress::parse("ana@mail.example").ok(),
        created_at: at,
        signed_in_at: None,
        seal: None,
    }
}

#[tokio::test]
async fn who_is_signed_in_stays_signed_in() {
    let world = World::start().await;
    let ana = world.person("ana@shop.example").await;
    let (here, there) = (ana.sign_in().await, ana.sign_in().await);
    let next = Pair::of(&world.refresh(&here.refresh).await);
    let identity = identity(&here, world.clock.now()).sealed(&epoch(1));
    world.issuer.store.add_openid_identity(&identity, None, &crate::world::event()).await.unwrap();
    world.grant(&here.user(), TOOL).await;
    for (what, number) in [("sessions", 2), ("refresh tokens", 2), ("identities", 1), ("grants", 1)] {
        assert_eq!(rows(&world, what, 1).await, number, "{what}");
    }
    // Two sessions with the token of each that is not used, the identity, two tools, a grant, and the issuer's key.
    assert_eq!(rotate(&world).await, Resealed { done: 9, broken: vec![] });
    assert_eq!(rotate(&world).await, Resealed::default(), "again, there is nothing left");
    for what in ["sessions", "refresh tokens", "identities", "grants"] {
        assert_eq!(rows(&world, what, 1).await, 0, "{what}");
    }
    assert_eq!(Pair::of(&world.refresh(&here.refresh).await), next, "within the grace, still the same");

    world.issuer.roots.replace(vec![epoch(2)]).unwrap();
    world.me(&next.access).await.granted();
    let later = Pair::of(&world.refresh(&next.refresh).await);
    let elsewhere = Pair::of(&world.refresh(&there.refresh).await);
    let (found, _) = world.issuer.store.openid_identity(&identity.key).await.unwrap().unwrap();
    assert_eq!(found.check_seal(&world.issuer.roots), Ok(()));
    let grants = world.issuer.store.grants_of_user(&here.user()).await.unwrap();
    assert_eq!((grants.len(), grants[0].check_seal(&world.issuer.roots)), (1, Ok(())));
    assert_eq!(
        Identity { user: bmap_protocol::ids::UserId::from_uuid([0; 16]), ..found }.check_seal(&world.issuer.roots),
        Err(RowFault::Edited)
    );
    // A token that was used under the root that is gone ends its session all the same, and no other one.
    world.refresh(&here.refresh).await.assert_refused("invalid_token");
    world.me(&later.access).await.assert_refused("invalid_token");
    world.me(&elsewhere.access).await.granted();
}

#[tokio::test]
async fn a_request_that_is_sent_again_has_its_answer_after_the_former_root_is_gone() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let make = async |ana: &KeyOwner<'_>| {
        let call = ana.call("POST", "/api-keys").header("idempotency-key", "once");
        ana.stepped_up(call.body("application/json", form().to_string())).await
    };
    let first = make(&ana).await;
    assert_eq!((first.status, rows(&world, "kept answers", 1).await), (201, 1));
    assert!(rotate(&world).await.broken.is_empty());
    assert_eq!((rows(&world, "kept answers", 1).await, rows(&world, "kept answers", 2).await), (0, 1));
    world.issuer.roots.replace(vec![epoch(2)]).unwrap();
    let again = make(&ana).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    ana.holder(&again).works().await;
    // One that was moved to another request is named, and opens nothing there.
    edit(&world, "UPDATE idempotent_answers SET epoch = 1").await;
    assert_eq!(rotate(&world).await.broken, [format!("{} (a kept answer)", ana.user)]);
}

#[tokio::test]
async fn t13_what_nobody_wrote_here_is_named_and_not_sealed_anew() {
    let world = World::start().await;
    let (ana, ben) = (world.person("ana@shop.example").await, world.person("ben@shop.example").await);
    let (ana, ben) = (ana.sign_in().await, ben.sign_in().await);
    let identity = identity(&ana, world.clock.now()).sealed(&epoch(1));
    world.issuer.store.add_openid_identity(&identity, None, &crate::world::event()).await.unwrap();
    let [of_ana, of_ben] = [&ana, &ben].map(|pair| pair.claims()["sid"].as_str().unwrap().to_owned());
    edit(&world, &format!("UPDATE user_sessions SET expires_at = expires_at + 1 WHERE id = '{of_ana}'")).await;
    edit(
        &world,
        &format!("UPDATE refresh_tokens SET predecessor = 'x{}' WHERE session_id = '{of_ben}'", "A".repeat(42)),
    )
    .await;
    edit(&world, &format!("UPDATE openid_identities SET user_id = '{}'", ben.user().as_str())).await;
    world.grant(&ana.user(), TOOL).await;
    edit(&world, "UPDATE tool_grants SET scopes = 'route search write'").await;
    let mut resealed = rotate(&world).await;
    resealed.broken.sort();
    let mut named = [
        of_ana.clone(),
        format!("{of_ben} (its refresh token)"),
        format!("{} (its identity at https://id.example)", ben.user()),
        format!("{} (its grant of places)", ana.user()),
    ];
    named.sort();
    assert_eq!(resealed.broken, named);
    for pair in [&ana, &ben] {
        world.refresh(&pair.refresh).await.assert_refused("invalid_token");
    }
    // The rows that keep the former root from being retired are ended in the usual ways.
    assert_eq!((rows(&world, "sessions", 1).await, rows(&world, "refresh tokens", 1).await), (1, 1));
    for pair in [&ana, &ben] {
        assert_eq!(crate::person::logout(&pair.refresh).send(world.address).await.status, 204);
    }
    assert_eq!((rows(&world, "sessions", 1).await, rows(&world, "refresh tokens", 1).await), (0, 0));
}

#[tokio::test]
async fn sessions_are_sealed_anew_a_portion_at_a_time_and_cut_off_in_one_it_is_not_there() {
    let world = World::start().await;
    let ana = world.person("ana@shop.example").await.sign_in().await;
    let number = 1_301;
    let now = world.clock.now();
    let session = |number: u32| {
        let id = SessionId::from_uuid((u128::from(number) + 1).to_be_bytes());
        let (user, expires_at) = (ana.user(), now.plus_seconds(60));
        UserSession { id, user, created_at: now, expires_at, state: SessionState::Active, seal: None }.sealed(&epoch(1))
    };
    let row = |number| {
        let UserSession { id, user, created_at, expires_at, seal, .. } = session(number);
        format!("('{}', '{user}', {}, {}, 1, '{}')", id.as_str(), created_at.0, expires_at.0, seal.unwrap().mac)
    };
    let rows_of_all = (0..number).map(row).collect::<Vec<_>>().join(", ");
    let columns = "id, user_id, created_at, expires_at, epoch, seal";
    edit(&world, &format!("INSERT INTO user_sessions ({columns}) VALUES {rows_of_all}")).await;

    let url = world.database.url();
    let spoiled = session(777).id;
    refuse_update_of(&url, "user_sessions", spoiled.as_str()).await;
    world.issuer.roots.replace(vec![epoch(1), epoch(2)]).unwrap();
    let (store, roots) = (&world.issuer.store, &world.issuer.roots);
    assert!(reseal(store, roots, &SystemRandom, |_| {}).await.is_err());
    assert_eq!(rows(&world, "sessions", 2).await, 500, "the first portion, and nothing of the second");
    // With both roots at hand, each session is good before and after.
    for number in [0, 499, 500, 776, 777, 1_300] {
        let found = store.user_session(&session(number).id).await.unwrap().unwrap();
        assert_eq!((found.check_seal(roots), found.seal.unwrap().epoch), (Ok(()), if number < 500 { 2 } else { 1 }));
    }
    world.me(&ana.access).await.granted();
    take_inserts(&url, "user_sessions").await;

    // It goes on where it was cut off, and says how far it is after each portion.
    let mut heard = Vec::new();
    let resealed = reseal(store, roots, &SystemRandom, |so_far| heard.push(so_far.done)).await.unwrap();
    assert!(resealed.broken.is_empty());
    assert_eq!((rows(&world, "sessions", 1).await, rows(&world, "sessions", 2).await), (0, i64::from(number) + 1));
    assert!(heard.windows(2).all(|two| two[1] - two[0] <= 500) && heard.len() >= 2, "{heard:?}");
    world.issuer.roots.replace(vec![epoch(2)]).unwrap();
    world.me(&ana.access).await.granted();
}
