use crate::person::{PASSWORD, login, set_password};
use crate::sealed_rows::edit;
use crate::world::World;
use bmap_protocol::keys::RootSecret;
use bmap_server::domain::account::email::EmailAddress;
use bmap_server::store::Accounts;

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
